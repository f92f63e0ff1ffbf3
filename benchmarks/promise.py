"""Does the support bot keep the share of wrong answers that its owner stated, and at what cost?

CLINC150, `data_full`: 15,000 in-scope training rows; the 200 out-of-scope rows of the training and
validation parts set the threshold, as a company's own `oos` rows would. One model, restated for
each risk; judged on the test part as it is, 4,500 in-scope and 1,000 out-of-scope questions. The
share of out-of-scope traffic is stated as it is there (18 %).
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, public_data, save, table
from core.progress import Progress
from services.customer_service.measure import evaluate
from services.customer_service.promise import restate
from services.customer_service.train import train
from services.customer_service.understanding import IntentModel

MODELS = ROOT / "var" / "bench"
# risk → (least coverage of in-scope rows, what is aimed at)
BARS = {0.02: (0.60, 0.80), 0.05: (0.88, 0.94), 0.10: (0.95, 0.99)}
Rows = Sequence[tuple[str, str]]


def clinc150(folder: Path) -> tuple[Rows, Rows]:
    """(training rows, test rows): text and intent, `oos` for out of scope."""
    with (folder / "data_full.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    of: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        outside = "oos" in row["split"]
        of.setdefault(row["split"], []).append((row["text"], "oos" if outside else row["intent"]))
    return of["train"] + of["oos_train"] + of["oos_val"], of["test"] + of["oos_test"]


def write(rows: Rows, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "intent"), *rows])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="fast", choices=["fast", "accurate"])
    parser.add_argument("--reuse", action="store_true", help="the model of an earlier run")
    asked = parser.parse_args()
    folder = public_data("clinc150")
    if folder is None:
        return
    train_rows, test_rows = clinc150(folder)
    share = float(np.mean([intent == "oos" for _, intent in test_rows]))
    scratch = MODELS / f"promise_{asked.preset}"
    test = write(test_rows, scratch / "test.csv")
    model = scratch / "model"
    if not (asked.reuse and model.is_dir()):
        data = write(train_rows, scratch / "train.csv")
        train(data, model, preset=asked.preset, oos_share=share, progress=Progress())
    lines = []
    for risk, (floor, goal) in BARS.items():
        stated = scratch / f"risk_{risk:g}"
        decision = restate(model, stated, risk=risk, oos_share=share)
        report = evaluate(IntentModel.load(stated), test)
        lines.append(line(risk, floor, goal, decision.promised, report))
        shutil.rmtree(stated)
    header = ("risk", "promised", "wrong ÷ answered", "95 %", "kept", "coverage", "95 %", "bars")
    table(header, [list(map(str, entry.values())) for entry in lines])
    save(f"promise_{asked.preset}", {"oos_share": share, "lines": lines})


def line(
    risk: float, floor: float, goal: float, promised: bool, report: dict[str, object]
) -> dict[str, object]:
    """One risk: what was measured, and whether it holds."""
    wrong, answered = report["wrong_answer_rate"], report["coverage_in_scope"]
    assert isinstance(wrong, float) and isinstance(answered, float)
    held = [f"{name} {'held' if answered >= bar else 'MISSED'}" for name, bar in
            ((f"floor {floor:g}", floor), (f"goal {goal:g}", goal))]  # fmt: skip
    return {
        "risk": risk,
        "promised": promised,
        "wrong": round(wrong, 4),
        "wrong_ci": report["wrong_answer_rate_ci"],
        "kept": wrong <= risk,
        "coverage": round(answered, 4),
        "coverage_ci": report["coverage_in_scope_ci"],
        "bars": ", ".join(held),
    }


if __name__ == "__main__":
    main()
