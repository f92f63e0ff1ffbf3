"""What does a model get right on labelled questions, as files for people and programs?

Pictures and figures are those of core/evaluation, the same as in `trefoil report`; here they are
judged as the service decides: by the chance that its rule gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.data.readers import read_intents
from core.data.records import OUT_OF_SCOPE, LabeledText
from core.errors import InvalidInput
from core.evaluation import figures as draw
from core.evaluation.mistakes import Examples, surest_mistakes
from services.commands import write_json
from services.customer_service.train import is_out_of_scope
from services.customer_service.understanding import HEAD, IntentModel, Understood

_BATCH: Final = 64


def write_model_report(
    model: IntentModel, data: Path, output: Path, *, training: Path | None = None
) -> dict[str, Any]:
    """Write the pictures, their numbers and errors.json into `output`; gives the main figures.

    `data` and `training` hold text and intent; with `training`, errors name the examples that are
    nearest to them. InvalidInput where no row is in scope.
    """
    rows = read_intents(data)
    truth = [OUT_OF_SCOPE if is_out_of_scope(row) else row.labels[HEAD] for row in rows]
    inside = np.array([label != OUT_OF_SCOPE for label in truth], dtype=bool)
    if not inside.any():
        raise InvalidInput("every row is out of scope", mend="Add questions with an intent.")
    understood = _understood(model, [row.text for row in rows])
    best = [each.reading.ranked[0] for each in understood]
    correct = np.array([b.intent == label for b, label in zip(best, truth, strict=True)])
    confidence = np.array([b.probability for b in best])
    answered = np.array([each.reading.sure for each in understood])
    predicted = [b.intent for b in best]
    kept = np.flatnonzero(inside).tolist()
    charts = {
        "confusion_matrix": draw.confusion_chart(
            [truth[i] for i in kept], [predicted[i] for i in kept]
        ),
        "confidence_histogram": draw.confidence_chart(confidence, correct),
        # By what the threshold is about, so that the curve passes through the service's own point.
        "risk_coverage": draw.risk_coverage_chart(
            np.array([each.reading.chance for each in understood]), correct
        ),
    }
    figures = _figures(inside, correct, answered, model.rule.threshold)
    output.mkdir(parents=True, exist_ok=True)
    for name, chart in charts.items():
        (output / f"{name}.png").write_bytes(chart.png)
        extra = {"service": figures} if name == "risk_coverage" else {}
        write_json(output / f"{name}.json", {**chart.data, **extra})
    examples = None if training is None else _examples(model, training)
    write_json(output / "errors.json", _errors(rows, truth, understood, examples))
    return figures


def _understood(model: IntentModel, texts: Sequence[str]) -> list[Understood]:
    found: list[Understood] = []
    for start in range(0, len(texts), _BATCH):
        found += model.understand(texts[start : start + _BATCH])
    return found


def _figures(inside: Any, correct: Any, answered: Any, threshold: float) -> dict[str, Any]:
    return {
        "rows": len(inside),
        "accuracy_in_scope": float(correct[inside].mean()),
        "threshold": threshold,
        "coverage": float(answered.mean()),
        "wrong_answer_rate": float((~correct)[answered].mean()) if answered.any() else None,
    }


def _errors(
    rows: Sequence[LabeledText],
    truth: Sequence[str],
    understood: Sequence[Understood],
    examples: Examples | None,
) -> Mapping[str, Any]:
    """`wrong_intent`: in-scope rows with another best intent, surest first;
    `answered_out_of_scope`: rows that the service would have answered and should not have."""
    predicted = [each.reading.ranked[0].intent for each in understood]
    found = surest_mistakes(
        [row.text for row in rows],
        truth,
        predicted,
        [each.reading.ranked[0].probability for each in understood],
        embeddings=np.stack([each.embedding for each in understood]),
        readable=[each.readable for each in understood],
        training=examples,
        limit=len(rows),
    )
    told = [
        {
            "line": rows[wrong.row].line,
            **{name: value for name, value in asdict(wrong).items() if name != "row"},
            "answered": understood[wrong.row].reading.sure,
        }
        for wrong in found
    ]
    return {
        "wrong_intent": [each for each in told if each["truth"] != OUT_OF_SCOPE],
        "answered_out_of_scope": [
            each for each in told if each["truth"] == OUT_OF_SCOPE and each["answered"]
        ],
    }


def _examples(model: IntentModel, path: Path) -> Examples | None:
    """The in-scope training rows as the model sees them; None where there are none."""
    rows = [row for row in read_intents(path) if not is_out_of_scope(row)]
    if not rows:
        return None
    known = _understood(model, [row.text for row in rows])
    return Examples(
        [row.text for row in rows],
        [row.labels[HEAD] for row in rows],
        np.stack([each.embedding for each in known]),
        np.array([each.readable for each in known]),
    )
