"""Does evidence point the right way, and do detectors rise and fall as they are told?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finance_sentiment.counts import HOURS_A_WEEK
from services.finance_sentiment.evidence import COUNT, HOUR, SHARE, Expected, FloatArray
from services.finance_sentiment.surge import (
    AT_REST,
    OFF,
    RECOVERY,
    Rise,
    WatchState,
    follow,
    rescaled,
    rise_counts,
    walk_paths,
)

Hours = list[tuple[int, int]]
SHARES = st.floats(0.01, 0.9)
OVERDISPERSIONS = st.floats(1e-4, 0.5)
HOURS = st.lists(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=40,
)
ONLY_SHARE = (5.0, OFF, OFF)
ALL = (5.0, 7.0, 6.0)


def evidence(hours: Hours, share: float = 0.2, rho: float = 0.02) -> FloatArray:
    stories, negative = (np.array(column) for column in zip(*hours, strict=True))
    expected = Expected(np.full(HOURS_A_WEEK, share), np.full(HOURS_A_WEEK, 10.0), rho, 10.0)
    return expected.evidence(np.arange(len(hours)), stories, negative)


def walk(
    hours: Hours, thresholds: tuple[float, float, float] = ONLY_SHARE
) -> tuple[WatchState, list[Rise]]:
    state, rises, _ = follow(AT_REST, 0, evidence(hours), thresholds)
    return state, rises


def statistic(hours: Hours, share: float, rho: float) -> float:
    state, _, _ = follow(AT_REST, 0, evidence(hours, share, rho), (math.inf, OFF, OFF))
    return state.gauges[SHARE].statistic


@settings(max_examples=50, deadline=None)
@given(HOURS, SHARES, OVERDISPERSIONS, st.data())
def test_a_story_that_turns_negative_never_lowers_the_statistic(
    hours: Hours, share: float, rho: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(hours) - 1))
    stories, negative = hours[at]
    worse = [*hours]
    worse[at] = (stories, min(stories, negative + 1))
    assert statistic(worse, share, rho) >= statistic(hours, share, rho) - 1e-9


@settings(max_examples=50, deadline=None)
@given(HOURS, SHARES, OVERDISPERSIONS, st.data())
def test_one_more_negative_story_never_lowers_the_statistic(
    hours: Hours, share: float, rho: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(hours) - 1))
    worse = [*hours]
    worse[at] = (hours[at][0] + 1, hours[at][1] + 1)
    assert statistic(worse, share, rho) >= statistic(hours, share, rho) - 1e-9


def test_a_detector_rises_at_its_threshold_and_falls_when_normal_is_likely_again() -> None:
    calm, bad = (10, 2), (10, 6)
    _, [rise] = walk([calm] * 5 + [bad] * 4 + [calm] * 30)
    assert 5 <= rise.onset <= rise.started < 9
    assert rise.statistic >= 5.0
    assert rise.resolved is not None and rise.resolved >= 9


def test_a_surge_that_lasts_is_open_and_goes_on_from_its_state() -> None:
    state, [still] = walk([(10, 7)] * 6)
    assert still.resolved is None
    _, [closed], up = follow(state, 6, evidence([(10, 1)] * 30), ONLY_SHARE)
    assert (closed.onset, closed.started) == (still.onset, still.started)
    assert closed.resolved is not None
    assert up[0] and not up[-1]


def test_silence_brings_nothing_down() -> None:
    state, rises = walk([(10, 8)] * 3 + [(0, 0)] * 500)
    assert rises[-1].resolved is None
    assert state.gauges[SHARE].started is not None


def test_one_very_bad_hour_is_enough_for_the_fast_path() -> None:
    _, [rise] = walk([(10, 2)] * 5 + [(10, 9)], (OFF, 7.0, OFF))
    assert (rise.detector, rise.onset, rise.started) == (HOUR, 5, 5)


def test_hours_that_are_a_little_bad_never_add_up_on_the_fast_path() -> None:
    assert walk([(10, 4)] * 50, (OFF, 7.0, OFF))[1] == []


def test_twice_the_news_is_seen_by_the_count() -> None:
    _, rises = walk([(10, 2)] * 10 + [(25, 5)] * 20, ALL)
    assert {rise.detector for rise in rises} == {COUNT}


@settings(max_examples=50, deadline=None)
@given(HOURS, st.integers(0, 40))
def test_a_walk_cut_in_two_finds_the_same(hours: Hours, cut: int) -> None:
    cut = min(cut, len(hours))
    said = evidence(hours)
    whole_state, whole, whole_up = follow(AT_REST, 0, said, ALL)
    state, first, up = follow(AT_REST, 0, said[:, :cut], ALL)
    state, second, more_up = follow(state, cut, said[:, cut:], ALL)
    assert state == whole_state
    closed = [rise for rise in first if rise.resolved is not None]
    assert sorted(closed + second, key=str) == sorted(whole, key=str)
    assert np.array_equal(np.concatenate([up, more_up]), whole_up)


def test_where_a_watch_stands_survives_the_database() -> None:
    state, _ = walk([(10, 7)] * 6, ALL)
    assert WatchState.from_json(state.to_json()) == state


def test_the_simulation_walks_as_the_watch_does() -> None:
    rng = np.random.default_rng(3)
    stories = rng.poisson(8, size=(40, 400))
    negative = rng.binomial(stories, 0.28)
    expected = Expected(np.full(HOURS_A_WEEK, 0.2), np.full(HOURS_A_WEEK, 8.0), 0.02, 10.0)
    said = expected.evidence(np.arange(400)[None], stories, negative)
    paths = np.ascontiguousarray(said.transpose(2, 0, 1).astype(np.float32))
    sets = [(4.0, 6.0, 5.0), (5.0, OFF, OFF)]
    each, surges = rise_counts(paths, sets, burn_in=0)
    for number, thresholds in enumerate(sets):
        found, begun = np.zeros(3, dtype=int), 0
        for path in range(40):
            _, rises, up = follow(AT_REST, 0, said[:, path], thresholds)
            np.add.at(found, [rise.detector for rise in rises], 1)
            begun += int(np.diff(np.concatenate([[False], up]).astype(int)).clip(0).sum())
        # Sums in single precision may tip one rise in a hundred.
        assert each[number] == pytest.approx(found, rel=0.02, abs=1)
        assert surges[number].sum() == pytest.approx(begun, rel=0.02, abs=1)
    assert found[SHARE] > 20 and RECOVERY > 0


def test_paths_may_have_thresholds_of_their_own() -> None:
    said = np.zeros((1, 3, 2), dtype=np.float32)
    said[0, SHARE] = 5.0
    limits = np.full((1, 3, 2), OFF)
    limits[0, SHARE] = (4.0, 6.0)
    [(_, began)] = walk_paths(said, limits)
    assert began.tolist() == [[True, False]]


def test_a_lower_threshold_is_not_reached_by_nothing_that_happened() -> None:
    state, _ = walk([(10, 5)] * 2, (50.0, 50.0, OFF))
    before = state.gauges[SHARE].statistic
    assert before > 1
    after = rescaled(state, (50.0, 50.0, OFF), (5.0, 5.0, 5.0))
    assert after.gauges[SHARE].statistic == pytest.approx(before / 10)
    # While it was off it was not watched.
    assert state.gauges[COUNT].statistic > 0 == after.gauges[COUNT].statistic


def test_what_is_up_stays_up_under_other_thresholds() -> None:
    state, _ = walk([(10, 7)] * 6)
    assert rescaled(state, ONLY_SHARE, (9.0, OFF, OFF)).gauges[SHARE] == state.gauges[SHARE]
