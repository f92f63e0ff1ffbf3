"""What is normal on each topic, hour by hour of the week?

Fitted on hourly counts of the past eight weeks, without the stretches that are left out (past
surges; promise.py finds them):

1. Shares. A topic's share of negative stories, drawn towards the share of all topics the more, the
   fewer its stories and the more alike the topics are (empirical Bayes by moments).
2. The hour of the week, see profiles.py: how shares and numbers of stories go up and down with it.
3. Overdispersion, from pairs of stories on one topic: by how much pairs within one hour, within
   one block of `SPANS` hours but not one hour, and within one day (UTC) but not one block are alike
   beyond chance. News come in days and in bunches, and are carried again an hour later. Estimated
   over all topics together, drawn towards `PRIOR_OVERDISPERSION` as if `_PRIOR_PAIRS` pairs had
   shown it; wider spans are never more alike than narrower ones. Topics that lean one way together
   on the same day tell less of it: that lowers the degrees of freedom.
4. The spread of the number of negative stories, as r of a negative binomial, by moments.

Topics and companies are fitted apart, each kind drawn towards its own kind only: news of one
company come in other bunches than those of a topic, and every story of a company is one of a topic
too. A company is a series only where it has at least `LEAST_STORIES` in what is learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from services.finance_sentiment.counts import HOURS_A_DAY, HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.evidence import (
    MAX_OVERDISPERSION,
    MAX_SHARE,
    MIN_OVERDISPERSION,
    MIN_SHARE,
    Expected,
    FloatArray,
)
from services.finance_sentiment.profiles import by_span, share_profiles, volume_profiles
from services.finance_sentiment.series import company_of
from services.finance_sentiment.surge import BoolArray

HISTORY_HOURS = 8 * HOURS_A_WEEK
# Below it a company is not followed: not even all of an hour's news being bad could be told from
# chance, and each such series would cost time. See docs/COMPANIES.md.
LEAST_STORIES = 50
PRIOR_OVERDISPERSION = 0.02
_PRIOR_PAIRS = 500.0
# Hours of the spans that stories share, from wide to narrow; each holds the next a whole number
# of times.
SPANS = (24, 4, 1)
# What the prior of the overdispersion is worth, in degrees of freedom.
_LEAST_FREEDOM = 20.0
# Strength, in stories, of what all topics say of one: between these.
_LEAST_PRIOR, _MOST_PRIOR = 5.0, 200.0
# 1/r: from hardly more than a Poisson to bursts of many times the mean.
_LEAST_SPREAD, _MOST_SPREAD = 1e-3, 5.0


@dataclass(frozen=True)
class TopicNormal:
    """A topic's negative share and how well it is known, in independent stories; its stories an
    hour, the relative error of that, and r of the negative ones; how share (log odds) and stories
    (log) go by the hour of the day, beyond what all topics do by the hour of the week."""

    share: float
    strength: float
    stories: float = 0.0
    stories_error: float = 0.0
    size: float = 1 / _LEAST_SPREAD
    share_by_day: tuple[float, ...] = (0.0,) * HOURS_A_DAY
    stories_by_day: tuple[float, ...] = (0.0,) * HOURS_A_DAY
    # The longest silence of the history, in stories that should have come in it.
    silence: float = 0.0


@dataclass(frozen=True)
class Normal:
    """What was fitted. `alike`: correlation of two stories of one topic that share a span but no
    narrower one, for each of `SPANS`, and `freedom` how well that is known, in degrees of freedom;
    `pooled`: what is taken for a topic not seen yet."""

    topics: Mapping[str, TopicNormal]
    pooled: TopicNormal
    alike: tuple[float, ...]
    freedom: tuple[float, ...]
    share_by_week: tuple[float, ...] = (0.0,) * HOURS_A_WEEK
    stories_by_week: tuple[float, ...] = (0.0,) * HOURS_A_WEEK
    # The same of companies; None where none has stories enough.
    companies: Normal | None = None

    def kind(self, topic: str) -> Normal:
        """What was fitted on series of its kind: of topics, or of companies."""
        return self if self.companies is None or company_of(topic) is None else self.companies

    def knows(self, topic: str) -> bool:
        """Whether it was learned; a company that was not is not watched."""
        return topic in self.kind(topic).topics

    def of(self, topic: str) -> TopicNormal:
        """What is normal for a topic."""
        kind = self.kind(topic)
        return kind.topics.get(topic, kind.pooled)

    def shifts(self, topic: str) -> FloatArray:
        """(168,) by how much the log odds of the share differ in each hour of the week."""
        own = np.resize(self.of(topic).share_by_day, HOURS_A_WEEK)
        return np.asarray(np.add(self.kind(topic).share_by_week, own))

    def expected(self, topic: str) -> Expected:
        """Share, stories and spread of the topic for each hour of the week."""
        known, kind = self.of(topic), self.kind(topic)
        odds = known.share / (1 - known.share) * np.exp(self.shifts(topic))
        by_hour = np.add(kind.stories_by_week, np.resize(known.stories_by_day, HOURS_A_WEEK))
        share = np.clip(odds / (1 + odds), MIN_SHARE, MAX_SHARE)
        return Expected(share, known.stories * np.exp(by_hour), kind.alike[-1], known.size)

    def evidence(self, topic: str, counts: HourlyCounts) -> FloatArray:
        """(3, hours): what each hour of the topic says; see evidence.py."""
        row = counts.topics.index(topic)
        hours = counts.first_hour + np.arange(counts.stories.shape[1])
        return self.expected(topic).evidence(hours, counts.stories[row], counts.negative[row])

    def to_json(self) -> dict[str, Any]:
        """Fit for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Normal:
        """What `to_json` gave."""
        lists = ("alike", "freedom", "share_by_week", "stories_by_week")
        companies = document.get("companies")
        return cls(
            topics={name: _topic(said) for name, said in document["topics"].items()},
            pooled=_topic(document["pooled"]),
            **{name: tuple(document[name]) for name in lists},
            companies=None if companies is None else cls.from_json(companies),
        )


def _topic(said: Mapping[str, Any]) -> TopicNormal:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
    return TopicNormal(**values)


def learnable(history: HourlyCounts) -> HourlyCounts:
    """Without the companies that have too few stories in it."""
    total = dict(zip(history.topics, history.stories.sum(axis=1).tolist(), strict=True))
    return history.only(lambda t: company_of(t) is None or total[t] >= LEAST_STORIES)


def fit(history: HourlyCounts, used: BoolArray | None = None) -> Normal:
    """What the hours that are `used` (topics, hours; None for all) show. There must be at least
    one story of a topic in them."""
    used = np.ones(history.stories.shape, dtype=np.bool_) if used is None else used
    of_company = np.array([company_of(topic) is not None for topic in history.topics], np.bool_)
    if not of_company.any():
        return _fit_kind(history, used)
    topics = history.only(lambda topic: company_of(topic) is None)
    companies = history.only(lambda topic: company_of(topic) is not None)
    of_companies = _fit_kind(companies, used[of_company])
    if not topics.topics:
        return replace(of_companies, companies=of_companies)
    return replace(_fit_kind(topics, used[~of_company]), companies=of_companies)


def _fit_kind(history: HourlyCounts, used: BoolArray) -> Normal:
    n = np.where(used, history.stories, 0).astype(np.float64)
    k = np.where(used, history.negative, 0).astype(np.float64)
    stories, negative = n.sum(axis=1), k.sum(axis=1)
    seen = stories > 0
    own = np.divide(negative, stories, out=np.zeros_like(stories), where=seen)
    first = history.first_hour
    by_hour = share_profiles(n, k, np.clip(own, MIN_SHARE, MAX_SHARE), first)
    p = by_hour.applied(np.clip(own, MIN_SHARE, MAX_SHARE), first, n.shape[1])
    alike, freedom, effective = _overdispersion(n, k, p, own, first)
    pooled = float((negative.sum() + 0.5) / (stories.sum() + 1.0))
    prior = _prior_strength(own[seen], effective[seen], pooled)
    share = np.clip((own * effective + pooled * prior) / (effective + prior), MIN_SHARE, MAX_SHARE)
    volume, rate, error = volume_profiles(n, used, first)
    mean = by_hour.applied(share, first, n.shape[1]) * np.where(used, rate, 0.0)
    size = _sizes(k, mean)
    topics = {
        topic: TopicNormal(
            share=float(share[row]),
            strength=float(effective[row] + prior),
            stories=float(volume.level[row]),
            stories_error=float(error[row]),
            size=float(size[row]),
            share_by_day=_listed(by_hour.by_day[row]),
            stories_by_day=_listed(volume.by_day[row]),
            silence=longest_silence(n[row], np.where(used[row], rate[row], 0.0)),
        )
        for row, topic in enumerate(history.topics)
    }
    average = TopicNormal(
        share=float(np.clip(pooled, MIN_SHARE, MAX_SHARE)),
        strength=prior,
        stories=float(volume.level[seen].mean()) if seen.any() else 0.0,
        stories_error=1.0,
        size=float(np.median(size)),
    )
    return Normal(
        topics, average, alike, freedom, _listed(by_hour.by_week), _listed(volume.by_week)
    )


def longest_silence(stories: FloatArray, expected: FloatArray) -> float:
    """The most stories that were expected in hours in a row without one; both (hours,)."""
    summed = np.cumsum(np.where(stories == 0, expected, 0.0))
    # What had been summed when the last story came.
    since = np.maximum.accumulate(np.where(stories > 0, summed, 0.0))
    return float((summed - since).max(initial=0.0))


def _listed(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 5).tolist())


def _sizes(k: FloatArray, mean: FloatArray) -> FloatArray:
    """r of each topic: E[(k − λ)²] = λ + λ²/r, each topic drawn towards all as if by one more
    topic's worth of hours."""
    excess = ((k - mean) ** 2 - mean).sum(axis=1)
    scale = (mean**2).sum(axis=1)
    pooled = excess.sum() / max(scale.sum(), 1e-9)
    spread = (excess + pooled * scale.mean()) / np.maximum(scale + scale.mean(), 1e-9)
    return np.asarray(1 / np.clip(spread, _LEAST_SPREAD, _MOST_SPREAD))


def _overdispersion(
    n: FloatArray, k: FloatArray, p: FloatArray, own: FloatArray, first_hour: int
) -> tuple[tuple[float, ...], tuple[float, ...], FloatArray]:
    """(correlation, degrees of freedom, both for each of SPANS, effective stories a topic), by
    moments over ordered pairs.

    For a pair i, j of one topic E[(x_i − p)(x_j − p)] = ρ p(1−p). The share is estimated from the
    same stories, which takes about p(1−p)/N off every pair; that is put back.
    """
    spread, total = own * (1 - own), n.sum(axis=1)
    lost = np.divide(spread, total, out=np.zeros_like(total), where=total > 0)
    # Of each story with itself, which is in every sum below and is no pair.
    inner_products, inner_pairs = (k * (1 - 2 * p) + n * p**2).sum(axis=1), total
    alike: list[float] = []
    freedom: list[float] = []
    alike_pairs = np.zeros_like(total)
    for span in reversed(SPANS):
        span_n, rest = by_span(n, first_hour, span), by_span(k - n * p, first_hour, span)
        products, pairs = (rest**2).sum(axis=1), (span_n**2).sum(axis=1)
        found = products - inner_products + (pairs - inner_pairs) * lost
        rho = _shrunken(found.sum(), ((pairs - inner_pairs) * spread).sum(), spread)
        alike.append(min([rho, *alike]))
        freedom.append(_freedom(span_n, rest, alike[-1]))
        alike_pairs += (pairs - inner_pairs) * alike[-1]
        inner_products, inner_pairs = products, pairs
    design = np.divide(alike_pairs, total, out=np.zeros_like(total), where=total > 0)
    return tuple(reversed(alike)), tuple(reversed(freedom)), total / (1 + design)


def _shrunken(found: float, pairs: float, spread: FloatArray) -> float:
    prior = _PRIOR_PAIRS * float(spread.mean() if spread.any() else 0.1)
    rho = (found + PRIOR_OVERDISPERSION * prior) / (pairs + prior)
    return float(min(max(rho, MIN_OVERDISPERSION), MAX_OVERDISPERSION))


def _freedom(span_n: FloatArray, rest: FloatArray, rho: float) -> float:
    """Degrees of freedom of a correlation: a span of m stories shows its own share with
    reliability w = ρ(m−1) / (1 + ρ(m−1)), and counts w² of one. Where what is left of T topics in
    the same span has correlation c, T squares vary like T / (1 + (T−1)c²) independent ones."""
    other = rho * np.maximum(span_n - 1, 0)
    counted = ((other / (1 + other)) ** 2).sum()
    scaled = rest / np.sqrt(np.maximum((rest**2).mean(axis=1, keepdims=True), 1e-12))
    topics = int((rest != 0).any(axis=1).sum())
    common = 0.0
    if topics > 1:
        own = float((scaled**2).sum())
        common = (float((scaled.sum(axis=0) ** 2).sum()) - own) / (own * (topics - 1))
    return float(max(_LEAST_FREEDOM, counted / (1 + max(topics - 1, 0) * max(common, 0.0) ** 2)))


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
