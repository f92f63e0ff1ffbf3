"""Which classes are there, and which rows judge a model that never saw them?"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.data.records import LabeledText
from core.errors import DataError
from core.text import comparison_key, for_model

IntArray = npt.NDArray[np.intp]

# From here on one held-out part judges as well as folds do, and costs a fifth of the time.
_SINGLE_SPLIT_FROM = 5000
_FOLDS = 5
_VALIDATION_SHARE = 0.12
# More rows judge no better, and each of them is missing in training.
_MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class TrainingRows:
    """`labels`: head → (n,) class numbers, −1 where a row has no label for that head;
    `classes`: head → label names in the order of the numbers; the last `extra` rows (corrections,
    names of labels) train and never judge; `named`: whether names of labels are among them."""

    texts: tuple[str, ...]
    labels: Mapping[str, IntArray]
    classes: Mapping[str, tuple[str, ...]]
    extra: int = 0
    named: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    def with_label_names(self) -> TrainingRows:
        """With the name of each label as one more row of it, where it has words."""
        more = [
            (head, number, words)
            for head, names in self.classes.items()
            for number, name in enumerate(names)
            if (words := words_of(name))
        ]
        labels = {
            head: np.concatenate([of, [n if head == h else -1 for h, n, _ in more]]).astype(np.intp)
            for head, of in self.labels.items()
        }
        texts = (*self.texts, *(words for _, _, words in more))
        return TrainingRows(texts, labels, self.classes, self.extra + len(more), named=True)

    def take(self, rows: IntArray) -> TrainingRows:
        """Some of the rows, by number; all classes stay."""
        texts = tuple(self.texts[row] for row in rows)
        labels = {head: of[rows] for head, of in self.labels.items()}
        extra = int((rows >= len(self) - self.extra).sum())
        return TrainingRows(texts, labels, self.classes, extra, self.named)

    def fingerprint(self) -> str:
        """SHA-256 over texts and labels in order: the manifest's `data_sha256`."""
        digest = hashlib.sha256()
        for row, text in enumerate(self.texts):
            labels = ",".join(self._label(head, row) for head in sorted(self.labels))
            digest.update(f"{text}\x1f{labels}\x1e".encode("utf-8", "replace"))
        return digest.hexdigest()

    def _label(self, head: str, row: int) -> str:
        number = self.labels[head][row]
        return self.classes[head][number] if number >= 0 else ""


@dataclass(frozen=True)
class Fold:
    """Row numbers to train on and row numbers to judge by; they never meet."""

    train: IntArray
    held_out: IntArray


def training_rows(
    rows: Sequence[LabeledText], heads: Sequence[str], *, extra: int = 0
) -> TrainingRows:
    """Number the classes of each head; the last `extra` rows are never to judge. DataError where a
    head has fewer than two classes."""
    labels: dict[str, IntArray] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for head in heads:
        names = sorted({row.labels[head] for row in rows if head in row.labels})
        if len(names) < 2:
            found = f"only {names[0]!r}" if names else "none"
            raise DataError(
                f"{head} needs at least 2 different labels to be learnt, found {found}",
                mend="Add rows of another class.",
            )
        number = {name: i for i, name in enumerate(names)}
        classes[head] = tuple(names)
        labels[head] = np.array([number.get(row.labels.get(head, ""), -1) for row in rows])
    return TrainingRows(tuple(row.text for row in rows), labels, classes, extra)


def rows_to_learn(
    given: tuple[Sequence[LabeledText], Sequence[LabeledText]],
    heads: Sequence[str],
    rng: np.random.Generator,
    *,
    single: bool,
    label_names: bool = False,
) -> tuple[TrainingRows, list[Fold]]:
    """All that is learned from, and the folds (one with `single`) whose rows judge. `given`: rows,
    and corrections of such.

    Corrections train and never judge, and rows of their texts (but for case and punctuation) are
    left out for them; which of the others judge is as it would be without them, so that models
    of the same rows can be compared row by row.
    """
    labelled, corrections = ([replace(r, text=for_model(r.text)) for r in part] for part in given)
    rows = training_rows([*labelled, *corrections], heads, extra=len(corrections))
    if label_names:
        rows = rows.with_label_names()
    folds = [single_split(rows, rng)] if single else cross_validation_folds(rows, rng)
    corrected = {comparison_key(row.text) for row in corrections}
    if not corrected:
        return rows, folds
    gone = [n for n, row in enumerate(labelled) if comparison_key(row.text) in corrected]
    rows, folds = _without(rows, gone, folds)
    if not folds:
        raise DataError("corrections take the place of all rows that could judge", mend="Add rows.")
    return rows, folds


def _without(
    rows: TrainingRows, gone: Sequence[int], folds: Sequence[Fold]
) -> tuple[TrainingRows, list[Fold]]:
    """The rows but for those numbered `gone`, and what is left of the folds."""
    kept = np.ones(len(rows), dtype=np.bool_)
    kept[list(gone)] = False
    number = np.cumsum(kept) - 1
    left = [
        Fold(number[fold.train[kept[fold.train]]], number[fold.held_out[kept[fold.held_out]]])
        for fold in folds
    ]
    return rows.take(np.flatnonzero(kept)), [fold for fold in left if len(fold.held_out)]


def words_of(name: str) -> str:
    """The words of a label's name: `card_arrival`, `card-arrival`, `cardArrival` → `card arrival`.
    Empty where it is a number or a code (`faq_17`)."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(re.split(r"[\W_]+", spaced)).strip().lower()
    return "" if re.search(r"\d", words) or len(words) < 2 else words


def cross_validation_folds(rows: TrainingRows, rng: np.random.Generator) -> list[Fold]:
    """Stratified folds; one single split where rows are many. DataError where none can be made."""
    if rows.extra:
        folds = cross_validation_folds(_judging(rows), rng)
        return [_with_extra(fold, rows) for fold in folds]
    if len(rows) >= _SINGLE_SPLIT_FROM:
        return [single_split(rows, rng)]
    assignment = _stratified_order(rows, rng) % _FOLDS
    folds = [
        Fold(np.flatnonzero(assignment != k), np.flatnonzero(assignment == k))
        for k in range(_FOLDS)
    ]
    usable = [f for f in folds if len(f.held_out) and _trainable(rows, f.train)]
    if not usable:
        raise _too_few(rows)
    return usable


def single_split(rows: TrainingRows, rng: np.random.Generator) -> Fold:
    """One stratified split, 12 % held out, at most 1,000 rows; every class keeps a row to train on.

    Of fewer than 16 rows a larger share is held out, so that there is something to judge by.
    DataError where no row can be spared.
    """
    if rows.extra:
        return _with_extra(single_split(_judging(rows), rng), rows)
    order = _stratified_order(rows, rng)
    every = min(round(1 / _VALIDATION_SHARE), max(2, len(rows) // 2))
    every = max(every, math.ceil(len(rows) / _MOST_HELD_OUT))
    held_out = order % every == every - 1
    for labels in rows.labels.values():
        for number in set(labels[held_out]) - set(labels[~held_out]) - {-1}:
            held_out[np.flatnonzero(labels == number)[0]] = False
    if not held_out.any():
        raise _too_few(rows)
    return Fold(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _judging(rows: TrainingRows) -> TrainingRows:
    return rows.take(np.arange(len(rows) - rows.extra))


def _with_extra(fold: Fold, rows: TrainingRows) -> Fold:
    extra = np.arange(len(rows) - rows.extra, len(rows))
    return Fold(np.concatenate([fold.train, extra]), fold.held_out)


def _too_few(rows: TrainingRows) -> DataError:
    return DataError(
        f"{len(rows)} rows are too few to learn from some and to judge by others",
        mend="Add rows: at least two of one class and one of another, better ten of each.",
    )


def _stratified_order(rows: TrainingRows, rng: np.random.Generator) -> IntArray:
    """(n,) a number per row such that rows of one class get consecutive numbers at random.

    Classes follow one another in one count, so that also classes of one row spread over folds.
    The first head's label is the stratum, the others' break ties.
    """
    keys = np.stack([rows.labels[head] for head in rows.labels])
    shuffled = rng.permutation(len(rows))
    by_class = shuffled[np.lexsort(keys[::-1, shuffled])]
    order = np.empty(len(rows), dtype=np.intp)
    order[by_class] = np.arange(len(rows))
    return order


def _trainable(rows: TrainingRows, train: IntArray) -> bool:
    return all(len(set(labels[train]) - {-1}) >= 2 for labels in rows.labels.values())
