"""Which of many answers to one question is the best?

Pure. Answers that say nearly the same, but for numbers and dates, are one group; the group with the
highest score (`answer_score`) wins.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.data.groups import near_groups

# What counts how much is a choice, in the order resolution, rating and frequency, recency: it only
# says which answer a person reads first.
_WEIGHTS: Final = {"resolved": 0.4, "rating": 0.25, "frequency": 0.25, "recency": 0.1}
_HALF_LIFE_DAYS: Final = 180.0
_NEARLY_SAME: Final = 0.7
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer that was given, and what is known of its conversation."""

    text: str
    resolved: bool | None = None
    rating: float | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True)
class ChosenAnswer:
    """`agreement`: share of all answers that say nearly this; `resolved_share`: of the
    conversations with this answer whose end is known, None where there is none."""

    text: str
    score: float
    agreement: float
    resolved_share: float | None


def answer_score(group: Sequence[Candidate], total: int, newest: float | None) -> float:
    """How good a group of nearly equal answers is, from 0 to 1; `total`: answers to the question,
    `newest`: time of the latest of them.

    0.4 resolution + 0.25 rating + 0.25 frequency + 0.1 recency, each from 0 to 1. Resolution and
    rating are means with one more observation of 0.5 (Krichevsky and Trofimov 1981), so that one
    good conversation does not beat twenty that nearly all were. Recency halves in 180 days.
    """
    flags = [float(c.resolved) for c in group if c.resolved is not None]
    ratings = [c.rating for c in group if c.rating is not None]
    times = [c.time for c in group if c.time is not None]
    parts = {
        "resolved": _shrunk(flags),
        "rating": _shrunk(ratings),
        "frequency": len(group) / total,
        "recency": 0.5,
    }
    if times and newest is not None:
        parts["recency"] = 0.5 ** (max(newest - max(times), 0.0) / _DAY / _HALF_LIFE_DAYS)
    return sum(weight * parts[name] for name, weight in _WEIGHTS.items())


def _shrunk(values: Sequence[float]) -> float:
    return (sum(values) + 0.5) / (len(values) + 1)


def choose_answer(candidates: Sequence[Candidate]) -> ChosenAnswer:
    """The best of at least one answer: the group with the highest score, in the words that were
    used most in it, of equals the latest."""
    newest = max((c.time for c in candidates if c.time is not None), default=None)
    numbers = same_answers([candidate.text for candidate in candidates])
    groups: dict[int, list[Candidate]] = defaultdict(list)
    for candidate, number in zip(candidates, numbers, strict=True):
        groups[number].append(candidate)
    scores = {n: answer_score(group, len(candidates), newest) for n, group in groups.items()}
    best = min(groups, key=lambda number: (-scores[number], number))
    flags = [float(c.resolved) for c in groups[best] if c.resolved is not None]
    return ChosenAnswer(
        _usual_words(groups[best]),
        scores[best],
        len(groups[best]) / len(candidates),
        sum(flags) / len(flags) if flags else None,
    )


def same_answers(texts: Sequence[str]) -> list[int]:
    """For each answer the position of the first that says nearly the same (4-gram Jaccard
    similarity ≥ 0.7); an order number or a date in it makes no other answer."""
    return near_groups([re.sub(r"\d", "0", text) for text in texts], _NEARLY_SAME)


def _usual_words(group: Sequence[Candidate]) -> str:
    counts = Counter(candidate.text for candidate in group)
    latest = {c.text: c.time or 0.0 for c in sorted(group, key=lambda c: c.time or 0.0)}
    return min(counts, key=lambda text: (-counts[text], -latest[text], text))
