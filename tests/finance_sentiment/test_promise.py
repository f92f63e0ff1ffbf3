"""Is the promise on false alarms kept, and by what does it move?"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from services.finance_sentiment import promise as promising
from services.finance_sentiment.baseline import Normal
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.promise import Marks, Promise, learn
from services.finance_sentiment.surge import AT_REST, Thresholds, follow
from tests.finance_sentiment.test_baseline import simulated

Learned = tuple[Normal, Promise]


def learned(history: HourlyCounts, wanted: float = 1.0, marks: Marks | None = None) -> Learned:
    return learn(history, wanted, np.random.default_rng(1), marks=marks)


@pytest.fixture(scope="module")
def eight_weeks() -> Learned:
    return learned(simulated(8, seed=1))


def alerts(normal: Normal, thresholds: Thresholds, counts: HourlyCounts) -> int:
    found = 0
    for topic in counts.topics:
        _, _, up = follow(AT_REST, counts.first_hour, normal.evidence(topic, counts), thresholds)
        found += int(np.diff(np.concatenate([[False], up]).astype(int)).clip(0).sum())
    return found


def test_false_alarms_come_about_as_often_as_promised(eight_weeks: Learned) -> None:
    normal, promise = eight_weeks
    # 60 expected; three standard deviations of a Poisson count either way.
    assert 37 <= alerts(normal, promise.thresholds, simulated(60, seed=2)) <= 84


def test_promised_and_what_the_past_shows_stand_side_by_side(eight_weeks: Learned) -> None:
    _, promise = eight_weeks
    assert promise.simulated == pytest.approx(promise.aimed_at, rel=0.25)
    assert promise.aimed_at <= promise.false_alarms_per_week == 1.0
    assert promise.bootstrap is not None and 0 <= promise.bootstrap < 4


def test_more_accepted_false_alarms_mean_lower_thresholds(eight_weeks: Learned) -> None:
    _, promise = eight_weeks
    ladder = [promise.others["0.25"], promise.others["0.5"], promise.thresholds]
    ladder += [promise.others["2"], promise.others["4"]]
    for detector in range(3):
        thresholds = [step[detector] for step in ladder]
        assert thresholds == sorted(thresholds, reverse=True)


def test_what_the_simulation_cannot_show_is_extrapolated(
    eight_weeks: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 32)
    _, rare = learned(simulated(8, seed=1), 0.001)
    assert rare.thresholds[0] > eight_weeks[1].thresholds[0] + 3


def test_a_short_history_gives_a_higher_threshold_and_does_without_the_count(
    eight_weeks: Learned,
) -> None:
    history = simulated(8, seed=1)
    _, short = learned(history.between(history.first_hour, history.first_hour + 80))
    assert short.thresholds[0] > eight_weeks[1].thresholds[0]
    assert math.isinf(short.thresholds[2]) and short.bootstrap is None


def test_a_past_surge_does_not_count_as_normal_unless_it_was_marked_as_false(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 32)
    history = simulated(4)
    quiet = learned(simulated(4))[0].of("topic 2").share
    surge = slice(200, 260)
    history.negative[2, surge] = (history.stories[2, surge] * 0.9).astype(np.int64)
    assert learned(history)[0].of("topic 2").share == pytest.approx(quiet, abs=0.01)
    span = ("topic 2", history.first_hour + 190, history.first_hour + 270)
    marked = learned(history, marks=Marks(1, 4.0, (span,)))[0].of("topic 2").share
    assert marked > quiet + 0.03


def test_alerts_marked_as_false_beyond_the_promise_raise_the_thresholds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 32)
    history = simulated(4)
    before, as_promised, many = (
        learned(history, marks=Marks(false, 4.0))[1] for false in (0, 4, 20)
    )
    assert before.thresholds == as_promised.thresholds
    assert many.aimed_at == pytest.approx(before.aimed_at * 15 / 31)
    assert many.thresholds[0] > before.thresholds[0]


def test_a_past_that_is_worse_than_its_simulation_raises_the_thresholds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 32)
    history = simulated(8, overdispersion=0.01)
    # Every fifth day all stories of four hours are of one kind: no beta distribution is like it.
    hours = np.arange(8 * HOURS_A_WEEK)
    odd = (hours % 120 >= 60) & (hours % 120 < 64)
    history.negative[:, odd] = history.stories[:, odd] // 2
    _, promise = learned(history)
    assert promise.aimed_at < 1.0


def test_the_same_seed_gives_the_same_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 16)
    history = simulated(2)
    assert learned(history) == learned(history)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_history_of_one_kind_only_is_no_obstacle(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promising, "MAX_PATHS", 16)
    history = simulated(1)
    history.negative[:] = (history.stories * share).astype(np.int64)
    assert 0 < learned(history)[1].thresholds[0] < 100


def test_a_promise_survives_the_database(eight_weeks: Learned) -> None:
    for promise in (eight_weeks[1], Promise(1.0, 1.0, (5.0, 9.0, math.inf), 1.0, None)):
        assert Promise.from_json(json.loads(json.dumps(promise.to_json()))) == promise
