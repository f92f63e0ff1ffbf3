"""What is normal on each topic, and which threshold keeps the promise on false alarms?

Fitted on hourly counts of the past eight weeks:

1. Shares. A topic's share of negative stories, drawn towards the share of all topics the more, the
   fewer its stories and the more alike the topics are (empirical Bayes by moments).
2. Overdispersion, from pairs of stories on one topic: by how much pairs within one hour, within
   one block of `SPANS` hours but not one hour, and within one day (UTC) but not one block are alike
   beyond chance. News come in days and in bunches, and are carried again an hour later. Estimated
   over all topics together, drawn towards `PRIOR_OVERDISPERSION` as if `_PRIOR_PAIRS` pairs had
   shown it; wider spans are never more alike than narrower ones.
3. Past surges do not count: stretches that a strict threshold (a false exclusion in one history of
   five, found as in 4) shows are left out and the fit is made again.
4. The threshold. Weeks are simulated under what was fitted: each topic's own past days of volume in
   random order, a share and overdispersions drawn from what its history leaves open, days, blocks
   and hours drawn around the share.
   The threshold, one for all topics, is where alerts over all topics come as often as promised.
   Since what is uncertain is part of the simulation, a short history gives a higher threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.finance_sentiment.counts import (
    HOURS_A_DAY,
    HOURS_A_WEEK,
    HourlyCounts,
    IntArray,
)
from services.finance_sentiment.surge import (
    CALM,
    MAX_OVERDISPERSION,
    MAX_SHARE,
    MIN_OVERDISPERSION,
    MIN_SHARE,
    EvidenceTable,
    FloatArray,
    alert_counts,
    follow,
)

HISTORY_HOURS = 8 * HOURS_A_WEEK
PRIOR_OVERDISPERSION = 0.02
_PRIOR_PAIRS = 500.0
# Hours of the spans that stories share, from wide to narrow; each holds the next a whole number
# of times.
SPANS = (24, 4, 1)
# What the prior of the overdispersion is worth, in degrees of freedom.
_LEAST_FREEDOM = 20.0
# Strength, in stories, of what all topics say of one: between these.
_LEAST_PRIOR, _MOST_PRIOR = 5.0, 200.0
_FALSE_EXCLUSIONS = 0.2
# A stretch that stays high for longer is the new normal.
_LONGEST_EXCLUDED = HOURS_A_WEEK

_THRESHOLDS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
_SIMULATED_WEEKS = 4
_BURN_IN_WEEKS = 1
MAX_PATHS = 128
_MAX_SIMULATED_HOURS = 3_000_000
# Fewer simulated alerts than this say too little of a rate; beyond, it is extrapolated.
_LEAST_EVENTS = 40


@dataclass(frozen=True)
class TopicShare:
    """A topic's negative share and how well it is known, in independent stories."""

    share: float
    strength: float


@dataclass(frozen=True)
class Normal:
    """What was fitted. `alike`: correlation of two stories of one topic that share a span but no
    narrower one, for each of `SPANS`, and `freedom` how well that is known, in degrees of freedom;
    `pooled`: what is taken for a topic not seen yet."""

    topics: Mapping[str, TopicShare]
    pooled: TopicShare
    alike: tuple[float, ...]
    freedom: tuple[float, ...]

    def of(self, topic: str) -> TopicShare:
        """The share of a topic."""
        return self.topics.get(topic, self.pooled)

    def table(self, topic: str, largest: int) -> EvidenceTable:
        """The evidence of this topic's hours, of up to `largest` stories."""
        return EvidenceTable.build(self.of(topic).share, self.alike[-1], largest)

    def to_json(self) -> dict[str, Any]:
        """Fit for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Normal:
        """What `to_json` gave."""
        topics = {name: TopicShare(**said) for name, said in document["topics"].items()}
        pooled = TopicShare(**document["pooled"])
        return cls(topics, pooled, tuple(document["alike"]), tuple(document["freedom"]))


def fit(history: HourlyCounts, rng: np.random.Generator) -> Normal:
    """Shares and overdispersion, past surges left out. There must be at least one story."""
    normal = _fit_once(history)
    weeks = max(1.0, history.stories.shape[1] / HOURS_A_WEEK)
    evidence = _simulated_evidence(normal, history, rng, max_paths=MAX_PATHS // 4)
    strict = _solve(evidence, _THRESHOLDS, len(history.topics), _FALSE_EXCLUSIONS / weeks)
    cleaned = history.without(_past_surges(normal, history, strict))
    return _fit_once(cleaned) if cleaned.stories.any() else normal


def threshold_for(
    normal: Normal,
    history: HourlyCounts,
    false_alarms_per_week: float,
    rng: np.random.Generator,
) -> float:
    """The threshold at which alerts, over all topics of the history, come so often when nothing
    is wrong. At least 1 (in nats): less would be an alert on a single story."""
    evidence = _simulated_evidence(normal, history, rng, max_paths=MAX_PATHS)
    # A part of the paths finds the neighbourhood, all of them the place in it.
    rough = _solve(evidence[:, ::8], _THRESHOLDS, len(history.topics), false_alarms_per_week)
    near = tuple(max(_THRESHOLDS[0], rough + d) for d in (-1.5, -0.5, 0.5))
    return _solve(evidence, near, len(history.topics), false_alarms_per_week)


def _past_surges(
    normal: Normal, history: HourlyCounts, threshold: float
) -> list[tuple[str, int, int]]:
    """(topic, from, to) of the stretches to leave out."""
    spans = []
    for topic, stories, negative in zip(
        history.topics, history.stories, history.negative, strict=True
    ):
        table = normal.table(topic, int(stories.max(initial=0)))
        _, surges = follow(CALM, history.first_hour, stories, negative, table, threshold)
        for surge in surges:
            end = surge.resolved or history.end_hour
            spans.append((topic, surge.onset, min(end, surge.onset + _LONGEST_EXCLUDED) + 1))
    return spans


def _solve(
    evidence: npt.NDArray[np.float32], thresholds: tuple[float, ...], topics: int, wanted: float
) -> float:
    """Where the rate of alerts a week, log-linear between the thresholds, is the wanted one."""
    counts = alert_counts(evidence, thresholds, _BURN_IN_WEEKS * HOURS_A_WEEK)
    usable = np.flatnonzero(counts >= _LEAST_EVENTS)
    if len(usable) == 0:
        return thresholds[0]
    tried = np.asarray(thresholds)[usable]
    logs = np.log(counts[usable] * topics / (evidence.shape[1] * _SIMULATED_WEEKS))
    target = math.log(wanted)
    if target >= logs[0]:
        return float(tried[0])
    if target >= logs[-1]:
        # np.interp wants rising positions; the rate falls with the threshold.
        return float(np.interp(-target, -logs, tried))
    # Beyond what the simulation shows, at the slope of its end; e^-h is the theory's slope.
    slope = 1.0
    if len(usable) >= 2 and tried[-1] > tried[-2]:
        slope = float(np.clip((logs[-2] - logs[-1]) / (tried[-1] - tried[-2]), 0.3, 1.0))
    return float(tried[-1] + (logs[-1] - target) / slope)


# --- the fit -----------------------------------------------------------------------------------


def _fit_once(history: HourlyCounts) -> Normal:
    stories = history.stories.sum(axis=1).astype(np.float64)
    negative = history.negative.sum(axis=1).astype(np.float64)
    seen = stories > 0
    own = np.divide(negative, stories, out=np.zeros_like(stories), where=seen)
    alike, effective = _overdispersion(history, own)
    pooled = float((negative.sum() + 0.5) / (stories.sum() + 1.0))
    prior = _prior_strength(own[seen], effective[seen], pooled)
    topics = {
        topic: TopicShare(
            share=_clip_share((own[row] * effective[row] + pooled * prior)
                              / (effective[row] + prior)),
            strength=float(effective[row] + prior),
        )
        for row, topic in enumerate(history.topics)
    }  # fmt: skip
    freedom = tuple(_freedom(history, span, rho) for span, rho in zip(SPANS, alike, strict=True))
    return Normal(topics, TopicShare(_clip_share(pooled), prior), alike, freedom)


def _clip_share(share: float) -> float:
    return float(min(max(share, MIN_SHARE), MAX_SHARE))


def _overdispersion(history: HourlyCounts, own: FloatArray) -> tuple[tuple[float, ...], FloatArray]:
    """(correlation for each of SPANS, effective stories a topic), by moments over ordered pairs.

    For a pair i, j of one topic E[(x_i − p)(x_j − p)] = ρ p(1−p). The share is estimated from the
    same stories, which takes about p(1−p)/N off every pair; that is put back.
    """
    n, k = history.stories.astype(np.float64), history.negative.astype(np.float64)
    p, spread, total = own[:, None], own * (1 - own), n.sum(axis=1)
    lost = np.divide(spread, total, out=np.zeros_like(total), where=total > 0)
    # Of each story with itself, which is in every sum below and is no pair.
    inner_products, inner_pairs = (k * (1 - 2 * p) + n * p**2).sum(axis=1), total
    alike: list[float] = []
    alike_pairs = np.zeros_like(total)
    for span in reversed(SPANS):
        span_n, span_k = _by_span(history, n, span), _by_span(history, k, span)
        products = ((span_k - span_n * p) ** 2).sum(axis=1)
        pairs = (span_n**2).sum(axis=1)
        found = products - inner_products + (pairs - inner_pairs) * lost
        rho = _shrunken(found.sum(), ((pairs - inner_pairs) * spread).sum(), spread)
        alike.append(min([rho, *alike]))
        alike_pairs += (pairs - inner_pairs) * alike[-1]
        inner_products, inner_pairs = products, pairs
    design = np.divide(alike_pairs, total, out=np.zeros_like(total), where=total > 0)
    return tuple(reversed(alike)), total / (1 + design)


def _shrunken(found: float, pairs: float, spread: FloatArray) -> float:
    prior = _PRIOR_PAIRS * float(spread.mean() if spread.any() else 0.1)
    rho = (found + PRIOR_OVERDISPERSION * prior) / (pairs + prior)
    return float(min(max(rho, MIN_OVERDISPERSION), MAX_OVERDISPERSION))


def _freedom(history: HourlyCounts, span: int, rho: float) -> float:
    """Degrees of freedom of a correlation: a span of m stories shows its own share with
    reliability w = ρ(m−1) / (1 + ρ(m−1)), and counts w² of one."""
    other = rho * np.maximum(_by_span(history, history.stories.astype(np.float64), span) - 1, 0)
    return float(max(_LEAST_FREEDOM, ((other / (1 + other)) ** 2).sum()))


def _by_span(history: HourlyCounts, values: FloatArray, span: int) -> FloatArray:
    """(topics, spans): sums over spans of so many hours since 1970, the first and last of which
    may be in part."""
    before = history.first_hour % span
    after = -(before + values.shape[1]) % span
    padded = np.pad(values, ((0, 0), (before, after)))
    return np.asarray(padded.reshape(len(values), -1, span).sum(axis=2))


def _prior_strength(own: FloatArray, effective: FloatArray, pooled: float) -> float:
    """How many stories' weight the share of all topics has for one of them: p(1−p)/v − 1, where v
    is the spread between topics that their finite numbers of stories do not explain."""
    if len(own) < 2:
        return _LEAST_PRIOR
    variance = pooled * (1 - pooled)
    chance = variance / np.maximum(effective, 1.0)
    weight = 1 / (chance + variance / _MOST_PRIOR)
    between = float((weight * ((own - pooled) ** 2 - chance)).sum() / weight.sum())
    if between <= 0:
        return _MOST_PRIOR
    return float(np.clip(variance / between - 1, _LEAST_PRIOR, _MOST_PRIOR))


# --- the simulation ----------------------------------------------------------------------------


def _simulated_evidence(
    normal: Normal,
    history: HourlyCounts,
    rng: np.random.Generator,
    *,
    max_paths: int,
) -> npt.NDArray[np.float32]:
    """(hours, paths of all topics) of evidence when nothing is wrong."""
    days = (_SIMULATED_WEEKS + _BURN_IN_WEEKS) * 7
    hours = days * HOURS_A_DAY
    topics = [t for t, row in zip(history.topics, history.stories, strict=True) if row.any()]
    affordable = _MAX_SIMULATED_HOURS // (hours * max(1, len(topics)))
    paths = int(np.clip(affordable, 4, max_paths))
    volumes, _ = history.whole_days()
    parts = [
        _simulated_topic(normal, topic, volumes[history.topics.index(topic)], days, paths, rng)
        for topic in topics
    ]
    # Topics without a story get paths too, empty ones: they belong to what is watched.
    empty = np.zeros((hours, paths), dtype=np.float32)
    parts += [empty] * (len(history.topics) - len(topics))
    return np.concatenate(parts, axis=1)


def _simulated_topic(
    normal: Normal,
    topic: str,
    volumes: IntArray,
    days: int,
    paths: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """(hours, paths); `volumes` (past days, 24)."""
    evidence = np.zeros((paths, days * HOURS_A_DAY), dtype=np.float32)
    if len(volumes) == 0 or not volumes.any():
        return evidence.T
    drawn = volumes[rng.integers(len(volumes), size=(paths, days))].reshape(paths, -1)
    known = normal.of(topic)
    share = _around(np.full((paths, 1), known.share), 1 / (1 + known.strength), rng)
    outer: FloatArray = np.zeros((paths, 1))
    path, hour = np.nonzero(drawn)
    for span, rho, freedom in zip(SPANS, normal.alike, normal.freedom, strict=True):
        drawn_rho = rho * freedom / rng.chisquare(freedom, size=(paths, 1))
        drawn_rho = np.clip(np.maximum(drawn_rho, outer), 0.0, MAX_OVERDISPERSION)
        within, outer = (drawn_rho - outer) / (1 - outer), drawn_rho
        spans = days * HOURS_A_DAY // span
        share = _around(np.repeat(share, spans // share.shape[1], axis=1), within, rng)
    stories = drawn[path, hour]
    of_hour = share[path, hour]
    negative = rng.binomial(stories, of_hour)
    table = normal.table(topic, int(volumes.max()))
    evidence[path, hour] = table.negative[negative] + table.other[stories - negative]
    return evidence.T


def _around(
    mean: FloatArray, correlation: FloatArray | float, rng: np.random.Generator
) -> FloatArray:
    """Shares from beta distributions with these means; correlation 0 gives the mean itself."""
    centre = np.clip(mean, 1e-6, 1 - 1e-6)
    # A correlation of nothing would need an infinite weight; this one is as good.
    rho = np.clip(correlation, MIN_OVERDISPERSION / 10, MAX_OVERDISPERSION)
    weight = (1 - rho) / rho
    return np.asarray(rng.beta(centre * weight, (1 - centre) * weight))
