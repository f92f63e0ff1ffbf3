"""Does a token classifier learn what spans are, and does it serve them without torch?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import Manifest, verify
from core.data.tagged import Span, TaggedText, parse_marked
from core.errors import ArtifactCorrupt, ArtifactError, DataError, InvalidInput
from core.inference.token_classifier import KIND, TokenClassifier
from core.training.config import FineTuneConfig
from core.training.loop import RunOptions
from core.training.tokens import DEFAULTS, evaluate, train_token_classifier

OPENINGS = ("where is my", "i want a", "when will the", "for this", "return an")
THINGS = ("[phone](thing)", "[jacket](thing)", "[broken phone](thing)", "[item](thing)")
ENDINGS = ("in the [rain](weather)", "now", "and my money back", "arrive")
ROWS = [
    parse_marked(f"{opening} {thing} {ending}", line=i)
    for i, (opening, thing, ending) in enumerate(
        (o, t, e) for o in OPENINGS for t in THINGS for e in ENDINGS
    )
]
QUICK = replace(
    DEFAULTS, epochs=12, batch_size=4, learning_rate=2e-3, head_learning_rate=2e-2, dropout=0.0
)


def train(base: Path, output: Path, **changes: Any) -> Manifest:
    options = changes.pop("options", None)
    rows = changes.pop("rows", ROWS)
    return train_token_classifier(
        rows,
        output,
        base_model=str(base),
        config=replace(QUICK, **changes),
        threads=1,
        options=options,
    )


@pytest.fixture(scope="module")
def artifact(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "model"
    train(tiny_base_model, folder)
    return folder


def test_the_spans_of_held_out_texts_are_found(artifact: Path) -> None:
    manifest = verify(artifact, kind=KIND)
    assert manifest.metrics["f1"] > 0.9
    assert manifest.metrics["f1_ci"][0] <= manifest.metrics["f1"]
    assert set(manifest.metrics["labels"]) == {"thing", "weather"}
    history = manifest.settings["tuning"]["history"]
    assert history[0]["entity F1"] < history[-1]["entity F1"]
    assert manifest.settings["tokens"]["temperature"] > 0


def test_the_served_model_gives_offsets_into_the_text_as_it_came(artifact: Path) -> None:
    text = "  Where is my Broken PHONE in the Rain"
    (found,) = TokenClassifier.load(artifact, threads=1).predict([text])
    assert [(span.text, span.label) for span in found.spans] == [
        ("Broken PHONE", "thing"),
        ("Rain", "weather"),
    ]
    assert all(text[span.start : span.end] == span.text for span in found.spans)
    assert all(0.5 < span.confidence <= 1 for span in found.spans)
    assert found.note == ""


def test_any_text_is_accepted_and_the_others_do_not_change_it(artifact: Path) -> None:
    model = TokenClassifier.load(artifact, threads=1)
    texts = ["", "我的手机 phone", "\ud800", "i want a jacket now", "x" * 5000]
    together = model.predict(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = model.predict([text])
        assert [s.span for s in alone.spans] == [s.span for s in found.spans]
    assert together[0].spans == ()


def test_a_long_text_is_cut_with_a_note(artifact: Path) -> None:
    text = "my phone " * 100
    (found,) = TokenClassifier.load(artifact, threads=1).predict([text])
    assert found.spans
    # 64 tokens, two of them special: 31 times both words, without the last space.
    assert found.note == "only the first 278 of 900 characters were read"


def test_serving_never_imports_torch(artifact: Path, run_python: Callable[..., str]) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from core.inference.token_classifier import TokenClassifier\n"
        "found = TokenClassifier.load(Path(sys.argv[1])).predict(['i want a jacket now'])\n"
        "print(found[0].spans[0].text, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert run_python(code, str(artifact)) == "jacket False False"


def test_evaluate_counts_what_the_model_misses(artifact: Path) -> None:
    model = TokenClassifier.load(artifact, threads=1)
    wrong = [TaggedText("i want a jacket now", (Span(0, 1, "thing"),))]
    figures = evaluate(model, wrong)
    assert (figures["precision"], figures["recall"], figures["spans"]) == (0, 0, 1)


def test_the_same_seed_gives_the_same_model(tiny_base_model: Path, tmp_path: Path) -> None:
    few = {"epochs": 1}
    first = train(tiny_base_model, tmp_path / "a", **few)
    again = train(tiny_base_model, tmp_path / "b", **few)
    assert first.files["model.onnx"] == again.files["model.onnx"]
    assert first.data_sha256 == again.data_sha256


def test_a_resumed_run_ends_like_an_uninterrupted_one(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    whole = train(tiny_base_model, tmp_path / "whole", epochs=2)
    parts = RunOptions(checkpoints=tmp_path / "checkpoints", journal=tmp_path / "journal.jsonl")
    half = train(tiny_base_model, tmp_path / "half", epochs=2, max_minutes=0.0, options=parts)
    assert len(half.settings["tuning"]["history"]) == 2
    rest = train(tiny_base_model, tmp_path / "rest", epochs=2, options=replace(parts, resume=True))
    assert rest.settings["tuning"]["history"] == whole.settings["tuning"]["history"]
    assert rest.files["model.onnx"] == whole.files["model.onnx"]
    lines = (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert all("step" in json.loads(line) for line in lines)


@pytest.mark.parametrize("tune", ["head", "top", "lora"])
def test_other_ways_of_tuning_are_exported_too(
    tiny_base_model: Path, tmp_path: Path, tune: Any
) -> None:
    manifest = train(tiny_base_model, tmp_path / "model", tune=tune, top_layers=1, epochs=1)
    found = TokenClassifier.load(tmp_path / "model", threads=1).predict(["i want a phone"])
    assert len(found) == 1
    assert manifest.settings["tuning"]["config"]["tune"] == tune


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tune": "prefix"}, "tune must be head, top, all, lora or ia3"),
        ({"adversarial": "fgm"}, "adversarial does nothing for this task"),
        ({"class_weights": True}, "class_weights does nothing"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(
    tiny_base_model: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        train(tiny_base_model, tmp_path / "model", **changes)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([TaggedText("no span", ()), TaggedText("none", ())], "no text holds a span"),
        ([parse_marked("a [phone](thing)")], "too few to learn from"),
        ([TaggedText("short", (Span(3, 9, "thing"),), 4)], "line 4"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(
    tiny_base_model: Path, tmp_path: Path, rows: list[TaggedText], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        train(tiny_base_model, tmp_path / "model", rows=rows)


def test_a_changed_file_and_another_kind_are_refused(tiny_base_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    train(tiny_base_model, folder, epochs=0)
    with pytest.raises(ArtifactError, match="expected reranker"):
        verify(folder, kind="reranker")
    with (folder / "tokenizer.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(ArtifactCorrupt, match="was changed"):
        TokenClassifier.load(folder, threads=1)


def test_no_epochs_leave_the_head_as_it_began(tiny_base_model: Path, tmp_path: Path) -> None:
    manifest = train(tiny_base_model, tmp_path / "model", epochs=0)
    assert manifest.settings["tuning"]["best_epoch"] == 0
    assert np.isfinite(manifest.metrics["f1"])
    assert manifest.settings["tuning"]["config"]["epochs"] == 0


def test_the_defaults_read_whole_texts() -> None:
    assert DEFAULTS.max_tokens > FineTuneConfig().max_tokens
