"""Does a model that learned corrections earn the live one's place?

    held-out rows        each head is not worse beyond chance on the rows that judged both models
                         (the paired interval of the difference decides)
    corrected texts      it is right about at least as many of them as the live one
    what it knows        no head and no topic of the live one is lost

Where the two share no held-out row (a model of before these were kept), the figures of the two
manifests are compared, as `trefoil models promote` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import Version, read_manifest
from core.errors import PromotionRefused
from services.finance_sentiment.held_out import compared, read_answers
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.lessons import Taught
from services.gate import not_worse

_NAMED = 5


@dataclass(frozen=True)
class Verdict:
    """`reasons` against the candidate, none where it passed; `figures` for people to read."""

    reasons: tuple[str, ...]
    figures: Mapping[str, Any]


def judge(
    live: Version, folder: Path, taught: Sequence[Taught], *, threads: int, seed: int = 0
) -> Verdict:
    """The candidate in `folder` against the live version."""
    reasons, figures = held_out_objections(live, folder, np.random.default_rng(seed))
    old, new = (Labeler.load(path, threads=threads) for path in (live.path, folder))
    reasons += knowledge_objections(heads_of(old), heads_of(new))
    was, now, asked = right(old, taught), right(new, taught), sum(len(t.labels) for t in taught)
    figures["corrected"] = {"labels": asked, "live": was, "candidate": now}
    if now < was:
        reasons.append(
            f"of {asked} labels that people corrected it gets {now} right, the live model {was}"
        )
    return Verdict(tuple(reasons), figures)


def held_out_objections(
    live: Version, folder: Path, rng: np.random.Generator
) -> tuple[list[str], dict[str, Any]]:
    """(what held-out rows say against the candidate, figures by head)."""
    old, new = read_answers(live.path), read_answers(folder)
    reasons: list[str] = []
    figures: dict[str, Any] = {}
    for head in sorted(set(old) & set(new)):
        found = compared(old[head], new[head], rng)
        if found is None:
            continue
        figures[head] = {
            "rows": len(set(old[head].of) & set(new[head].of)),
            "live": found.first,
            "candidate": found.second,
            "difference": found.difference,
            "difference_ci": [found.low, found.high],
        }
        if found.verdict == "worse":
            reasons.append(
                f"{head}: right on {found.second:.3f} of the held-out rows, the live model on "
                f"{found.first:.3f} (difference {found.low:+.3f} to {found.high:+.3f})"
            )
    if not figures:
        try:
            not_worse(live, folder)
        except PromotionRefused as error:
            reasons.append(error.message)
        figures["compared"] = "by the figures of the manifests: no held-out row is shared"
    return reasons, figures


def heads_of(labeler: Labeler) -> dict[str, tuple[str, ...]]:
    """Head → the labels that it knows."""
    return {name: tuple(head.labels) for name, head in labeler.model.heads.items()}


def knowledge_objections(
    old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]
) -> list[str]:
    """What the candidate does not know any more."""
    found = []
    for head, labels in old.items():
        lost = sorted(set(labels) - set(new.get(head, ())))
        if lost:
            named = ", ".join(lost[:_NAMED]) + (" and others" if len(lost) > _NAMED else "")
            found.append(f"it no longer knows the {head} {named}")
    return found


def right(labeler: Labeler, taught: Sequence[Taught]) -> int:
    """How many of the labels that people gave are the model's own, as it is served."""
    labels = labeler.label([one.text for one in taught])
    return sum(
        getattr(label, head) == said
        for label, one in zip(labels, taught, strict=True)
        for head, said in one.labels.items()
    )


def manifest_topics(folder: Path) -> tuple[str, ...]:
    """The topics of the artefact in this folder, none where it knows none."""
    heads = read_manifest(folder).settings["classifier"]["heads"]
    return tuple(heads.get("topic", {}).get("labels", ()))
