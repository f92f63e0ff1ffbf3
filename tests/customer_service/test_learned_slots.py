"""Slots of kind `learned` are found by the tagger that came with the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Manifest, Registry, read_manifest, write_artifact
from core.data.tagged import parse_marked
from core.errors import ArtifactError, InvalidInput
from core.training.tokens import DEFAULTS, train_token_classifier
from services.customer_service.answers import AnswerBook
from services.customer_service.answers_reading import parse_slot
from services.customer_service.app import create_app
from services.customer_service.beside import taken_from
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.slots import Moment
from services.customer_service.train import train
from services.customer_service.understanding import KIND, IntentModel

from .conftest import NOW

OPENINGS = ("where is my", "i want a", "when will the", "for this", "return an")
THINGS = ("[phone](thing)", "[jacket](thing)", "[broken phone](thing)", "[item](thing)")
ENDINGS = ("in the [rain](weather)", "now", "and my money back", "arrive")
INTENTS = """
slots:
  thing: {kind: learned, synonyms: {item: article}, ask: {en: "Which one?"}}
intents:
  refund: {answers: {en: ["Your {thing} is refunded."]}}
"""


@pytest.fixture(scope="module")
def tagger(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows things and weather."""
    rows = [
        parse_marked(f"{opening} {thing} {ending}")
        for opening in OPENINGS
        for thing in THINGS
        for ending in ENDINGS
    ]
    config = replace(
        DEFAULTS, epochs=12, batch_size=4, learning_rate=2e-3, head_learning_rate=2e-2, dropout=0.0
    )
    folder = tmp_path_factory.mktemp("tagger") / "model"
    train_token_classifier(rows, folder, base_model=str(tiny_base_model), config=config, threads=1)
    return folder


@pytest.fixture(scope="module")
def with_tagger(
    questions: Path, base_model: Path, tagger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("with_tagger") / "model"
    train(questions, folder, base_model=str(base_model), tagger=tagger, threads=1)
    return folder


def test_the_model_brings_its_tagger_and_finds_the_slots_that_are_asked_for(
    with_tagger: Path,
) -> None:
    model = IntentModel.load(with_tagger, threads=1)
    found = model.tagged("where is my broken phone in the rain", {"thing"})
    assert {slot: [s.value for s in spans] for slot, spans in found.items()} == {
        "thing": ["broken phone"]
    }
    assert model.tagged("where is my broken phone in the rain", set()) == {}


def test_a_model_without_a_tagger_finds_nothing(model: IntentModel) -> None:
    assert model.tagged("where is my broken phone", {"thing"}) == {}


def test_a_synonym_stands_for_its_value_and_the_later_of_two_counts(with_tagger: Path) -> None:
    slot = parse_slot("thing", {"kind": "learned", "synonyms": {"item": "article"}})
    book, model = AnswerBook(slots={"thing": slot}), IntentModel.load(with_tagger, threads=1)

    def value(text: str) -> dict[str, str]:
        learned = model.tagged(text, book.learned_slots)
        return book.find_slots(text, Moment(date(2026, 3, 1), "en", learned))

    assert value("where is my phone now") == {"thing": "phone"}
    assert value("return an item now") == {"thing": "article"}
    assert value("i want a jacket now") == {"thing": "jacket"}
    assert value("now and then") == {}


def test_an_answer_is_filled_with_what_the_tagger_found(
    make_settings: Callable[..., Settings], with_tagger: Path, tmp_path: Path
) -> None:
    settings = make_settings()
    Registry(settings.models_dir, KIND).promote(with_tagger)
    answers = tmp_path / "intents.yaml"
    answers.write_text(INTENTS, encoding="utf-8")
    run_import(settings, answers=answers, articles=None, now=lambda: NOW)
    with TestClient(create_app(settings, now=lambda: NOW), base_url="http://localhost") as client:

        def ask(message: str, conversation: str) -> dict[str, object]:
            body = {"message": message, "conversation_id": conversation}
            answer: dict[str, object] = client.post("/v1/chat", json=body).json()
            return answer

        asked = ask("/refund", "a")
        assert (asked["action"], asked["text"]) == ("ask_slot", "Which one?")
        told = ask("return an item now", "a")
        assert (told["action"], told["text"]) == ("answer", "Your article is refunded.")
        assert told["slots"] == {"thing": "article"}
        parsed = client.post("/model/parse", json={"text": "return an item now"}).json()
        found = {entity["entity"]: entity["value"] for entity in parsed["entities"]}
        assert found == told["slots"]


def test_a_tagger_of_another_kind_is_refused(
    questions: Path, base_model: Path, tmp_path: Path
) -> None:
    with write_artifact(tmp_path / "other") as draft:
        draft.manifest = Manifest("bi_encoder", "2026-01-01", "m", "r", "d")
    with pytest.raises(ArtifactError, match="token_classifier"):
        train(
            questions,
            tmp_path / "model",
            base_model=str(base_model),
            tagger=tmp_path / "other",
            threads=1,
        )


def test_the_next_training_takes_over_what_the_live_model_has(
    questions: Path, base_model: Path, with_tagger: Path, artifact: Path, tmp_path: Path
) -> None:
    settings = read_manifest(with_tagger).settings
    assert taken_from(with_tagger, settings) == ["--tagger", str(with_tagger)]
    assert taken_from(with_tagger, {**settings, "search_tuned": True})[2:] == [
        "--search-model",
        str(with_tagger),
    ]
    assert taken_from(artifact, read_manifest(artifact).settings) == []
    train(questions, tmp_path / "next", base_model=str(base_model), tagger=with_tagger, threads=1)
    next_model = IntentModel.load(tmp_path / "next", threads=1)
    assert "thing" in next_model.tagged("where is my broken phone", {"thing"})


def test_a_model_without_a_tagger_gives_none(
    questions: Path, base_model: Path, artifact: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="has no tagger"):
        train(questions, tmp_path / "m", base_model=str(base_model), tagger=artifact, threads=1)


def test_a_learned_slot_has_no_pattern() -> None:
    with pytest.raises(InvalidInput, match="kind learned has no `pattern`"):
        parse_slot("thing", {"kind": "learned", "pattern": "x"})
