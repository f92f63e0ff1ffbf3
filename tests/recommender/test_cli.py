"""The commands, as one types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.data.records import Event
from core.errors import DataError
from services.recommender.cli import group
from tests.recommender.conftest import Files
from tests.recommender.shop import make_events, write_events


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))
    return CliRunner()


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "evaluate",
        "import",
        "serve",
        "worker",
        "db upgrade",
        "keys create",
        "users export",
        "users forget",
    ],
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
    runner: CliRunner,
    shop_files: Files,
    tiny_base_model: Path,
    tmp_path: Path,
    short_log: list[Event],
) -> None:
    model, out = tmp_path / "model", tmp_path / "out.json"
    events = str(write_events(tmp_path / "events.csv", short_log))
    files = ["--items", str(shop_files.items), "--events", events]
    trained = runner.invoke(
        group, ["train", *files, "--output", str(model), "--base-model", str(tiny_base_model)]
    )
    assert trained.exit_code == 0, trained.output
    assert "NDCG@10" in trained.output and "models promote" in trained.output
    history = ["--history", events]
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


def test_what_is_kept_of_a_person_is_handed_out_and_forgotten(
    runner: CliRunner, shop_files: Files, tmp_path: Path
) -> None:
    runner.invoke(group, ["import", "--items", str(shop_files.items)])
    log = [event for event in make_events(users=2) if event.user_id == "u0"]
    events = str(write_events(tmp_path / "events.csv", log))
    assert runner.invoke(group, ["import", "--events", events]).exit_code == 0
    output = tmp_path / "u0.jsonl"
    told = runner.invoke(group, ["users", "export", "u0", "--output", str(output)])
    assert told.exit_code == 0 and f"{len(log)} events of u0" in told.output
    pages = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    kept = [(one["item_id"], one["event"]) for page in pages for one in page["events"]]
    assert kept == [(event.item_id, event.event) for event in log]
    assert runner.invoke(group, ["users", "forget", "u0"], input="n\n").exit_code == 1
    gone = runner.invoke(group, ["users", "forget", "u0", "--yes"])
    assert gone.exit_code == 0 and f"{len(log)} events of u0 are deleted" in gone.output
    assert "0 events" in runner.invoke(group, ["users", "forget", "u0", "--yes"]).output


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
