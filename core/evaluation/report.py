"""How good is a classifier, told so that a person likes to read it?

`build_report` computes, `render` makes one HTML file of it: no script, nothing from the network,
pictures inside. `Report.figures` is the same for a program. A section without data is left out; a
figure that cannot be computed is None. Labelled rows whose label is `oos` are out of scope: they
count where answers and refusals are judged, and in no metric of the classes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.evaluation import figures as draw
from core.evaluation.classification import (
    ClassScores,
    confusion_matrix,
    precision_recall_f1,
    top_confusions,
)
from core.evaluation.conformal import cross_conformal_sets, rows_needed
from core.evaluation.intervals import bootstrap_statistic
from core.evaluation.judged import METRICS, Coded, Judged
from core.evaluation.mistakes import Examples, surest_mistakes
from core.evaluation.open_set_scores import fit_scores
from core.evaluation.openset import RiskCoverage, auroc, fpr95, recall_at_false_rejection
from core.evaluation.openset import risk_coverage as risk_coverage_of
from core.text import comparison_key

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVELS = (0.9, 0.95)  # of the conformal sets
WRONG_SHARE = 0.05  # the headline says how many answers keep to it
_MISTAKES, _CONFUSIONS, _FOLDS = 20, 15, 5


@dataclass(frozen=True)
class Report:
    """`figures` is ready for JSON; `charts` by section."""

    figures: Mapping[str, Any]
    charts: Mapping[str, draw.Chart]


def build_report(
    judged: Judged,
    *,
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    training: Examples | None = None,
    seed: int = 0,
    resamples: int = 400,
) -> Report:
    """Everything that can be said of these rows.

    `model` and `data` are facts to print (name → value); `training` adds the nearest training
    examples to the mistakes, class sizes and the comparison of out-of-scope scores. Raises
    InvalidInput where no row is in scope.
    """
    inside = judged.take(judged.inside)
    if not inside.texts:
        raise InvalidInput("every row is out of scope", mend="Add rows with a label.")
    scores = precision_recall_f1(inside.truth, inside.predicted)
    curve = risk_coverage_of(judged.confidence, judged.correct)
    charts = {
        "confusion": draw.confusion_chart(inside.truth, inside.predicted),
        "confidence": draw.confidence_chart(inside.confidence, inside.correct),
        "reliability": draw.reliability_chart(inside.confidence, inside.correct),
        "risk_coverage": draw.risk_coverage_chart(judged.confidence, judged.correct),
        "class_f1": draw.class_f1_chart(inside.truth, inside.predicted),
    }
    figures: dict[str, Any] = {
        "model": dict(model),
        "data": {**data, **_statistics(judged, training)},
        **_metrics(inside, seed, resamples),
        "conformal": _conformal(inside, seed),
        "out_of_scope": _out_of_scope(judged, training, seed, resamples),
        "risk_coverage": {
            **charts["risk_coverage"].data,
            "coverage_at_5pct_wrong": _coverage_at(curve, WRONG_SHARE),
        },
        "classes": _classes(inside, scores, training),
        "confusions": [asdict(c) for c in top_confusions(inside.truth, inside.predicted, 100)],
        "confusion_matrix": charts["confusion"].data,
        "reliability": charts["reliability"].data,
        "confidence_histogram": charts["confidence"].data,
        "mistakes": _mistakes(inside, training),
    }
    return Report({"headline": _headline(figures), **figures}, charts)


def render(report: Report, title: str) -> str:
    """One HTML page. Whatever came from outside is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = _percent
    environment.filters["figure"] = lambda x: "–" if x is None else f"{x:.3f}"
    template = environment.from_string(
        Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    )
    pictures = {
        name: {
            "source": f"data:image/png;base64,{base64.b64encode(chart.png).decode('ascii')}",
            "alt": chart.alt,
            "numbered": chart.data.get("numbered", {}),
        }
        for name, chart in report.charts.items()
    }
    return template.render(
        title=title, r=report.figures, pictures=pictures, names=METRICS, most=_CONFUSIONS
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _metrics(inside: Judged, seed: int, resamples: int) -> dict[str, Any]:
    coded = Coded(inside)
    everything = np.arange(len(inside.texts))
    result: dict[str, Any] = {}
    for name in METRICS:
        result[name] = coded.metric(name, everything)
        low, high = bootstrap_statistic(
            len(everything),
            lambda rows, name=name: coded.metric(name, rows),  # type: ignore[misc]
            np.random.default_rng(seed),
            resamples=resamples,
        )
        result[f"{name}_ci"] = [low, high]
    return result


def _conformal(inside: Judged, seed: int) -> list[dict[str, Any]]:
    coded = Coded(inside)
    calibration = len(coded.truth) - math.ceil(len(coded.truth) / _FOLDS)
    levels = [level for level in LEVELS if calibration >= rows_needed(level)]
    if not levels:
        return []
    rng = np.random.default_rng(seed)
    sets = cross_conformal_sets(
        coded.probabilities, coded.truth, rng=rng, levels=levels, folds=_FOLDS
    )
    return [asdict(s.figures(coded.truth)) | {"method": s.method} for s in sets]


def _out_of_scope(
    judged: Judged, training: Examples | None, seed: int, resamples: int
) -> dict[str, Any] | None:
    inside = judged.inside
    if inside.all() or judged.in_scope is None:
        return None
    served = np.asarray(judged.in_scope, dtype=np.float64)

    def area(drawn: Integers) -> float:
        among = inside[drawn]
        if among.all() or not among.any():
            return math.nan
        return auroc(served[drawn][among], served[drawn][~among])

    rng = np.random.default_rng(seed)
    low, high = bootstrap_statistic(len(inside), area, rng, resamples=resamples)
    return {
        "rows": int((~inside).sum()),
        **_parting(served[inside], served[~inside]),
        "auroc_ci": [low, high],
        "scores": _compared_scores(judged, training, seed),
    }


def _compared_scores(
    judged: Judged, training: Examples | None, seed: int
) -> dict[str, dict[str, float]]:
    """The served score and the four it could be made of, on rows that the encoder can read."""
    parts = (judged.embeddings, judged.logits, judged.in_scope)
    if training is None or any(part is None for part in parts):
        return {}
    taught = np.ones(len(training.texts), bool) if training.readable is None else training.readable
    known = judged if judged.readable is None else judged.take(judged.readable)
    inside = known.inside
    if not taught.any() or not inside.any() or inside.all():
        return {}
    numbers = np.unique(list(training.labels), return_inverse=True)[1]
    fitted = fit_scores(
        training.embeddings[taught], numbers[taught], rng=np.random.default_rng(seed)
    )
    scores = {
        "served": np.asarray(known.in_scope),
        **fitted.scores(np.asarray(known.embeddings), np.asarray(known.logits)),
    }
    return {name: _parting(score[inside], score[~inside]) for name, score in scores.items()}


def _parting(inside: Floats, outside: Floats) -> dict[str, float]:
    return {
        "auroc": auroc(inside, outside),
        "fpr95": fpr95(inside, outside),
        "recall_at_4pct_false_rejection": recall_at_false_rejection(inside, outside),
    }


def _coverage_at(curve: RiskCoverage, risk: float) -> float:
    """The largest share of rows, surest first, of which at most `risk` are wrong."""
    fine = curve.coverage[curve.risk <= risk]
    return float(fine.max()) if fine.size else 0.0


def _classes(
    inside: Judged, scores: ClassScores, training: Examples | None
) -> list[dict[str, Any]]:
    """A row a class, worst F1 first, with what it is most often taken for."""
    wrong = confusion_matrix(inside.truth, inside.predicted).counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.lexsort([-scores.support, scores.f1])
    learnt = _count(training.labels) if training is not None else {}
    return [
        {
            "label": str(scores.labels[i]),
            "precision": float(scores.precision[i]),
            "recall": float(scores.recall[i]),
            "f1": float(scores.f1[i]),
            "rows": int(scores.support[i]),
            "training_rows": learnt.get(str(scores.labels[i]), 0) if training else None,
            "taken_for": str(scores.labels[int(wrong[i].argmax())]) if wrong[i].any() else None,
        }
        for i in order.tolist()
    ]


def _mistakes(inside: Judged, training: Examples | None) -> list[dict[str, Any]]:
    found = surest_mistakes(
        inside.texts,
        inside.truth,
        inside.predicted,
        inside.confidence,
        embeddings=inside.embeddings,
        training=training,
        readable=inside.readable,
        limit=_MISTAKES,
    )
    return [asdict(mistake) for mistake in found]


def _statistics(judged: Judged, training: Examples | None) -> dict[str, Any]:
    inside = judged.inside
    counts = _count([label for label, keep in zip(judged.truth, inside, strict=True) if keep])
    lengths = np.array([len(text) for text in judged.texts])
    keys = [comparison_key(text) for text in judged.texts]
    seen = set(map(comparison_key, training.texts)) if training is not None else set()
    return {
        "rows": len(judged.texts),
        "in_scope_rows": int(inside.sum()),
        "oos_rows": int((~inside).sum()),
        "class_rows": counts,
        "unknown_labels": sorted(set(counts) - set(judged.classes)),
        "median_characters": float(np.median(lengths)),
        "longest_characters": int(lengths.max()),
        "unreadable_texts": None if judged.readable is None else int((~judged.readable).sum()),
        "repeated_texts": len(keys) - len(set(keys)),
        "training_rows": len(training.texts) if training is not None else None,
        "texts_seen_in_training": sum(k in seen for k in keys) if training is not None else None,
    }


def _count(labels: Sequence[str]) -> dict[str, int]:
    names, counts = np.unique(list(labels), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _headline(f: Mapping[str, Any]) -> list[str]:
    """The report in a few sentences."""
    data, worst = f["data"], f["classes"][0]
    low, high = f["accuracy_ci"]
    said = [
        f"{_percent(f['accuracy'])} of {data['in_scope_rows']} texts get the right label of "
        f"{len(data['class_rows'])} (95 % interval {_percent(low)} to {_percent(high)}).",
        f"Stated probabilities are {100 * f['ece']:.1f} points off on average.",
    ]
    answered = f["risk_coverage"]["coverage_at_5pct_wrong"]
    if f["accuracy"] < 1:
        said.append(
            f"Answering only the surest {_percent(answered)} of all rows would have kept wrong "
            f"answers within {100 * WRONG_SHARE:.0f} %."
        )
        said.append(f"The weakest class is “{worst['label']}” (F1 {worst['f1']:.2f}).")
    if f["out_of_scope"] is not None:
        refused = f["out_of_scope"]["recall_at_4pct_false_rejection"]
        said.append(
            f"Refusing 4 % of the in-scope texts refuses {_percent(refused)} of the "
            f"{f['out_of_scope']['rows']} that are out of scope."
        )
    if data["texts_seen_in_training"]:
        said.append(
            f"Careful: {data['texts_seen_in_training']} of the texts stand in training too."
        )
    return said
