"""Is what was put into a simulated history found in it?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.finance_sentiment.baseline import Normal, fit, longest_silence
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.profiles import slot_differences

FIRST = 480_000 - 480_000 % HOURS_A_WEEK


def simulated(
    weeks: int,
    *,
    topics: int = 6,
    volume: float = 8.0,
    share: float = 0.2,
    overdispersion: float = 0.05,
    by_hour: float = 0.0,
    seed: int = 0,
) -> HourlyCounts:
    """`by_hour`: half the day has odds and numbers e^±by_hour as high."""
    rng = np.random.default_rng(seed)
    hours = np.arange(weeks * HOURS_A_WEEK)
    wave = by_hour * np.where(hours % 24 < 12, 1.0, -1.0)
    shape = (topics, len(hours))
    stories = rng.poisson(volume * np.exp(wave), size=shape).astype(np.int64)
    weight = (1 - overdispersion) / overdispersion
    odds = share / (1 - share) * np.exp(wave)
    mean = odds / (1 + odds)
    shares = rng.beta(mean * weight, (1 - mean) * weight, size=shape)
    names = tuple(f"topic {n}" for n in range(topics))
    return HourlyCounts(FIRST, names, stories, rng.binomial(stories, shares))


def test_share_overdispersion_and_volume_are_found() -> None:
    normal = fit(simulated(8))
    assert normal.of("topic 1").share == pytest.approx(0.2, abs=0.02)
    assert normal.of("topic 1").stories == pytest.approx(8.0, rel=0.05)
    assert normal.alike[-1] == pytest.approx(0.05, abs=0.015)
    assert normal.alike[0] < 0.01


def test_the_hour_of_the_day_is_found_in_shares_and_numbers() -> None:
    expected = fit(simulated(8, by_hour=0.5)).expected("topic 1")
    odds = expected.share / (1 - expected.share)
    high, low = np.arange(HOURS_A_WEEK) % 24 < 12, np.arange(HOURS_A_WEEK) % 24 >= 12
    assert np.log(odds[high].mean() / odds[low].mean()) == pytest.approx(1.0, abs=0.2)
    stories = expected.stories
    assert np.log(stories[high].mean() / stories[low].mean()) == pytest.approx(1.0, abs=0.1)


def test_a_pattern_of_the_hour_is_no_overdispersion() -> None:
    assert fit(simulated(8, by_hour=0.5)).alike[-1] == pytest.approx(0.05, abs=0.02)


def test_where_there_is_no_pattern_next_to_none_is_put_on() -> None:
    expected = fit(simulated(8)).expected("topic 1")
    assert np.ptp(expected.share) < 0.06
    assert np.ptp(expected.stories) < 1.0


def test_a_slot_of_a_few_rounds_is_drawn_towards_no_difference() -> None:
    rng = np.random.default_rng(1)
    weight = np.full(24 * 10, 4.0)
    wave = np.resize(np.repeat([0.8, -0.8], 12), 240)
    rest = wave * weight + rng.normal(0, 2.0, 240)
    found = slot_differences(rest, weight, 0, 24)
    assert np.abs(found[:12] - 0.8).mean() < 0.25 and found[:12].mean() > found[12:].mean() + 1
    assert not slot_differences(rest[:24], weight[:24], 0, 24).any()


def test_a_topic_of_a_few_stories_is_drawn_towards_all() -> None:
    history = simulated(2)
    history.stories[0], history.negative[0] = 0, 0
    history.stories[0, 5] = history.negative[0, 5] = 2
    assert fit(history).of("topic 0").share < 0.35


def test_a_topic_never_seen_counts_as_the_average_one() -> None:
    normal = fit(simulated(1))
    assert normal.of("something new") == normal.pooled


def test_hours_that_are_left_out_do_not_count() -> None:
    history = simulated(4)
    history.negative[2, 200:240] = history.stories[2, 200:240]
    used = np.ones(history.stories.shape, dtype=np.bool_)
    used[2, 200:240] = False
    quiet = fit(simulated(4)).of("topic 2")
    assert fit(history, used).of("topic 2").share == pytest.approx(quiet.share, abs=0.01)
    assert fit(history, used).of("topic 2").stories == pytest.approx(quiet.stories, rel=0.03)


def test_topics_that_lean_one_way_together_tell_less_of_the_day() -> None:
    alone, together = simulated(8, topics=10), simulated(8, topics=10)
    rng = np.random.default_rng(5)
    for history, rows in ((alone, 10), (together, 1)):
        lean = np.repeat(rng.beta(4, 16, size=(rows, 56)), 24, axis=1)
        history.negative[:] = rng.binomial(history.stories, np.broadcast_to(lean, (10, 56 * 24)))
    assert fit(together).freedom[0] < fit(alone).freedom[0] / 3


def test_the_longest_silence_is_counted_in_stories() -> None:
    stories = np.array([1.0, 0, 0, 2, 0, 0, 0])
    assert longest_silence(stories, np.full(7, 0.5)) == 1.5
    assert longest_silence(np.ones(3), np.ones(3)) == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_history_of_one_kind_only_is_no_obstacle(share: float) -> None:
    history = simulated(1)
    history.negative[:] = (history.stories * share).astype(np.int64)
    expected = fit(history).expected("topic 0")
    assert np.all((expected.share > 0) & (expected.share < 1)) and expected.size > 0


def test_what_is_normal_survives_the_database() -> None:
    normal = fit(simulated(2))
    assert Normal.from_json(json.loads(json.dumps(normal.to_json()))) == normal
