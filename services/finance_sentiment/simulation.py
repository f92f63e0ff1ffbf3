"""What do weeks look like in which nothing is wrong?

Weeks are simulated under what was fitted: past days of volume in random order, all topics of a day
together, each weekday from its own kind where there are two weeks to draw from; a share, a level of
volume and overdispersions drawn from what the history leaves open; days, blocks and hours drawn
around the share. Since what is uncertain is part of it, a short history gives higher thresholds.
"""

from __future__ import annotations

import numpy as np

from services.finance_sentiment.baseline import SPANS, Normal
from services.finance_sentiment.counts import (
    HOURS_A_DAY,
    HOURS_A_WEEK,
    HourlyCounts,
    IntArray,
)
from services.finance_sentiment.evidence import (
    MAX_OVERDISPERSION,
    MIN_OVERDISPERSION,
    FloatArray,
)
from services.finance_sentiment.surge import BoolArray, SingleArray

SIMULATED_WEEKS = 4
_BURN_IN_WEEKS = 1
BURN_IN = _BURN_IN_WEEKS * HOURS_A_WEEK
MAX_PATHS = 128
_MAX_SIMULATED_HOURS = 3_000_000
_DAYS = (SIMULATED_WEEKS + _BURN_IN_WEEKS) * 7


def simulated_evidence(
    normal: Normal,
    history: HourlyCounts,
    rng: np.random.Generator,
    *,
    max_paths: int,
    used: BoolArray | None = None,
) -> SingleArray:
    """(hours, 3, paths of all topics, topic by topic) of evidence when nothing is wrong. Hours
    that are not `used` (topics, hours) lend their volume as if it had been the expected one."""
    hours = _DAYS * HOURS_A_DAY
    topics = len(history.topics)
    paths = int(np.clip(_MAX_SIMULATED_HOURS // (hours * max(1, topics)), 4, max_paths))
    start = -history.first_hour % HOURS_A_DAY + history.first_hour
    volumes = _day_volumes(normal, history, rng, used)
    found = np.zeros((hours, 3, topics * paths), dtype=np.float32)
    if not volumes.shape[1]:
        return found
    drawn = _drawn_days(volumes.shape[1], paths, rng)
    for row, topic in enumerate(history.topics):
        # Topics without a story stay empty: they belong to what is watched.
        if volumes[row].any():
            stories = volumes[row][drawn].reshape(paths, -1)
            evidence = _simulated_topic(normal, topic, start, stories, rng)
            found[:, :, row * paths : (row + 1) * paths] = evidence.transpose(2, 0, 1)
    return found


def _day_volumes(
    normal: Normal, history: HourlyCounts, rng: np.random.Generator, used: BoolArray | None
) -> IntArray:
    """(topics, whole days, 24)."""
    stories = history.stories
    if used is not None and not used.all():
        slot = (history.first_hour + np.arange(stories.shape[1])) % HOURS_A_WEEK
        expected = np.stack([normal.expected(topic).stories[slot] for topic in history.topics])
        stories = np.where(used, stories, rng.poisson(expected))
    filled = HourlyCounts(history.first_hour, history.topics, stories, history.negative)
    return filled.whole_days()[0]


def _drawn_days(days: int, paths: int, rng: np.random.Generator) -> IntArray:
    """(paths, _DAYS): positions of past days. The first simulated day falls on the weekday of the
    first past one."""
    if days < 14:
        return rng.integers(days, size=(paths, _DAYS))
    drawn = np.empty((paths, _DAYS), dtype=np.int64)
    for day in range(_DAYS):
        alike = np.arange(day % 7, days, 7)
        drawn[:, day] = rng.choice(alike, size=paths)
    return drawn


def _simulated_topic(
    normal: Normal, topic: str, start: int, stories: IntArray, rng: np.random.Generator
) -> FloatArray:
    """(3, paths, hours); `stories` (paths, hours) from hour `start` on."""
    paths, width = stories.shape
    normal = normal.kind(topic)
    known = normal.of(topic)
    hours = start + np.arange(width)
    stories = _other_level(stories, known.stories_error, rng)
    share = _around(np.full((paths, 1), known.share), 1 / (1 + known.strength), rng)
    outer: FloatArray = np.zeros((paths, 1))
    for span, rho, freedom in zip(SPANS, normal.alike, normal.freedom, strict=True):
        drawn_rho = rho * freedom / rng.chisquare(freedom, size=(paths, 1))
        drawn_rho = np.clip(np.maximum(drawn_rho, outer), 0.0, MAX_OVERDISPERSION)
        within, outer = (drawn_rho - outer) / (1 - outer), drawn_rho
        share = _around(np.repeat(share, width // span // share.shape[1], axis=1), within, rng)
    shifts = normal.shifts(topic)
    if shifts.any():
        odds = share / np.maximum(1 - share, 1e-9) * np.exp(shifts[hours % HOURS_A_WEEK])
        share = odds / (1 + odds)
    negative = rng.binomial(stories, np.clip(share, 0.0, 1.0))
    return normal.expected(topic).evidence(hours[None], stories, negative)


def _other_level(stories: IntArray, error: float, rng: np.random.Generator) -> IntArray:
    """The level of the history may have been off by its error: each path gets one of its own."""
    if error <= 0:
        return stories
    level = np.clip(rng.normal(1.0, error, size=(len(stories), 1)), 0.2, 3.0)
    kept = rng.binomial(stories, np.minimum(level, 1.0))
    return np.asarray(kept + rng.poisson(stories * np.maximum(level - 1.0, 0.0)))


def _around(
    mean: FloatArray, correlation: FloatArray | float, rng: np.random.Generator
) -> FloatArray:
    """Shares from beta distributions with these means; correlation 0 gives the mean itself."""
    centre = np.clip(mean, 1e-6, 1 - 1e-6)
    # A correlation of nothing would need an infinite weight; this one is as good.
    rho = np.clip(correlation, MIN_OVERDISPERSION / 10, MAX_OVERDISPERSION)
    weight = (1 - rho) / rho
    return np.asarray(rng.beta(centre * weight, (1 - centre) * weight))
