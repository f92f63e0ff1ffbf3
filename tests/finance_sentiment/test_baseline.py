"""Is what was put into a simulated history found in it, and is the promise kept?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.finance_sentiment.baseline import Normal, fit, threshold_for
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.surge import CALM, follow


def simulated(
    weeks: int,
    *,
    topics: int = 6,
    volume: float = 8.0,
    share: float = 0.2,
    overdispersion: float = 0.05,
    seed: int = 0,
) -> HourlyCounts:
    rng = np.random.default_rng(seed)
    stories = rng.poisson(volume, size=(topics, weeks * HOURS_A_WEEK)).astype(np.int64)
    weight = (1 - overdispersion) / overdispersion
    shares = rng.beta(share * weight, (1 - share) * weight, size=stories.shape)
    names = tuple(f"topic {n}" for n in range(topics))
    return HourlyCounts(480_000, names, stories, rng.binomial(stories, shares))


def learned(history: HourlyCounts) -> Normal:
    return fit(history, np.random.default_rng(1))


def alarms(normal: Normal, threshold: float, counts: HourlyCounts) -> int:
    found = 0
    for topic, stories, negative in zip(
        counts.topics, counts.stories, counts.negative, strict=True
    ):
        table = normal.table(topic, int(stories.max()))
        found += len(follow(CALM, counts.first_hour, stories, negative, table, threshold)[1])
    return found


def test_share_and_overdispersion_are_found() -> None:
    normal = learned(simulated(8))
    assert normal.of("topic 1").share == pytest.approx(0.2, abs=0.02)
    assert normal.alike[-1] == pytest.approx(0.05, abs=0.015)
    assert normal.alike[0] < 0.01


def test_a_topic_of_a_few_stories_is_drawn_towards_all() -> None:
    history = simulated(2)
    history.stories[0], history.negative[0] = 0, 0
    history.stories[0, 5] = history.negative[0, 5] = 2
    assert learned(history).of("topic 0").share < 0.35


def test_a_topic_never_seen_counts_as_the_average_one() -> None:
    normal = learned(simulated(1))
    assert normal.of("something new") == normal.pooled


def test_a_past_surge_does_not_count_as_normal() -> None:
    history = simulated(4)
    surge = slice(200, 240)
    history.negative[2, surge] = (history.stories[2, surge] * 0.9).astype(np.int64)
    quiet = learned(simulated(4)).of("topic 2").share
    assert learned(history).of("topic 2").share == pytest.approx(quiet, abs=0.01)


def test_false_alarms_come_about_as_often_as_promised() -> None:
    history, future = simulated(8, seed=1), simulated(60, seed=2)
    normal = learned(history)
    threshold = threshold_for(normal, history, 1.0, np.random.default_rng(2))
    # 60 expected; three standard deviations of a Poisson count either way.
    assert 37 <= alarms(normal, threshold, future) <= 84


def test_a_stricter_promise_and_a_shorter_history_give_a_higher_threshold() -> None:
    history = simulated(8)
    rng = np.random.default_rng
    normal = learned(history)
    weekly = threshold_for(normal, history, 1.0, rng(0))
    assert threshold_for(normal, history, 0.1, rng(0)) > weekly + 1
    assert threshold_for(normal, history, 0.001, rng(0)) > weekly + 3
    short = history.between(history.first_hour, history.first_hour + 80)
    assert threshold_for(learned(short), short, 1.0, rng(0)) > weekly


def test_the_same_seed_gives_the_same_threshold() -> None:
    history = simulated(2)
    normal = learned(history)
    first, second = (
        threshold_for(normal, history, 1.0, np.random.default_rng(5)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_history_of_one_kind_only_is_no_obstacle(share: float) -> None:
    history = simulated(1)
    history.negative[:] = (history.stories * share).astype(np.int64)
    normal = learned(history)
    assert 0 < threshold_for(normal, history, 1.0, np.random.default_rng(0)) < 100


def test_what_is_normal_survives_the_database() -> None:
    normal = learned(simulated(1))
    assert Normal.from_json(json.loads(json.dumps(normal.to_json()))) == normal
