"""What does a person see of the `trefoil` command, and what do scripts depend on?"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from core.artifacts import Manifest, Registry, write_artifact
from core.errors import ArtifactCorrupt, TrefoilError
from services import cli
from services.commands import write_json

Run = Callable[..., SimpleNamespace]

# The contract (DESIGN.md): command → options that others script against.
_TRAIN = ("--output", "--preset", "--base-model", "--seed")
CONTRACT: dict[str, tuple[str, ...]] = {
    "demo": (),
    "customer-service train": ("--data", *_TRAIN, "--risk"),
    "customer-service retrain": ("--if-due",),
    "customer-service agents add": ("--role", "--language", "--shown-as"),
    "customer-service shell": ("--model", "--locale", "--scratch"),
    "customer-service test": ("--tests", "--output", "--model", "--data"),
    "customer-service evaluate": ("--model", "--data", "--json"),
    "customer-service predict": ("--model", "--input", "--output"),
    "finance-sentiment train": ("--data", *_TRAIN),
    "finance-sentiment evaluate": ("--model", "--data", "--json"),
    "finance-sentiment predict": ("--model", "--input", "--output"),
    "finance-sentiment backtest": ("--stories", "--false-alarms-per-week", "--rules", "--json"),
    "recommender train": ("--items", "--events", *_TRAIN),
    "recommender evaluate": (
        *("--model", "--items", "--history", "--events", "--json"),
        "--allow-repeats",
    ),
    "data check": ("--data", "--label", "--against", "--json"),
    "data split": ("--label", "--by-time", "--seed"),
    "data redact": ("--data", "--output", "--column"),
    "report": ("--model", "--data", "--output", "--json", "--head", "--seed"),
    "compare": ("--model", "--data", "--json", "--head", "--seed"),
    **{
        f"tune {task}": ("--data", "--output", "--base-model", "--seed", "--set")
        for task in ("tokens", "pairs", "rerank")
    },
    "tune predict": ("--model", "--input", "--output"),
    "tune language": ("--data", "--output", "--base-model", "--seed"),
    "tune search": ("--data", "--head", "--minutes", "--storage", "--json"),
    "models list": (),
    "models verify": (),
    "models promote": ("--force",),
    "models rollback": (),
    **{
        f"{service} {command}": options
        for service in ("customer-service", "finance-sentiment", "recommender")
        for command, options in {
            "serve": ("--host", "--port"),
            "worker": (),
            "import": (),
            "db upgrade": (),
            "keys create": (),
            "keys list": (),
            "keys revoke": (),
        }.items()
    },
}
DEFAULT_PRESETS = {
    "customer-service": "fast",
    "finance-sentiment": "accurate",
    "recommender": "fast",
}


@pytest.fixture
def add_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Put a command of ours in the place of `trefoil models`."""

    def add(function: Callable[[], object]) -> None:
        command = click.Command("models", callback=function)
        monkeypatch.setattr(cli, "load", lambda reference: command)

    return add


# --- quick help ----------------------------------------------------------------------------------


def test_help_lists_every_service_and_imports_nothing_heavy(
    run_python: Callable[..., str],
) -> None:
    code = """
import sys
from services.cli import main
sys.argv = ["trefoil", "--help"]
try:
    main()
finally:
    heavy = ("torch", "transformers", "numpy", "onnxruntime", "sklearn", "pydantic",
             "sqlalchemy", "fastapi", "httpx", "tokenizers")
    print("imported:", [name for name in heavy if name in sys.modules])
"""
    shown = run_python(code)
    for name in ("demo", "customer-service", "finance-sentiment", "recommender", "models"):
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
    assert shown.splitlines()[-1] == "imported: []"


@pytest.mark.parametrize("command", CONTRACT)
def test_each_command_of_the_contract_has_its_options_and_an_example(
    trefoil: Run, command: str
) -> None:
    shown = trefoil(*command.split(), "--help")
    assert shown.status == 0, shown.err
    text = " ".join(shown.out.split())
    assert f"Example: trefoil {command}" in text
    for option in CONTRACT[command]:
        assert f"{option} " in text


@pytest.mark.parametrize("service", DEFAULT_PRESETS)
def test_each_service_trains_with_the_preset_that_suits_it(trefoil: Run, service: str) -> None:
    text = " ".join(trefoil(service, "train", "--help").out.split())
    assert f"the whole encoder is tuned. [default: {DEFAULT_PRESETS[service]}]" in text


def test_the_version_is_told(trefoil: Run) -> None:
    assert re.search(r"\d+\.\d+\.\d+", trefoil("--version").out)


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense"],
        ["nonsense"],
        ["models", "nonsense"],
        ["models", "list", "--nonsense"],
        ["models", "promote"],
        ["models", "promote", "/no/such/folder"],
        ["models", "rollback", "--service", "nonsense"],
        ["finance-sentiment", "backtest", "--json", "x"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(trefoil: Run, words: list[str]) -> None:
    shown = trefoil(*words)
    assert shown.status == 2
    assert "Error: " in shown.err
    assert "Traceback" not in shown.err


def test_a_foreseen_failure_is_one_line_with_the_mend_and_ends_with_1(
    trefoil: Run, tmp_path: Path
) -> None:
    shown = trefoil("models", "promote", tmp_path)
    assert shown.status == 1
    assert shown.out == ""
    [line] = shown.err.splitlines()
    assert line.startswith("trefoil: no trained model in ")
    assert line.endswith("Give a folder that `trefoil <service> train --output` wrote.")


def test_an_error_of_several_lines_is_told_in_one(
    trefoil: Run, add_command: Callable[[Callable[[], object]], None]
) -> None:
    def fail() -> None:
        raise TrefoilError("first\nsecond", mend="Mend\nit.")

    add_command(fail)
    assert trefoil("models").err == "trefoil: first second. Mend it.\n"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.ENOSPC, "No space left"), "the disk is full. Free some space"),
        (PermissionError(errno.EACCES, "denied", "/x"), "no right to read or write (/x)"),
        (OSError(errno.EROFS, "read-only", "/x"), "read-only (/x)"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), "No such file (/x)"),
        (ArtifactCorrupt("heads.safetensors is missing"), "heads.safetensors is missing"),
        (KeyboardInterrupt(), "stopped"),
        (click.exceptions.Abort(), "stopped"),
        (click.ClickException("no sample data"), "no sample data"),
        (ModuleNotFoundError("No module", name="torch"), 'pip install "trefoil[train]"'),
    ],
)
def test_what_can_go_wrong_is_told_without_a_trace_back(
    trefoil: Run,
    add_command: Callable[[Callable[[], object]], None],
    failure: BaseException,
    said: str,
) -> None:
    def fail() -> None:
        raise failure

    add_command(fail)
    shown = trefoil("models")
    assert shown.status == 1
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_a_mistake_of_ours_is_not_hidden(
    trefoil: Run, add_command: Callable[[Callable[[], object]], None]
) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'core.misspelt'", name="core.misspelt")

    add_command(fail)
    with pytest.raises(ModuleNotFoundError):
        trefoil("models")


def test_a_status_that_a_command_asks_for_is_kept(
    trefoil: Run, add_command: Callable[[Callable[[], object]], None]
) -> None:
    add_command(lambda: click.get_current_context().exit(3))
    assert trefoil("models").status == 3


# --- models --------------------------------------------------------------------------------------


@pytest.fixture
def artifact(tmp_path: Path) -> Callable[..., Path]:
    """An artefact with a held-out accuracy and its interval; the kind is that of a real service."""

    def write(accuracy: float = 0.9, kind: str = "customer_service") -> Path:
        folder = tmp_path / f"model-{kind}-{accuracy}"
        figures = {"accuracy": accuracy, "accuracy_ci": [accuracy - 0.02, accuracy + 0.02]}
        with write_artifact(folder) as draft:
            (draft.path / "heads.json").write_text(json.dumps(accuracy))
            draft.manifest = Manifest(
                kind, "2026-03-01T12:00:00+00:00", "tiny", "local", "0", {"intent": figures}
            )
        return folder

    return write


def registry(tmp_path: Path, kind: str = "customer_service") -> Registry:
    return Registry(tmp_path / "var" / kind / "models", kind)


def test_without_versions_the_list_says_how_to_get_one(trefoil: Run) -> None:
    shown = trefoil("models", "list")
    assert shown.status == 0
    assert "trefoil models promote DIR" in shown.out


def test_a_promoted_model_is_listed_as_live_with_its_figure(
    trefoil: Run, artifact: Callable[..., Path], tmp_path: Path
) -> None:
    assert "customer_service version 0001 is live" in trefoil("models", "promote", artifact()).out
    trefoil("models", "promote", artifact(0.95))
    first, second = trefoil("models", "list").out.splitlines()
    assert re.match(
        r"customer_service +0001 +2026-03-01\S+ [0-9a-f]{12} intent accuracy 0.900", first
    )
    assert re.match(r"customer_service +0002 live 2026-03-01\S+ [0-9a-f]{12} .* 0.950", second)
    live = registry(tmp_path).active()
    assert live is not None
    assert live.number == 2


def test_a_worse_model_is_promoted_only_by_force(
    trefoil: Run, artifact: Callable[..., Path]
) -> None:
    trefoil("models", "promote", artifact(0.9))
    shown = trefoil("models", "promote", artifact(0.5))
    assert shown.status == 1
    assert "the live model has 0.900" in shown.err
    assert "--force" in shown.err
    assert trefoil("models", "promote", artifact(0.5), "--force").status == 0


def test_a_model_of_no_service_is_refused(trefoil: Run, artifact: Callable[..., Path]) -> None:
    shown = trefoil("models", "promote", artifact(kind="weather"))
    assert shown.status == 1
    assert "no service has models of kind 'weather'" in shown.err


def test_rolling_back_goes_to_the_version_before(
    trefoil: Run, artifact: Callable[..., Path]
) -> None:
    trefoil("models", "promote", artifact(0.9))
    trefoil("models", "promote", artifact(0.95))
    assert "customer_service version 0001 is live again" in trefoil("models", "rollback").out
    shown = trefoil("models", "rollback")
    assert shown.status == 1
    assert "no earlier version" in shown.err


def test_rolling_back_asks_which_service_where_several_have_models(
    trefoil: Run, artifact: Callable[..., Path]
) -> None:
    for kind in ("customer_service", "finance_sentiment"):
        for accuracy in (0.9, 0.95):
            trefoil("models", "promote", artifact(accuracy, kind), "--force")
    shown = trefoil("models", "rollback")
    assert shown.status == 2
    assert "--service customer_service|finance_sentiment" in shown.err
    shown = trefoil("models", "rollback", "--service", "finance_sentiment")
    assert "finance_sentiment version 0001 is live again" in shown.out


def test_rolling_back_without_any_model_is_wrong_usage(trefoil: Run) -> None:
    assert trefoil("models", "rollback").status == 2


def test_verify_says_that_a_model_is_whole_or_which_file_is_not(
    trefoil: Run, artifact: Callable[..., Path]
) -> None:
    folder = artifact()
    assert "whole, customer_service, 1 files" in trefoil("models", "verify", folder).out
    (folder / "heads.json").write_text("edited")
    shown = trefoil("models", "verify", folder)
    assert shown.status == 1
    assert "heads.json was changed" in shown.err


def test_verify_without_a_folder_looks_at_every_version(
    trefoil: Run, artifact: Callable[..., Path], tmp_path: Path
) -> None:
    assert "no versions to verify" in trefoil("models", "verify").out
    trefoil("models", "promote", artifact(0.9))
    trefoil("models", "promote", artifact(0.9, "recommender"), "--force")
    assert trefoil("models", "verify").out.count("whole") == 2
    [version] = registry(tmp_path, "recommender").versions()
    (version.path / "heads.json").unlink()
    assert "heads.json is missing" in trefoil("models", "verify").err


# --- keys and database ---------------------------------------------------------------------------


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(trefoil: Run) -> None:
    made = trefoil("customer-service", "keys", "create", "shop", "--scope", "chat")
    assert made.status == 0, made.err
    [secret] = made.out.splitlines()
    assert "only time" in made.err
    listed = trefoil("customer-service", "keys", "list").out
    assert "live" in listed
    assert "shop  chat" in listed
    assert secret not in listed
    assert "is revoked" in trefoil("customer-service", "keys", "revoke", "shop").out
    assert "revoked" in trefoil("customer-service", "keys", "list").out


def test_revoking_a_key_that_is_not_there_is_told(trefoil: Run) -> None:
    shown = trefoil("customer-service", "keys", "revoke", "nobody")
    assert shown.status == 1
    assert "nobody" in shown.err


@pytest.mark.parametrize("service", DEFAULT_PRESETS)
def test_the_database_can_be_upgraded_again_and_again(trefoil: Run, service: str) -> None:
    for _ in range(2):
        shown = trefoil(service, "db", "upgrade")
        assert shown.status == 0, shown.err
        assert shown.out == f"the database of {service} is up to date\n"


# --- the JSON that commands write ----------------------------------------------------------------


def test_json_is_written_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.json"
    write_json(path, {"accuracy": 0.5, "topic": "黄金", "ece": None})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        **{"accuracy": 0.5, "topic": "黄金", "ece": None}
    }
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["out.json"]


def test_a_figure_that_is_no_number_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json(path, {"accuracy": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"accuracy": float("nan")})
    assert json.loads(path.read_text()) == {"accuracy": 0.5}
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
