"""How do shares and numbers of stories go up and down with the hour of the week?

Three steps, each on what the one before left unexplained: the hour of the day over all topics, the
hour of the week over all topics, the hour of the day of each topic by itself. In each, what a slot
shows is drawn towards no difference (empirical Bayes): by how much tells its own scatter from day
to day, or week to week, against the differences between slots that this scatter does not explain.
Where there is no pattern, or too little history to tell one from chance, nothing is put on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from services.finance_sentiment.counts import HOURS_A_DAY, HOURS_A_WEEK
from services.finance_sentiment.evidence import FloatArray
from services.finance_sentiment.surge import BoolArray

# A slot differs from the rest by at most this factor either way, in odds or in number.
_MOST = np.log(50.0)


@dataclass(frozen=True)
class Profiles:
    """On the scale of log odds (shares) or logs (numbers): (168,) over all topics, (topics, 24)
    each topic's own beyond that. `level`: (topics,) what they are put on, for numbers."""

    by_week: FloatArray
    by_day: FloatArray
    level: FloatArray

    def applied(self, share: FloatArray, first_hour: int, hours: int) -> FloatArray:
        """(topics, hours): shares with their hours."""
        odds = (share / (1 - share))[:, None] * np.exp(self._shift(first_hour, hours))
        return np.asarray(odds / (1 + odds))

    def numbers(self, first_hour: int, hours: int) -> FloatArray:
        """(topics, hours): expected stories."""
        return np.asarray(self.level[:, None] * np.exp(self._shift(first_hour, hours)))

    def _shift(self, first_hour: int, hours: int) -> FloatArray:
        slot = (first_hour + np.arange(hours)) % HOURS_A_WEEK
        return np.asarray(self.by_week[slot] + self.by_day[:, slot % HOURS_A_DAY])

    def with_week(self, found: FloatArray) -> Profiles:
        """With this much more, (24,) or (168,)."""
        week = np.clip(self.by_week + np.resize(found, HOURS_A_WEEK), -_MOST, _MOST)
        return Profiles(week, self.by_day, self.level)

    def with_day(self, found: FloatArray) -> Profiles:
        """With this much more of each topic, (topics, 24)."""
        return Profiles(self.by_week, np.clip(self.by_day + found, -_MOST, _MOST), self.level)


# What profiles leave unexplained, (topics, hours), and the variance of that by chance alone.
Left = Callable[[Profiles], tuple[FloatArray, FloatArray]]


def _flat(topics: int, level: FloatArray) -> Profiles:
    return Profiles(np.zeros(HOURS_A_WEEK), np.zeros((topics, HOURS_A_DAY)), level)


def share_profiles(n: FloatArray, k: FloatArray, share: FloatArray, first_hour: int) -> Profiles:
    """Of the share; `n`, `k` (topics, hours), `share` (topics,) inside of 0 to 1. One Newton step
    of the likelihood each: Σ(k − np) / Σ np(1−p)."""
    found = _flat(len(n), share)

    def left(profiles: Profiles) -> tuple[FloatArray, FloatArray]:
        p = profiles.applied(share, first_hour, n.shape[1])
        return k - n * p, n * p * (1 - p)

    return _three_steps(found, left, first_hour)


def volume_profiles(
    n: FloatArray, used: BoolArray, first_hour: int
) -> tuple[Profiles, FloatArray, FloatArray]:
    """(profiles, (topics, hours) of expected stories, (topics,) relative error of the level) of
    the number of stories."""
    exposure = np.maximum(used.sum(axis=1), 1)
    found = _flat(len(n), n.sum(axis=1) / exposure)

    def left(profiles: Profiles) -> tuple[FloatArray, FloatArray]:
        mean = np.where(used, profiles.numbers(first_hour, n.shape[1]), 0.0)
        return n - mean, mean

    found = _three_steps(found, left, first_hour, log=True)
    mean = np.where(used, found.numbers(first_hour, n.shape[1]), 0.0)
    total = np.maximum(mean.sum(axis=1), 1e-9)
    found = Profiles(found.by_week, found.by_day, found.level * n.sum(axis=1) / total)
    rest = by_span(left(found)[0], first_hour, HOURS_A_DAY)
    error = np.sqrt((rest**2).sum(axis=1)) / np.maximum(n.sum(axis=1), 1.0)
    return found, found.numbers(first_hour, n.shape[1]), np.clip(error, 0.0, 1.0)


def _three_steps(found: Profiles, left: Left, first_hour: int, *, log: bool = False) -> Profiles:
    def shift(rest: FloatArray, weight: FloatArray, period: int) -> FloatArray:
        said = slot_differences(rest, weight, first_hour, period)
        return np.asarray(np.log(np.maximum(1 + said, 1e-3))) if log else said

    for period in (HOURS_A_DAY, HOURS_A_WEEK):
        rest, weight = left(found)
        found = found.with_week(shift(rest.sum(axis=0), weight.sum(axis=0), period))
    rest, weight = left(found)
    own = [shift(r, w, HOURS_A_DAY) for r, w in zip(rest, weight, strict=True)]
    return found.with_day(np.stack(own)) if own else found


def slot_differences(
    rest: FloatArray, weight: FloatArray, first_hour: int, period: int
) -> FloatArray:
    """(period,) what each slot differs by, shrunken; `rest` (hours,) is what is unexplained,
    `weight` (hours,) its variance by chance alone, and so what it is worth."""
    start = first_hour % period
    rounds_rest, rounds_weight = (
        _padded(values[None], start, period).reshape(-1, period) for values in (rest, weight)
    )
    rounds = (rounds_weight > 0).sum(axis=0)
    total = rounds_weight.sum(axis=0)
    known = (rounds >= 2) & (total > 0)
    if known.sum() < 2:
        return np.zeros(period)
    shown = np.divide(rounds_rest.sum(axis=0), total, out=np.zeros(period), where=known)
    scatter = ((rounds_rest - shown * rounds_weight) ** 2).sum(axis=0)
    scatter *= rounds / np.maximum(rounds - 1, 1)
    # One slot's scatter is of a few rounds only: half of it is what all slots show.
    typical = scatter[known].sum() / total[known].sum()
    error = np.divide(
        np.maximum(0.5 * scatter + 0.5 * typical * total, total),
        total**2,
        out=np.zeros(period),
        where=known,
    )
    worth = total[known] / total[known].sum()
    between = float((worth * (shown[known] ** 2 - error[known])).sum())
    # What chance alone could make of it is no pattern.
    between -= 2 * float(np.sqrt((worth**2 * 2 * error[known] ** 2).sum()))
    if between <= 0:
        return np.zeros(period)
    return np.where(known, shown * between / (between + error), 0.0)


def by_span(values: FloatArray, first_hour: int, span: int) -> FloatArray:
    """(topics, spans): sums over spans of so many hours since 1970, the first and last of which
    may be in part."""
    padded = _padded(values, first_hour % span, span)
    return np.asarray(padded.reshape(len(values), -1, span).sum(axis=2))


def _padded(values: FloatArray, before: int, span: int) -> FloatArray:
    after = -(before + values.shape[1]) % span
    return np.pad(values, ((0, 0), (before, after)))
