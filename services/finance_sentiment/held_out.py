"""What did a model say of the rows that judged it, so that the next one can be compared with it?

Each row is there under a digest of its text, with its true label and what was said of it by a model
that had not seen it. Two models of nearly the same data judge by nearly the same rows, so the two
answers to one row make a pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import ArtifactError
from core.evaluation.comparison import MetricDifference, metric_difference
from core.text import comparison_key

FILE: Final = "held_out.json"


@dataclass(frozen=True)
class Answers:
    """Of one head: digest of the text → (its label, what was said)."""

    of: Mapping[str, tuple[str, str]]

    def __len__(self) -> int:
        return len(self.of)


def digest_of(text: str) -> str:
    """Of texts that differ in case and punctuation only, the same: 16 hex digits."""
    said = comparison_key(text).encode("utf-8", "replace")
    return hashlib.sha256(said).hexdigest()[:16]


def write_answers(folder: Path, held_out: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Keep them in a new artefact. `held_out`: head → HeldOutPredictions on rows of `texts`."""
    document = {
        head: {
            digest_of(texts[row]): [judged.classes[label], judged.classes[said]]
            for row, label, said in zip(
                judged.rows.tolist(),
                judged.labels.tolist(),
                judged.probabilities.argmax(axis=1).tolist(),
                strict=True,
            )
        }
        for head, judged in held_out.items()
    }
    (folder / FILE).write_text(json.dumps(document, sort_keys=True), encoding="utf-8")


def read_answers(folder: Path) -> dict[str, Answers]:
    """Head → answers; nothing for an artefact of before they were kept."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            head: Answers({key: (str(pair[0]), str(pair[1])) for key, pair in said.items()})
            for head, said in document.items()
        }
    except (ValueError, AttributeError, TypeError, IndexError) as error:
        raise ArtifactError(
            f"{FILE} is not what training writes", mend="Train the model again."
        ) from error


def compared(old: Answers, new: Answers, rng: np.random.Generator) -> MetricDifference | None:
    """Accuracy of both on the rows that judged both, each with the label that it has now, and new −
    old with its paired interval; None where they share no row."""
    shared = sorted(set(old.of) & set(new.of))
    if not shared:
        return None
    truth = [new.of[key][0] for key in shared]
    was, now = (
        np.array([answers.of[key][1] == t for key, t in zip(shared, truth, strict=True)], float)
        for answers in (old, new)
    )
    return metric_difference(
        len(shared), lambda rows: float(was[rows].mean()), lambda rows: float(now[rows].mean()), rng
    )
