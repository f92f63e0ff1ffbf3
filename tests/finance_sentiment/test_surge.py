"""Does evidence point the right way, and does an alert live as it is told?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finance_sentiment.surge import (
    CALM,
    RECOVERY,
    EvidenceTable,
    Surge,
    WatchState,
    alert_counts,
    follow,
    step,
)

SHARES = st.floats(0.01, 0.9)
OVERDISPERSIONS = st.floats(1e-4, 0.5)
HOURS = st.lists(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=40,
)
TABLE = EvidenceTable.build(0.2, 0.02, 100)


def walk(hours: list[tuple[int, int]], threshold: float = 5.0) -> tuple[WatchState, list[Surge]]:
    stories, negative = (np.array(column) for column in zip(*hours, strict=True))
    return follow(CALM, 0, stories, negative, TABLE, threshold)


def statistic(hours: list[tuple[int, int]], share: float, rho: float) -> float:
    table = EvidenceTable.build(share, rho, 40)
    state = CALM
    for hour, (stories, negative) in enumerate(hours):
        state = step(state, hour, table.of(stories, negative), math.inf)
    return state.statistic


def log_beta_binomial(k: int, n: int, p: float, rho: float) -> float:
    a, b = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
    return (
        math.lgamma(k + a)
        + math.lgamma(n - k + b)
        - math.lgamma(n + a + b)
        + (math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    )


@pytest.mark.parametrize(("n", "k"), [(1, 0), (1, 1), (12, 3), (12, 12), (60, 20)])
def test_evidence_is_the_log_ratio_of_two_beta_binomials(n: int, k: int) -> None:
    expected = log_beta_binomial(k, n, 0.4, 0.02) - log_beta_binomial(k, n, 0.2, 0.02)
    assert TABLE.of(n, k) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(HOURS, SHARES, OVERDISPERSIONS, st.data())
def test_a_story_that_turns_negative_never_lowers_the_statistic(
    hours: list[tuple[int, int]], share: float, rho: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(hours) - 1))
    stories, negative = hours[at]
    worse = [*hours]
    worse[at] = (stories, min(stories, negative + 1))
    assert statistic(worse, share, rho) >= statistic(hours, share, rho) - 1e-9


@settings(max_examples=50, deadline=None)
@given(HOURS, SHARES, OVERDISPERSIONS, st.data())
def test_one_more_negative_story_never_lowers_the_statistic(
    hours: list[tuple[int, int]], share: float, rho: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(hours) - 1))
    worse = [*hours]
    worse[at] = (hours[at][0] + 1, hours[at][1] + 1)
    assert statistic(worse, share, rho) >= statistic(hours, share, rho) - 1e-9


def test_overdispersion_makes_one_bad_hour_weigh_less() -> None:
    bunched = EvidenceTable.build(0.2, 0.2, 20)
    assert bunched.of(12, 12) < TABLE.of(12, 12)


def test_an_alert_starts_at_the_threshold_and_ends_when_normal_is_likely_again() -> None:
    calm, bad = (10, 2), (10, 6)
    _, surges = walk([calm] * 5 + [bad] * 4 + [calm] * 30)
    [surge] = surges
    assert 5 <= surge.onset <= surge.started < 9
    assert surge.resolved is not None and surge.resolved >= 9


def test_an_alert_that_lasts_is_open_and_goes_on_from_its_state() -> None:
    bad, calm = np.full(6, 10), np.full(30, 10)
    state, [open_surge] = follow(CALM, 100, bad, np.full(6, 7), TABLE, 5.0)
    assert open_surge.resolved is None
    _, [closed] = follow(state, 106, calm, np.full(30, 1), TABLE, 5.0)
    assert (closed.onset, closed.started) == (open_surge.onset, open_surge.started)
    assert closed.resolved is not None


def test_silence_resolves_nothing() -> None:
    state, surges = walk([(10, 8)] * 3 + [(0, 0)] * 500)
    assert surges[-1].resolved is None
    assert state.started is not None


@settings(max_examples=50, deadline=None)
@given(HOURS, st.integers(0, 40))
def test_a_walk_cut_in_two_finds_the_same(hours: list[tuple[int, int]], cut: int) -> None:
    whole_state, whole = walk(hours)
    cut = min(cut, len(hours))
    stories, negative = (np.array(column) for column in zip(*hours, strict=True))
    state, first = follow(CALM, 0, stories[:cut], negative[:cut], TABLE, 5.0)
    state, second = follow(state, cut, stories[cut:], negative[cut:], TABLE, 5.0)
    assert state == whole_state
    closed = [surge for surge in first if surge.resolved is not None]
    assert closed + second == whole


def test_the_simulation_lives_alerts_as_the_watch_does() -> None:
    rng = np.random.default_rng(3)
    stories = rng.poisson(3, size=(40, 400))
    negative = rng.binomial(stories, 0.3)
    evidence = TABLE.negative[negative] + TABLE.other[stories - negative]
    counted = alert_counts(evidence.T.astype(np.float32), [2.0, 4.0], burn_in=0)
    for limit, count in zip((2.0, 4.0), counted.tolist(), strict=True):
        walked = [
            follow(CALM, 0, n, k, TABLE, limit)[1] for n, k in zip(stories, negative, strict=True)
        ]
        # Sums in single precision may tip one alert in a hundred.
        assert count == pytest.approx(sum(map(len, walked)), rel=0.02)
    assert RECOVERY > 0
