"""Three small trained services in one run-time folder, made by the commands a user would type."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "shared_data"


def trefoil(var: Path, *arguments: str) -> str:
    """Run one command on the run-time folder `var`; its standard output."""
    finished = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, "TREFOIL_VAR": str(var), "OMP_NUM_THREADS": "2"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, f"{arguments}: {finished.stderr[-2000:]}"
    return finished.stdout


def first_rows(source: Path, target: Path, rows: int) -> Path:
    """The header and the first `rows` rows of a CSV."""
    with source.open(encoding="utf-8", newline="") as file:
        kept = list(csv.reader(file))[: rows + 1]
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(kept)
    return target


@pytest.fixture(scope="session")
def trained_services(tmp_path_factory: pytest.TempPathFactory, tiny_base_model: Path) -> Path:
    """The run-time folder: a live model, a migrated database and sample content for each."""
    var = tmp_path_factory.mktemp("var")
    small = tmp_path_factory.mktemp("small")
    shop = DATA / "recommender"
    events = first_rows(shop / "events.csv", small / "events.csv", 4000)
    trainings: dict[str, Sequence[str]] = {
        "customer-service": ("--data", str(DATA / "customer_service" / "train.csv")),
        "finance-sentiment": ("--data", str(DATA / "finance_sentiment" / "train.csv")),
        "recommender": ("--items", str(shop / "items.csv"), "--events", str(events)),
    }
    for service, data in trainings.items():
        model = small / service
        trefoil(
            var,
            service,
            "train",
            *data,
            "--output",
            str(model),
            "--preset",
            "fast",
            "--base-model",
            str(tiny_base_model),
        )
        trefoil(var, "models", "promote", str(model))
        trefoil(var, service, "db", "upgrade")
    trefoil(
        var,
        "customer-service",
        "import",
        "--answers",
        str(DATA / "customer_service" / "intents.yaml"),
        "--articles",
        str(DATA / "customer_service" / "articles"),
    )
    trefoil(
        var, "recommender", "import", "--items", str(shop / "items.csv"), "--events", str(events)
    )
    return var
