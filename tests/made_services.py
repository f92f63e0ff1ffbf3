"""Three small trained services in one run-time folder, made by the commands a user would type."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from services.cli import trefoil as command

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "shared_data"


def trefoil(*arguments: str) -> None:
    """Run one command as the script does, in this process: torch is loaded once, not each time."""
    command.main(list(arguments), prog_name="trefoil", standalone_mode=False)


def first_rows(source: Path, target: Path, rows: int) -> Path:
    """The header and the first `rows` rows of a CSV."""
    with source.open(encoding="utf-8", newline="") as file:
        kept = list(csv.reader(file))[: rows + 1]
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(kept)
    return target


@pytest.fixture(scope="session")
def trained_services(tmp_path_factory: pytest.TempPathFactory, tiny_base_model: Path) -> Path:
    """The run-time folder: a live model, a migrated database and sample content for each. Made by
    the first process of the run that asks, and copied by each."""
    var = tmp_path_factory.mktemp("services") / "var"
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained-services"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            small = tmp_path_factory.mktemp("small")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TREFOIL_VAR", str(small / "var"))
                fill(small, ("--preset", "fast", "--base-model", str(tiny_base_model)))
            (small / "var").rename(made)
    shutil.copytree(made, var)
    return var


def fill(small: Path, options: Sequence[str]) -> None:
    """Train, promote, migrate, import: for all three, in the run-time folder of the environment."""
    bot, shop = DATA / "customer_service", DATA / "recommender"
    items = str(shop / "items.csv")
    events = str(first_rows(shop / "events.csv", small / "events.csv", 4000))
    trainings: dict[str, Sequence[str]] = {
        "customer-service": ("--data", str(bot / "train.csv")),
        "finance-sentiment": ("--data", str(DATA / "finance_sentiment" / "train.csv")),
        "recommender": ("--items", items, "--events", events),
    }
    for service, data in trainings.items():
        model = str(small / service)
        trefoil(service, "train", *data, "--output", model, *options)
        trefoil("models", "promote", model)
        trefoil(service, "db", "upgrade")
    content = ("--answers", str(bot / "intents.yaml"), "--articles", str(bot / "articles"))
    trefoil("customer-service", "import", *content)
    trefoil("recommender", "import", "--items", items, "--events", events)
