"""Training, evaluating and predicting, as functions and as commands."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from core.artifacts import MANIFEST, read_manifest, verify
from core.data.pairs import TextPair
from core.errors import ArtifactError, DataError, InvalidInput
from core.inference.encoder import TextEncoder
from core.progress import Progress
from core.training.biencoder import DEFAULTS, train_bi_encoder
from services.customer_service.cli import group
from services.customer_service.measure import evaluate, predict
from services.customer_service.train import read_training_rows, train
from services.customer_service.understanding import KIND, IntentModel

# DESIGN.md, "JSON of evaluate": others script against these.
FIGURES = (
    "accuracy",
    "macro_f1",
    "ece",
    "coverage",
    "wrong_answer_rate",
    "mcc",
    "oos_auroc",
    "oos_recall",
    "false_rejection_rate",
    "oos_recall_at_4pct_false_rejection",
)


def table(path: Path, *rows: tuple[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "intent"), *rows])
    return path


@pytest.fixture
def test_questions(tmp_path: Path) -> Path:
    return table(
        tmp_path / "test.csv",
        ("hello dear bot", "greeting"),
        ("where is the package", "order_status"),
        ("please send a refund", "refund"),
        ("get me a real person", "talk_to_human"),
        ("你好 bot", "greeting"),
        ("cash back now", "refund"),
        ("recipe for the moon", "oos"),
        ("poem about the sea", "OOS"),
        ("天气好吗", "oos"),
    )


# --- the artefact ------------------------------------------------------------------------------


def test_the_artefact_is_whole_and_holds_what_serving_needs(artifact: Path) -> None:
    manifest = verify(artifact, kind=KIND)
    expected = {"encoder/model.onnx", "heads.safetensors", "open_set.safetensors"}
    assert expected | {"out_of_scope.safetensors"} <= set(manifest.files)
    assert not (artifact / "search_encoder").exists()
    decision = manifest.settings["decision"]
    assert set(decision) == {
        "weights",
        "pair_weights",
        "threshold",
        "trust",
        "in_scope_floor",
        "risk",
        "oos_share",
        "promised",
        "note",
        "held_out_rows",
        "held_out_oos_rows",
        "at_threshold",
        "risk_coverage",
    }
    assert decision["held_out_oos_rows"] == 30
    assert 0 < len(decision["risk_coverage"]) <= 50


def test_out_of_scope_is_never_a_class(model: IntentModel) -> None:
    assert model.intents == ("greeting", "order_status", "refund", "talk_to_human")


def test_a_question_like_a_known_one_out_of_scope_is_less_sure(model: IntentModel) -> None:
    known, similar = model.understand(["recipe for banana bread", "where is my parcel"])
    assert known.reading.chance < similar.reading.chance
    assert not known.reading.sure


def test_out_of_scope_rows_change_the_datas_digest(
    artifact: Path, questions: Path, tmp_path: Path, base_model: Path
) -> None:
    rows, _ = read_training_rows(questions)
    without = table(tmp_path / "t.csv", *((row.text, row.labels["intent"]) for row in rows))
    manifest = train(without, tmp_path / "model", base_model=str(base_model), threads=1)
    assert manifest.data_sha256 != read_manifest(artifact).data_sha256
    decision = manifest.settings["decision"]
    assert decision["in_scope_floor"] is not None
    assert "no `oos` rows" in decision["note"]


def test_a_tuned_model_brings_the_untuned_encoder_unless_tuning_changed_nothing(
    questions: Path, base_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    manifest = train(questions, folder, base_model=str(base_model), preset="accurate", threads=1)
    model = IntentModel.load(folder, threads=1)
    tuned = manifest.settings["classifier"]["tuning"]["best_epoch"] > 0
    assert (folder / "search_encoder").is_dir() == tuned
    assert (model.searcher.encoder_id != model.classifier.encoder.encoder_id) == tuned


def test_articles_are_searched_with_the_encoder_that_was_tuned_for_it(
    questions: Path, base_model: Path, tmp_path: Path
) -> None:
    pairs = [TextPair(f"question {n}", f"passage {n}") for n in range(20)]
    config = replace(DEFAULTS, keep="last", epochs=1, batch_size=4)
    train_bi_encoder(
        pairs, tmp_path / "search", base_model=str(base_model), config=config, threads=1
    )
    folder = tmp_path / "model"
    train(
        questions, folder, base_model=str(base_model), search_model=tmp_path / "search", threads=1
    )
    model = IntentModel.load(folder, threads=1)
    tuned = TextEncoder.load(tmp_path / "search" / "encoder", threads=1)
    assert model.searcher.encoder_id == tuned.encoder_id
    assert model.classifier.encoder.encoder_id != tuned.encoder_id


def test_a_model_without_a_search_encoder_gives_none(
    questions: Path, artifact: Path, base_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="has no search_encoder"):
        train(questions, tmp_path / "model", base_model=str(base_model), search_model=artifact)


# --- personal data -----------------------------------------------------------------------------

_PERSONAL = "refund to anna@example.com or call 13800138000"
_REDACTED = "refund to [email] or call [phone]"


def test_training_reads_texts_without_personal_data_and_says_what_was_replaced(
    tmp_path: Path,
) -> None:
    data = table(tmp_path / "t.csv", (_PERSONAL, "refund"), ("hi", "greeting"), (_PERSONAL, "oos"))
    said = io.StringIO()
    inside, outside = read_training_rows(data, Progress(said))
    assert [row.text for row in (*inside, *outside)] == [_REDACTED, "hi", _REDACTED]
    assert "personal data replaced before training: 2 email, 2 phone" in said.getvalue()
    assert "example.com" not in said.getvalue()


def test_personal_data_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    data = table(tmp_path / "t.csv", (_PERSONAL, "refund"), ("hi", "greeting"))
    inside, _ = read_training_rows(data, keep_personal_data=True)
    assert inside[0].text == _PERSONAL


def test_a_message_is_classified_as_its_redacted_form(model: IntentModel) -> None:
    original, redacted = model.predict([_PERSONAL, _REDACTED]).heads["intent"].probabilities
    assert (original == redacted).all()
    assert model.prepared(_PERSONAL)[1].ids.tolist() == model.prepared(_REDACTED)[1].ids.tolist()


def test_a_model_of_texts_as_they_are_reads_messages_as_they_are(
    artifact: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(artifact, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["settings"].pop("redacted") is True
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    model = IntentModel.load(folder, threads=1, check=False)
    assert model.prepared(_PERSONAL)[1].ids.tolist() != model.prepared(_REDACTED)[1].ids.tolist()


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([("hi", "greeting")], "at least 2 rows"),
        ([("hi", "greeting"), ("hey", "greeting")], "at least 2 different labels"),
        ([("poem", "oos"), ("song", "oos")], "every row is out of scope"),
        ([("", "greeting")], "`text`"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(
    tmp_path: Path, base_model: Path, rows: list[tuple[str, str]], part: str
) -> None:
    with pytest.raises(DataError) as caught:
        train(table(tmp_path / "t.csv", *rows), tmp_path / "m", base_model=str(base_model))
    assert part in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_an_impossible_risk_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        train(tmp_path / "nothing.csv", tmp_path / "m", risk=1.5)


def test_another_services_model_is_refused(tmp_path: Path, artifact: Path) -> None:
    from shutil import copytree

    folder = copytree(artifact, tmp_path / "m")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "kind": "recommender"}))
    with pytest.raises(ArtifactError, match="holds a recommender model"):
        IntentModel.load(folder)


# --- evaluating and predicting -----------------------------------------------------------------


def test_a_report_has_every_key_of_the_contract(model: IntentModel, test_questions: Path) -> None:
    report = evaluate(model, test_questions)
    for figures in (report, *report["slices"].values()):
        for name in FIGURES:
            assert name in figures
            assert f"{name}_ci" in figures
    assert report["accuracy"] == 1.0
    assert report["oos_rows"] == 3
    assert set(report["slices"]) == {"en", "zh"}
    json.dumps(report, allow_nan=False)


def test_what_cannot_be_computed_is_null_and_never_absent(
    model: IntentModel, tmp_path: Path
) -> None:
    report = evaluate(model, table(tmp_path / "t.csv", ("hello bot", "greeting")))
    assert report["oos_auroc"] is None
    assert report["oos_recall"] is None
    assert report["false_rejection_rate"] is None
    assert report["oos_recall_at_4pct_false_rejection_ci"] is None
    only_oos = evaluate(model, table(tmp_path / "t.csv", ("poem about the moon", "oos")))
    assert only_oos["accuracy"] is None
    assert only_oos["oos_recall"] is not None


def test_an_answered_out_of_scope_question_is_wrong(model: IntentModel, tmp_path: Path) -> None:
    report = evaluate(
        model, table(tmp_path / "t.csv", ("hello bot", "greeting"), ("hello friends", "oos"))
    )
    assert report["coverage"] == 1.0
    assert report["wrong_answer_rate"] == 0.5
    assert report["oos_recall"] == 0.0


def test_an_intent_the_model_never_saw_counts_as_wrong_and_is_named(
    model: IntentModel, tmp_path: Path
) -> None:
    report = evaluate(
        model, table(tmp_path / "t.csv", ("hello bot", "greeting"), ("hello friends", "news"))
    )
    assert report["accuracy"] == 0.5
    assert report["unknown_intents"] == ["news"]


def test_predictions_are_a_row_a_text_with_the_contracts_columns(
    model: IntentModel, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text('text\n"hello, bot"\nwho won the moon\n', encoding="utf-8")
    assert predict(model, texts, tmp_path / "new" / "out.csv") == 2
    with (tmp_path / "new" / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "intent", "confidence", "action"]
    assert (rows[0]["text"], rows[0]["intent"]) == ("hello, bot", "greeting")
    assert rows[0]["action"] == "answer"
    assert rows[1]["action"] in ("clarify", "abstain")
    assert 0 <= float(rows[1]["confidence"]) <= 1


# --- commands ----------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """A command of the service in a folder of its own."""
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))

    def invoke(*arguments: Any) -> Result:
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    return invoke


def test_train_evaluate_and_predict_work_from_the_command_line(
    run: Callable[..., Result],
    questions: Path,
    base_model: Path,
    test_questions: Path,
    tmp_path: Path,
) -> None:
    folder, figures, out = tmp_path / "model", tmp_path / "out.json", tmp_path / "out.csv"
    trained = run(
        *("train", "--data", questions, "--output", folder, "--base-model", base_model),
        *("--seed", 1, "--risk", 0.2, "--oos-share", 0.1),
    )
    assert trained.exit_code == 0, trained.output
    assert "held-out accuracy" in trained.stdout
    assert "wrong" in trained.stdout
    measured = run("evaluate", "--model", folder, "--data", test_questions, "--json", figures)
    assert measured.exit_code == 0, measured.output
    assert json.loads(figures.read_text(encoding="utf-8"))["rows"] == 9
    predicted = run("predict", "--model", folder, "--input", test_questions, "--output", out)
    assert predicted.exit_code == 0, predicted.output
    assert out.read_text(encoding="utf-8").count("\n") == 10


def test_import_reports_what_was_taken(run: Callable[..., Result], shop_files: Path) -> None:
    done = run(
        *("import", "--answers", shop_files / "intents.yaml"),
        *("--articles", shop_files / "articles"),
    )
    assert done.exit_code == 0, done.output
    assert "intents: 4 new" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "--data", "nowhere.csv", "--output", "m"),
        ("train", "--data", __file__, "--output", "m", "--risk", "1.5"),
        ("train", "--data", __file__, "--output", "m", "--preset", "best"),
        ("evaluate", "--model", "nowhere", "--data", __file__, "--json", "x"),
        ("import",),
        ("nothing",),
    ],
)
def test_wrong_usage_ends_with_status_two(
    run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "import", "serve", "keys"])
def test_every_command_has_help(run: Callable[..., Result], command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "Example: trefoil customer-service" in text or command == "keys"


def test_the_commands_import_nothing_heavy(run_python: Callable[..., str]) -> None:
    code = (
        "import sys, services.customer_service.cli;"
        "print(sorted({'numpy', 'torch', 'fastapi', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"
