"""Why was this alert raised, and would it have been without this story or that source?

Pure: from the stories of a topic in the hours that an alert rests on, and what was normal then, to
one document that is kept with the alert. The document holds all that the figures follow from:
`replay` computes the detector's evidence anew from it and gives the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from services.finance_sentiment import evidence as evidence_module
from services.finance_sentiment.counts import HOURS_A_WEEK, IntArray
from services.finance_sentiment.evidence import DETECTORS, HOUR, Expected
from services.finance_sentiment.surge import RECOVERY, Gauge, step

MOST_STORIES = 20
# Stories that are tried one by one; an alert of thousands rests on no single one.
_MOST_TRIED = 500
_BAND = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Told:
    """A story as far as it matters here. `sources`: all that carried it, the first one first."""

    id: int
    title: str
    hour: int
    negative: bool
    p_negative: float | None
    sources: tuple[str, ...]
    model_version: str


@dataclass(frozen=True)
class Ground:
    """What an alert rests on: hours from `first_hour` to the one that raised it, what was expected
    in them, and how far the detector had come before."""

    detector: int
    threshold: float
    first_hour: int
    end_hour: int
    expected: Expected
    carried: float = 0.0


def explain(ground: Ground, stories: Sequence[Told]) -> dict[str, Any]:
    """The document. `stories`: those of the topic in the hours of `ground`, negative or not."""
    stories = [s for s in stories if ground.first_hour <= s.hour < ground.end_hour]
    counted, negative = _counts(ground, stories)
    basis = _basis(ground, counted, negative)
    statistic = replay(basis)
    bad = [story for story in stories if story.negative]
    by_source = Counter(story.sources[0] for story in bad if story.sources)
    moves = [(story, statistic - _without(basis, [story])) for story in bad[:_MOST_TRIED]]
    # Of one hour all negative stories move it alike: then the surest, the most carried first.
    moves.sort(
        key=lambda said: (-said[1], -(said[0].p_negative or 0.0), -len(said[0].sources), said[0].id)
    )
    needed_source = [
        name
        for name, _ in by_source.most_common(10)
        if _without(basis, [s for s in stories if s.sources and s.sources[0] == name])
        < ground.threshold
    ]
    return {
        "detector": DETECTORS[ground.detector],
        "rule_version": rule_version(),
        "model_versions": sorted({story.model_version for story in stories}),
        "statistic": statistic,
        "threshold": ground.threshold,
        # Of the statistic, what had gathered before this baseline was learned: no story below.
        "carried": ground.carried,
        "stories": [_story(story, move) for story, move in moves[:MOST_STORIES]],
        "would_not_have_fired_without": {
            "stories": [s.id for s, move in moves if statistic - move < ground.threshold][:10],
            "sources": needed_source,
        },
        "sources": {
            "stories": len(stories),
            "negative": len(bad),
            "mentions": sum(len(story.sources) for story in bad),
            "sources": len({name for story in bad for name in story.sources}),
            "by_source": dict(by_source.most_common(10)),
        },
        "one_source": next(iter(by_source)) if len(by_source) == 1 else None,
        "band": _band(ground, counted, negative),
        "basis": basis,
    }


def replay(basis: Mapping[str, Any]) -> float:
    """The statistic that the detector reached, computed anew from `basis` of a document."""
    expected = Expected(
        share=_by_hour_of_week(basis, "share"),
        stories=_by_hour_of_week(basis, "expected_stories"),
        overdispersion=basis["overdispersion"],
        size=basis["size"],
    )
    first, detector = basis["first_hour"], DETECTORS.index(basis["detector"])
    counted = np.asarray(basis["stories"], dtype=np.int64)
    negative = np.asarray(basis["negative"], dtype=np.int64)
    hours = first + np.arange(len(counted))
    said = expected.evidence(hours, counted, negative)
    gauge = Gauge(basis["carried"], first if basis["carried"] else None)
    highest = 0.0
    for at in range(len(counted)):
        gauge = step(gauge, detector, first + at, said[:, at], math.inf)
        highest = said[HOUR, at] if detector == HOUR else gauge.statistic
    return float(highest)


def rule_version() -> str:
    """Changes with whatever the detectors' evidence follows from, data apart."""
    names = ("SHIFT", "GROWTH", "MIN_SHARE", "MAX_SHARE", "MIN_OVERDISPERSION", "MIN_RATE")
    said = {name: getattr(evidence_module, name) for name in names} | {"RECOVERY": RECOVERY}
    text = json.dumps(said | {"detectors": DETECTORS}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _counts(ground: Ground, stories: Sequence[Told]) -> tuple[IntArray, IntArray]:
    counted = np.zeros((2, ground.end_hour - ground.first_hour), dtype=np.int64)
    for story in stories:
        counted[:, story.hour - ground.first_hour] += (1, story.negative)
    return counted[0], counted[1]


def _basis(ground: Ground, counted: IntArray, negative: IntArray) -> dict[str, Any]:
    slots = np.arange(ground.first_hour, ground.end_hour) % HOURS_A_WEEK
    return {
        "detector": DETECTORS[ground.detector],
        "first_hour": ground.first_hour,
        "stories": counted.tolist(),
        "negative": negative.tolist(),
        "share": ground.expected.share[slots].tolist(),
        "expected_stories": ground.expected.stories[slots].tolist(),
        "overdispersion": ground.expected.overdispersion,
        "size": ground.expected.size,
        "carried": ground.carried,
    }


def _by_hour_of_week(basis: Mapping[str, Any], name: str) -> Any:
    """(168,): what is kept by the hour, put back to its place in the week; a value in use anywhere
    else, so that nothing else is looked at."""
    values = np.asarray(basis[name], dtype=np.float64)
    found = np.full(HOURS_A_WEEK, values[0])
    found[(basis["first_hour"] + np.arange(len(values))) % HOURS_A_WEEK] = values
    return found


def _without(basis: Mapping[str, Any], stories: Sequence[Told]) -> float:
    """The statistic without these stories."""
    counted, negative = list(basis["stories"]), list(basis["negative"])
    for story in stories:
        counted[story.hour - basis["first_hour"]] -= 1
        negative[story.hour - basis["first_hour"]] -= int(story.negative)
    return replay({**basis, "stories": counted, "negative": negative})


def _story(story: Told, move: float) -> dict[str, Any]:
    kept = asdict(story)
    return {
        "id": story.id,
        "title": story.title,
        "hour": story.hour,
        "p_negative": story.p_negative,
        "sources": list(kept["sources"]),
        "moved": round(move, 4),
    }


def _band(ground: Ground, counted: IntArray, negative: IntArray) -> dict[str, Any]:
    """The share that was to be expected of so many stories, with the range that 95 % of such
    stretches keep within when nothing is wrong; and the share that was seen."""
    slots = np.arange(ground.first_hour, ground.end_hour) % HOURS_A_WEEK
    share = ground.expected.share[slots]
    total = int(counted.sum())
    if not total:
        return {"expected": None, "low": None, "high": None, "seen": None}
    middle = float((counted * share).sum() / total)
    bunched = counted * (1 + ground.expected.overdispersion * np.maximum(counted - 1, 0))
    spread = _BAND * math.sqrt(float((bunched * share * (1 - share)).sum())) / total
    return {
        "expected": middle,
        "low": max(0.0, middle - spread),
        "high": min(1.0, middle + spread),
        "seen": int(negative.sum()) / total,
    }
