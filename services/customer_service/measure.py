"""How good is a model on questions it never saw, judged as it is served?

Everything goes through the exported model and its decision rule. A figure that cannot be computed
is None, never absent; where a bootstrap makes sense, `<name>_ci` holds its 95 % interval.

`coverage` counts what is answered by an intent; whatever is left goes to a question back, to the
articles or to a person, which needs the knowledge base and is not judged here.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.data.readers import read_intents, read_texts
from core.data.records import OUT_OF_SCOPE, LabeledText
from core.evaluation.calibration import binary_ece
from core.evaluation.classification import macro_f1, mcc
from core.evaluation.intervals import bootstrap_statistic
from core.evaluation.openset import auroc, recall_at_false_rejection
from core.files import written_whole
from core.text import language_of
from services.customer_service.domain import NO_EVIDENCE, decide_by_intent, decide_unsure
from services.customer_service.train import is_out_of_scope
from services.customer_service.understanding import HEAD, IntentModel

FALSE_REJECTION: Final = 0.04
_RESAMPLES: Final = 300
_LANGUAGES: Final = ("en", "zh", "other")

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """(n,) each. `truth` and `best` are class numbers, −1 standing for out of scope in `truth` and
    for "not answered" in `decided`."""

    truth: Positions
    best: Positions
    confidence: Floats
    in_scope: Floats
    answered: Booleans

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def inside(self) -> Booleans:
        """(n,) which rows are in scope."""
        return np.asarray(self.truth != _NO_INTENT)

    @property
    def decided(self) -> Positions:
        """(n,) the service's own decision: the intent it answers, else out of scope."""
        return np.where(self.answered, self.best, _NO_INTENT)

    def take(self, rows: npt.NDArray[Any]) -> Judged:
        """The given rows, repeats included."""
        return Judged(
            self.truth[rows],
            self.best[rows],
            self.confidence[rows],
            self.in_scope[rows],
            self.answered[rows],
        )


_NO_INTENT: Final = -1


def evaluate(model: IntentModel, data: Path, *, seed: int = 0) -> dict[str, Any]:
    """DESIGN's keys for intents, and the same under `slices` for each language of the rows."""
    rows = read_intents(data)
    judged = judge(model, rows)
    languages = np.array([language_of(row.text) for row in rows])
    report = _figures(judged, seed)
    report["slices"] = {
        language: _figures(judged.take(np.flatnonzero(languages == language)), seed)
        for language in _LANGUAGES
        if (languages == language).any()
    }
    report["rows"] = len(rows)
    report["model_version"] = model.version
    report["unknown_intents"] = unknown_intents(model, rows)
    return report


def judge(model: IntentModel, rows: Sequence[LabeledText]) -> Judged:
    """What the model says of the rows, and whether it would answer."""
    predictions = model.predict([row.text for row in rows])
    names = [_label(row) for row in rows]
    # An intent the model does not know is a class of its own that is never predicted.
    numbers = {name: number for number, name in enumerate(model.intents)}
    for name in names:
        numbers.setdefault(name, len(numbers))
    numbers[OUT_OF_SCOPE] = _NO_INTENT
    head = predictions.heads[HEAD]
    return Judged(
        truth=np.array([numbers[name] for name in names], dtype=np.int64),
        best=head.best.astype(np.int64),
        confidence=head.confidence.astype(np.float64),
        in_scope=predictions.in_scope.astype(np.float64),
        answered=np.array([u.reading.sure for u in model.read(predictions)], dtype=bool),
    )


def unknown_intents(model: IntentModel, rows: Sequence[LabeledText]) -> list[str]:
    """Intents of the rows that the model was never taught."""
    known = {*model.intents, OUT_OF_SCOPE}
    return sorted({_label(row) for row in rows} - known)


def predict(model: IntentModel, texts: Path, output: Path) -> int:
    """Write text,intent,confidence,action for each row of `texts`; gives their number.

    The action is answer, clarify or abstain: the knowledge base is not asked here.
    """
    rows = read_texts(texts)
    everything = dict.fromkeys(model.intents, False)
    with written_whole(output) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "intent", "confidence", "action"])
        for row, understood in zip(rows, model.understand([r.text for r in rows]), strict=True):
            best = understood.reading.ranked[0]
            decision = decide_by_intent(understood.reading, everything) or decide_unsure(
                understood.reading, everything, NO_EVIDENCE, None
            )
            writer.writerow([row.text, best.intent, f"{best.probability:.4f}", decision.action])
    return len(rows)


def _label(row: LabeledText) -> str:
    return OUT_OF_SCOPE if is_out_of_scope(row) else row.labels[HEAD]


Metric = Callable[[Judged], float]


def _accuracy(rows: Judged) -> float:
    inside = rows.inside
    return float((rows.best == rows.truth)[inside].mean()) if inside.any() else math.nan


def _macro_f1(rows: Judged) -> float:
    inside = rows.inside
    return macro_f1(rows.truth[inside], rows.best[inside]) if inside.any() else math.nan


def _ece(rows: Judged) -> float:
    inside = rows.inside
    if not inside.any():
        return math.nan
    return binary_ece(rows.confidence[inside], (rows.best == rows.truth)[inside])


def _coverage(rows: Judged) -> float:
    return float(rows.answered.mean())


def _coverage_in_scope(rows: Judged) -> float:
    return float(rows.answered[rows.inside].mean()) if rows.inside.any() else math.nan


def _wrong_answer_rate(rows: Judged) -> float:
    answered = rows.answered
    return float((rows.best != rows.truth)[answered].mean()) if answered.any() else math.nan


def _mcc(rows: Judged) -> float:
    return mcc(rows.truth, rows.decided)


def _oos_auroc(rows: Judged) -> float:
    inside = rows.inside
    if inside.all() or not inside.any():
        return math.nan
    return auroc(rows.in_scope[inside], rows.in_scope[~inside])


def _oos_recall(rows: Judged) -> float:
    outside = ~rows.inside
    return float((~rows.answered)[outside].mean()) if outside.any() else math.nan


def _false_rejection_rate(rows: Judged) -> float:
    if rows.inside.all():
        return math.nan  # asked for only beside out-of-scope rows
    return 1.0 - _coverage_in_scope(rows)


def _oos_recall_at_4pct(rows: Judged) -> float:
    inside = rows.inside
    if inside.all() or not inside.any():
        return math.nan
    return recall_at_false_rejection(rows.in_scope[inside], rows.in_scope[~inside], FALSE_REJECTION)


_METRICS: Final[dict[str, Metric]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "ece": _ece,
    "coverage": _coverage,
    "coverage_in_scope": _coverage_in_scope,
    "wrong_answer_rate": _wrong_answer_rate,
    "mcc": _mcc,
    "oos_auroc": _oos_auroc,
    "oos_recall": _oos_recall,
    "false_rejection_rate": _false_rejection_rate,
    "oos_recall_at_4pct_false_rejection": _oos_recall_at_4pct,
}


def _figures(judged: Judged, seed: int) -> dict[str, Any]:
    report: dict[str, Any] = {
        "in_scope_rows": int(judged.inside.sum()),
        "oos_rows": int((~judged.inside).sum()),
        "answered_rows": int(judged.answered.sum()),
    }
    for name, metric in _METRICS.items():
        value = metric(judged)
        report[name] = None if math.isnan(value) else value
        report[f"{name}_ci"] = None if math.isnan(value) else _interval(judged, metric, seed)
    return report


def _interval(judged: Judged, metric: Metric, seed: int) -> list[float] | None:
    rng = np.random.default_rng(seed)
    low, high = bootstrap_statistic(
        len(judged), lambda rows: metric(judged.take(rows)), rng, resamples=_RESAMPLES
    )
    return None if math.isnan(low) else [low, high]


def summary(report: dict[str, Any]) -> list[str]:
    """What a person wants to read of a report: a line for all rows and one for each language."""
    lines = [_line("all", report)]
    lines += [_line(language, figures) for language, figures in report["slices"].items()]
    if report["unknown_intents"]:
        names = ", ".join(report["unknown_intents"][:5])
        lines.append(f"note: intents that the model was never taught: {names}")
    return lines


def _line(name: str, figures: dict[str, Any]) -> str:
    def shown(key: str) -> str:
        value = figures[key]
        return "–" if value is None else f"{value:.3f}"

    return (
        f"{name}: accuracy {shown('accuracy')}, answered {shown('coverage_in_scope')} of in-scope, "
        f"wrong answers {shown('wrong_answer_rate')}, out of scope refused {shown('oos_recall')}, "
        f"AUROC {shown('oos_auroc')}"
    )
