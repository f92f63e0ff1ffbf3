"""Does whoever knows one service find their way in the others?"""

from __future__ import annotations

from pathlib import Path

import pytest

SERVICES = ("customer_service", "finance_sentiment", "recommender")
ALIKE = (
    "README.md", "api.py", "app.py", "cli.py", "domain.py", "schemas.py", "settings.py",
    "store.py", "tables.py", "train.py", "worker.py",
)  # fmt: skip


def test_every_folder_with_an_app_is_a_service_that_these_checks_know(root: Path) -> None:
    assert {path.parent.name for path in (root / "services").glob("*/app.py")} == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_the_same_files(root: Path, service: str) -> None:
    folder = root / "services" / service
    assert [name for name in ALIKE if not (folder / name).is_file()] == []
