"""One turn, with a model that says what the test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import InvalidInput, NotReady
from services.customer_service.answers_reading import parse_intent, parse_slot
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.domain import Candidate, Reading
from services.customer_service.live import Live
from services.customer_service.reader import Reader
from services.customer_service.reply import Replier
from services.customer_service.situation import Message, Place
from services.customer_service.store import ConversationStore
from services.customer_service.tables import MIGRATIONS
from services.customer_service.understanding import Understood

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NUMBER = parse_slot("number", {"pattern": r"LY-\d{6}", "ask": {"en": "Which order?"}})
INTENTS = {
    "status": {
        "description": {"en": "Where is my order", "zh": "查询订单"},
        "answers": {"en": ["{number} is on its way."], "zh": ["{number} 在路上。"]},
        "without_slots": {"en": ["Under My account."]},
        "quick_replies": {"en": ["Cancel it"]},
    },
    "cancel": {
        "description": {"en": "Cancel an order", "zh": "取消订单"},
        "answers": {"en": ["Cancel {number} in the account."]},
    },
    "person": {"answers": {"en": ["A colleague takes over."]}, "handoff": True},
    "silent": {"description": {"en": "No answer yet"}},
}
ARTICLE = make_article(
    "drones", title="Drones", url="/drones", body="A drone above 250 grams needs registration."
)


class Model:
    """Says `readings[text]`; of any other text nothing is sure."""

    version = cache_key = "v1"

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.asked: list[str] = []

    def prepared(self, text: str) -> tuple[str, Any]:
        return text, SimpleNamespace(ids=np.zeros(len(text.split()) + 2, dtype=np.int64))

    def understand_prepared(self, texts: Sequence[str], tokens: Any) -> list[Understood]:
        self.asked += texts
        vague = read(("status", 0.3), ("cancel", 0.2), ("person", 0.1), ("silent", 0.05))
        return [
            Understood(self.readings.get(t, vague), 0.0, "e", np.zeros(4, np.float32), True)
            for t in texts
        ]


def read(*ranked: tuple[str, float], chance: float = 0.2, sure: bool = False) -> Reading:
    return Reading(tuple(Candidate(*each) for each in ranked), chance, chance, sure)


SURE = {"chance": 0.99, "sure": True}


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def ask(sqlite_url: str, model: Model) -> Iterator[Callable[..., dict[str, Any]]]:
    """Send a message to a replier of its own; the body of the answer."""
    engine = make_engine(sqlite_url)
    upgrade(engine, MIGRATIONS)
    sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
    content = ContentStore(sessions, readers)
    slots = {"number": NUMBER}
    intents = [parse_intent(name, said, slots) for name, said in INTENTS.items()]
    content.put_answers(intents, [NUMBER], NOW)
    content.put_articles([ARTICLE], NOW)
    live = Live(content)
    live.refresh(None)
    reader = Reader()
    replier = Replier(
        models=SimpleNamespace(current=lambda: model),  # type: ignore[arg-type]
        live=live,
        reader=reader,
        conversations=ConversationStore(sessions, readers),
        place=Place(lambda: NOW),
        max_message_chars=200,
    )

    def send(text: str, **values: Any) -> dict[str, Any]:
        return asyncio.run(replier.reply(Message(text, **values)))

    yield send
    reader.stop()
    engine.dispose()


Ask = Callable[..., dict[str, Any]]


def test_a_sure_intent_is_answered_with_its_template(ask: Ask, model: Model) -> None:
    model.readings["where is LY-123456"] = read(("status", 0.99), ("cancel", 0.01), **SURE)
    answer = ask("where is LY-123456", conversation_id="c", message_id="m")
    assert answer == {
        "conversation_id": "c",
        "message_id": "m",
        "action": "answer",
        "text": "LY-123456 is on its way.",
        "intent": "status",
        "confidence": 0.99,
        "alternatives": [{"intent": "cancel", "confidence": 0.01}],
        "buttons": [{"title": "Cancel it", "payload": "Cancel it"}],
        "sources": [],
        "slots": {"number": "LY-123456"},
        "parts": [],
        "model_version": "v1",
    }


def test_ids_are_made_where_none_are_given(ask: Ask) -> None:
    one, two = ask("hello"), ask("hello")
    assert len({one["conversation_id"], two["conversation_id"]}) == 2
    assert one["message_id"] != two["message_id"]


def test_an_unknown_slot_is_asked_for_and_its_bare_value_continues(ask: Ask, model: Model) -> None:
    model.readings["cancel please"] = read(("cancel", 0.99), **SURE)
    first = ask("cancel please", conversation_id="c")
    assert (first["action"], first["text"]) == ("ask_slot", "Which order?")
    second = ask("LY-123456", conversation_id="c")
    assert (second["action"], second["intent"]) == ("answer", "cancel")
    assert second["text"] == "Cancel LY-123456 in the account."


def test_a_value_inside_a_sentence_nobody_understands_continues_too(ask: Ask, model: Model) -> None:
    model.readings["cancel please"] = read(("cancel", 0.99), **SURE)
    ask("cancel please", conversation_id="c")
    answer = ask("well that one is LY-123456", conversation_id="c")
    assert answer["intent"] == "cancel"


def test_a_slot_is_remembered_in_its_conversation_and_nowhere_else(ask: Ask, model: Model) -> None:
    model.readings["status"] = read(("status", 0.99), **SURE)
    ask("I am LY-123456", conversation_id="c")
    assert ask("status", conversation_id="c")["text"] == "LY-123456 is on its way."
    assert ask("status", conversation_id="d")["text"] == "Under My account."


def test_two_close_intents_give_one_question_with_two_buttons(ask: Ask, model: Model) -> None:
    model.readings["my order"] = read(("status", 0.5), ("cancel", 0.45), chance=0.9)
    answer = ask("my order", conversation_id="c")
    assert answer["action"] == "clarify"
    assert [b["payload"] for b in answer["buttons"]] == ["/status", "/cancel"]
    pressed = ask("/status", conversation_id="c")
    assert (pressed["action"], pressed["confidence"]) == ("answer", 1.0)
    assert pressed["alternatives"] == []


def test_a_likely_intent_is_asked_about_beside_a_way_to_a_person(ask: Ask, model: Model) -> None:
    model.readings["order?"] = read(("status", 0.9), ("cancel", 0.01), chance=0.9)
    answer = ask("order?")
    assert [b["payload"] for b in answer["buttons"]] == ["/status", "/person"]


def test_what_no_intent_answers_is_quoted_from_the_articles(ask: Ask) -> None:
    answer = ask("drone above 250 grams registration")
    assert answer["action"] == "retrieve"
    quote = "A drone above 250 grams needs registration."
    assert answer["text"].endswith(f"it may help: {quote}")
    assert answer["sources"] == [{"title": "Drones", "url": "/drones", "quote": quote}]
    assert answer["intent"] == "status"
    assert len(answer["alternatives"]) == 3


def test_the_unknown_is_owned_up_to_and_then_handed_over(ask: Ask) -> None:
    first = ask("blorb", conversation_id="c")
    assert first["action"] == "abstain"
    assert first["buttons"] == [{"title": "Talk to a person", "payload": "/person"}]
    second = ask("fnord", conversation_id="c")
    assert second["action"] == "handoff"
    assert "colleague" in second["text"]


def test_an_intent_that_hands_over_says_so(ask: Ask, model: Model) -> None:
    model.readings["a human"] = read(("person", 0.99), **SURE)
    answer = ask("a human")
    assert (answer["action"], answer["text"]) == ("handoff", "A colleague takes over.")


def test_an_intent_without_an_answer_is_no_answer(ask: Ask, model: Model) -> None:
    model.readings["hm"] = read(("silent", 0.99), **SURE)
    assert ask("hm")["action"] == "abstain"
    assert ask("/silent")["action"] == "abstain"


@pytest.mark.parametrize(
    ("text", "locale", "word"),
    [
        ("完全不懂", None, "转人工客服"),
        ("blorb", "zh-CN", "转人工客服"),
        ("完全不懂", "en", "person"),
        ("blorb", "fr_FR", "person"),
        ("🙂", None, "person"),
    ],
)
def test_the_language_is_the_one_asked_for_else_that_of_the_script(
    ask: Ask, text: str, locale: str | None, word: str
) -> None:
    assert word in ask(text, locale=locale)["text"]


def test_a_message_without_letters_keeps_the_language_of_the_conversation(ask: Ask) -> None:
    ask("完全不懂", conversation_id="c")
    assert "同事" in ask("LY-123456", conversation_id="c")["text"]


def test_a_repeated_message_is_answered_once(ask: Ask, model: Model) -> None:
    first = ask("blorb", conversation_id="c", message_id="m")
    model.asked.clear()
    assert ask("something else", conversation_id="c", message_id="m") == first
    assert model.asked == []


def test_a_message_that_was_read_a_moment_ago_is_not_read_again(ask: Ask, model: Model) -> None:
    ask("blorb")
    ask("  blorb ")
    assert model.asked == ["blorb"]


@pytest.mark.parametrize("text", ["", "  ", "\u200b\u2060", "x" * 201])
def test_what_cannot_be_answered_is_refused(ask: Ask, text: str) -> None:
    with pytest.raises(InvalidInput):
        ask(text)


def test_without_a_model_the_reader_is_told_how_to_get_one(ask: Ask, model: Model) -> None:
    def nothing() -> Model:
        raise NotReady("no model")

    replier = Replier(
        models=SimpleNamespace(current=nothing),  # type: ignore[arg-type]
        live=SimpleNamespace(current=lambda: None),  # type: ignore[arg-type]
        reader=SimpleNamespace(),  # type: ignore[arg-type]
        conversations=SimpleNamespace(),  # type: ignore[arg-type]
        place=Place(lambda: NOW),
    )
    with pytest.raises(NotReady):
        asyncio.run(replier.reply(Message("hi")))
