"""The commands, as one types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.errors import DataError
from services.recommender.cli import group
from tests.recommender.conftest import Files


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))
    return CliRunner()


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "import", "serve", "worker", "db upgrade", "keys create"]
)
def test_every_command_has_help_with_an_example(runner: CliRunner, command: str) -> None:
    found = runner.invoke(group, [*command.split(), "--help"])
    assert found.exit_code == 0 and "xample: trefoil recommender" in " ".join(found.output.split())


def test_import_tells_what_was_taken(runner: CliRunner, shop_files: Files) -> None:
    arguments = ["import", "--items", str(shop_files.items), "--events", str(shop_files.events)]
    found = runner.invoke(group, arguments)
    assert found.exit_code == 0, found.output
    assert "items: 40 new" in found.output and "0 known already" in found.output


def test_import_of_nothing_is_wrong_usage(runner: CliRunner) -> None:
    assert runner.invoke(group, ["import"]).exit_code == 2


def test_a_bad_file_is_one_error_with_its_line(runner: CliRunner, tmp_path: Path) -> None:
    bad = tmp_path / "items.csv"
    bad.write_text("item_id,title\na,\n", encoding="utf-8")
    found = runner.invoke(group, ["import", "--items", str(bad)])
    assert isinstance(found.exception, DataError) and "line 2" in str(found.exception)


def test_train_and_evaluate_write_what_they_say(
    runner: CliRunner, shop_files: Files, tiny_base_model: Path, tmp_path: Path
) -> None:
    model, out = tmp_path / "model", tmp_path / "out.json"
    files = ["--items", str(shop_files.items), "--events", str(shop_files.events)]
    trained = runner.invoke(
        group, ["train", *files, "--output", str(model), "--base-model", str(tiny_base_model)]
    )
    assert trained.exit_code == 0, trained.output
    assert "NDCG@10" in trained.output and "models promote" in trained.output
    history = ["--history", str(shop_files.events)]
    measured = runner.invoke(
        group,
        [
            "evaluate",
            "--model",
            str(model),
            *files,
            *history,
            "--json",
            str(out),
            "--allow-repeats",
        ],
    )
    assert measured.exit_code == 0, measured.output
    assert json.loads(out.read_text(encoding="utf-8"))["users"] > 0


def test_the_commands_import_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, services.recommender.cli; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'sqlalchemy') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


def test_a_server_that_was_used_has_not_imported_what_trains(stocked, tmp_path: Path) -> None:
    code = f"""
import sys
from fastapi.testclient import TestClient
from services.recommender.app import create_app
from services.recommender.settings import Settings
with TestClient(create_app(Settings(var_dir={str(stocked.var_dir)!r}))) as client:
    client.put("/v1/items", json={{"item_id": "new", "title": "warm tent"}})
    client.post("/v1/events", json={{"user_id": "u", "item_id": "new", "event": "click"}})
    assert client.post("/v1/recommendations", json={{"user_id": "u"}}).status_code == 200
    assert client.get("/v1/similar/hiking-sun-tent").status_code == 200
heavy = ("torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow")
print([name for name in heavy if name in sys.modules])
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.strip().splitlines()[-1] == "[]"
