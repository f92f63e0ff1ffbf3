"""What do larger or several models say of the rows that a small one is to learn?

A teacher is any classifier artefact: one made from a larger base model, or some of our own that
differ by seed or settings. Their calibrated probabilities are averaged (an ensemble), and the
student learns to say the same (`FineTuneConfig.teacher_weight`). Served is the student alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.artifacts import read_manifest
from core.errors import DataError
from core.inference.classifier import TextClassifier
from core.training.rows import IntArray
from core.training.spread import spread

FloatArray = npt.NDArray[np.float32]
# The least probability that a teacher's word can give a class.
_LEAST = 1e-6
_BATCH = 256


def ask_teachers(
    folders: Sequence[Path],
    texts: Sequence[str],
    classes: Mapping[str, tuple[str, ...]],
    *,
    labels: Mapping[str, IntArray] | None = None,
    threads: int = 2,
) -> dict[str, FloatArray]:
    """Head → (n, classes) logarithms of the mean of the teachers' probabilities.

    With `labels` (head → (n,) class numbers, −1 for none) each teacher's word is first spread over
    the texts from those of known label, in its own embedding space. Classes that a teacher does not
    know get none of its word; DataError where a teacher lacks a head or shares no class with it.
    """
    sums = {name: np.zeros((len(texts), len(of))) for name, of in classes.items()}
    for folder in folders:
        settings = read_manifest(folder).settings["classifier"]
        teacher = TextClassifier.load(folder, settings, threads=threads)
        columns = {name: _columns(teacher, name, of, folder) for name, of in classes.items()}
        parts = [teacher.predict(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        embeddings = np.concatenate([part.encoded.embeddings for part in parts])
        for name, (ours, theirs) in columns.items():
            said = np.zeros((len(texts), len(classes[name])), dtype=np.float32)
            said[:, ours] = np.concatenate([p.heads[name].probabilities for p in parts])[:, theirs]
            sums[name] += said if labels is None else spread(embeddings, said, labels[name])
    return {
        name: np.log(np.maximum(total / len(folders), _LEAST)).astype(np.float32)
        for name, total in sums.items()
    }


def _columns(
    teacher: TextClassifier, name: str, labels: tuple[str, ...], folder: Path
) -> tuple[list[int], list[int]]:
    """Positions of the shared classes: (ours, the teacher's)."""
    if name not in teacher.heads:
        raise DataError(
            f"the teacher {folder} has no head {name!r}, it has {', '.join(teacher.heads)}",
            mend="Take a teacher that was trained on the same kind of labels.",
        )
    theirs = {label: i for i, label in enumerate(teacher.heads[name].labels)}
    shared = [i for i, label in enumerate(labels) if label in theirs]
    if not shared:
        raise DataError(
            f"the teacher {folder} knows none of the {len(labels)} classes of {name!r}",
            mend="Take a teacher that was trained on the same labels.",
        )
    return shared, [theirs[labels[i]] for i in shared]
