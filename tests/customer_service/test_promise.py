"""Does a model keep another promise on the rows that judged it, and is a share read from a log?"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from core.artifacts import read_manifest, verify
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import InvalidInput
from services.customer_service.cli import group
from services.customer_service.promise import (
    LARGEST_SHARE,
    LEAST_MESSAGES,
    adjusted_share,
    load_rows,
    logged_share,
    restate,
)
from services.customer_service.risk import fit_decision
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import MIGRATIONS
from services.customer_service.train import train
from services.customer_service.understanding import HEAD, KIND, IntentModel

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(a) for a in arguments])


def intents_of(model: Path) -> list[str]:
    labels: list[str] = read_manifest(model).settings["classifier"]["heads"][HEAD]["labels"]
    return labels


# --- another promise -----------------------------------------------------------------------------


def test_the_rows_in_the_artefact_give_its_own_threshold_again(artifact: Path) -> None:
    said = read_manifest(artifact).settings["decision"]
    again = fit_decision(*load_rows(artifact), risk=said["risk"], oos_share=said["oos_share"])
    assert again.settings(intents_of(artifact)) == said


def test_a_stricter_promise_answers_no_more_and_changes_the_threshold_alone(
    artifact: Path, tmp_path: Path
) -> None:
    strict = restate(artifact, tmp_path / "strict", risk=0.01, oos_share=0.5)
    before, after = read_manifest(artifact), verify(tmp_path / "strict", kind=KIND)
    assert after.settings["decision"] == strict.settings(intents_of(artifact))
    assert after.settings["classifier"] == before.settings["classifier"]
    assert after.files == before.files
    texts = ["please send a refund", "where is the package", "recipe for the moon"]
    sure = [
        [u.reading.sure for u in IntentModel.load(folder, threads=1).understand(texts)]
        for folder in (artifact, tmp_path / "strict")
    ]
    assert all(old or not new for old, new in zip(*sure, strict=True))


def test_the_command_says_what_the_new_promise_costs(artifact: Path, tmp_path: Path) -> None:
    output = tmp_path / "new"
    result = run("promise", "--model", artifact, "--output", output, "--risk", "0.2")
    assert result.exit_code == 0, result.output
    decision = read_manifest(output).settings["decision"]
    assert (decision["risk"], decision["oos_share"]) == (0.2, 0.2)
    assert decision["note"] in result.output
    assert f"trefoil models promote {output}" in result.output


@pytest.mark.parametrize("kept", [False, True], ids=["no rows", "rows without their intent"])
def test_a_model_from_before_the_rows_were_kept_says_so(other_artifact: Path, kept: bool) -> None:
    path = other_artifact / "decision_rows.safetensors"
    if kept:
        save_file({n: v for n, v in load_file(path).items() if n != "in.intent"}, path)
    else:
        path.unlink()
    with pytest.raises(InvalidInput, match="keeps no held-out rows"):
        load_rows(other_artifact)


# --- the share of a log --------------------------------------------------------------------------


@given(st.floats(0, 1), st.integers(0, 99))
def test_a_mixture_is_told_apart_by_the_scores_of_its_parts(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = round(4000 * share)
    seen = np.concatenate([rng.normal(-1, 1, count), rng.normal(1.5, 1, 4000 - count)])
    found = adjusted_share(seen, rng.normal(1.5, 1, 2000), rng.normal(-1, 1, 2000))
    assert found == pytest.approx(min(count / 4000, LARGEST_SHARE), abs=0.06)


def test_scores_that_tell_nothing_apart_find_nothing() -> None:
    assert adjusted_share(np.ones(10), np.ones(5), np.ones(5)) == 0.0


def test_a_log_of_more_strange_messages_has_the_larger_share(
    artifact: Path, questions: Path
) -> None:
    with questions.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    inside = [r["text"] for r in rows if r["intent"] != "oos"]
    outside = [r["text"] for r in rows if r["intent"] == "oos"]
    few = logged_share(artifact, (inside * 2)[:240] + outside[:10], threads=1)
    many = logged_share(artifact, inside[:100] + (outside * 5)[:150], threads=1)
    assert few < 0.2 < many


def test_a_short_log_and_a_model_without_oos_rows_are_refused(
    artifact: Path, base_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=f"holds 3 messages, {LEAST_MESSAGES} are needed"):
        logged_share(artifact, ["hi"] * 3)
    data = tmp_path / "inside.csv"
    lines = ["text,intent", *(f"send refund {i},refund\nwhere is it {i},order" for i in range(9))]
    data.write_text("\n".join(lines), encoding="utf-8")
    train(data, tmp_path / "model", base_model=str(base_model), threads=1)
    with pytest.raises(InvalidInput, match="without `oos` rows"):
        logged_share(tmp_path / "model", ["hi"] * LEAST_MESSAGES)


def test_the_share_comes_from_what_customers_wrote_in_the_last_days(
    artifact: Path,
    questions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))
    engine = make_engine(Settings().database_url)
    upgrade(engine, MIGRATIONS)
    store = ConversationStore(session_factory(engine), session_factory(engine, read_only=True))
    with questions.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    now = datetime.now(UTC)
    for number, text in enumerate([*texts, *texts[:40], "/refund"]):
        store.add(Turn("c", f"m-{number}", text, "answer", None, "en", {"action": "a"}, now), "api")
    store.add(Turn("c", "old", "long ago", "answer", None, "en", {}, NOW), "api")
    engine.dispose()
    result = run("promise", "--model", artifact, "--output", tmp_path / "new", "--from-log")
    assert result.exit_code == 0, result.output
    assert f"{len(texts) + 40} messages of 30 days:" in result.output
    said = read_manifest(tmp_path / "new").settings["decision"]["oos_share"]
    assert f"{said:.1%} out of scope" in result.output


def test_a_share_that_is_stated_twice_is_refused(artifact: Path, tmp_path: Path) -> None:
    words = ("--model", artifact, "--output", tmp_path / "new", "--from-log", "--oos-share", "0.1")
    result = run("promise", *words)
    assert result.exit_code == 2
    assert "name one" in result.output
