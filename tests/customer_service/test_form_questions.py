"""A question in the middle of a form is answered by articles that speak strongly to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.customer_service.answers import AnswerBook
from services.customer_service.answers_reading import parse_intent, parse_slot
from services.customer_service.articles import make_article, passages_of
from services.customer_service.compose import ScoredPassage
from services.customer_service.evidence import Bars, words_of
from services.customer_service.knowledge import Found
from services.customer_service.live import Copy
from services.customer_service.phrases import phrase
from services.customer_service.reader import Reader
from services.customer_service.reply import Replier
from services.customer_service.situation import Message, Place
from services.customer_service.store import ConversationStore
from services.customer_service.tables import MIGRATIONS
from tests.customer_service.conftest import NOW
from tests.customer_service.test_reply import Model

SLOTS = {
    "size": parse_slot("size", {"kind": "lookup", "values": ["small", "large"], "ask": "Size?"}),
    "fault": parse_slot("fault", {"kind": "text", "ask": "What is wrong?"}),
}
INTENTS: dict[str, Any] = {
    "book": {
        "form": {"slots": ["size"], "confirm": "A {size} one?"},
        "answers": {"en": ["A {size} one is booked."]},
    },
    "complain": {"form": {"slots": ["fault"]}, "answers": {"en": ["We look into it: {fault}"]}},
}
BOOK = AnswerBook({name: parse_intent(name, said, SLOTS) for name, said in INTENTS.items()}, SLOTS)
QUESTION, WEAK = "How much is express delivery?", "How long does delivery take?"
STATED = "the express delivery"
ARTICLE = "Express delivery costs 9 euros."
AGAIN = f"{ARTICLE}\n\n{phrase('back', 'en', 'en')} Size?"
NOTHING = phrase("nothing", "en", "en")
Say = Callable[[str], dict[str, Any]]


class Shelf:
    """One article; how strongly it speaks to a text is what the test says."""

    strength: Mapping[str, float] = {QUESTION: 0.9, STATED: 0.9, WEAK: 0.6}
    passage = passages_of(make_article("d", title="Delivery", url="/delivery", body=ARTICLE))[0]

    def search(self, text: str, embedding: Any) -> Found:
        strength = self.strength.get(text, 0.0)
        words = dict.fromkeys(words_of(text), 1.0)
        scored = (ScoredPassage(self.passage, strength),)
        return Found(scored, strength, Bars(some=0.5, strong=0.8), words)


@pytest.fixture
def say(sqlite_url: str) -> Iterator[Say]:
    engine = make_engine(sqlite_url)
    upgrade(engine, MIGRATIONS)
    reader, model = Reader(), Model()
    copy = Copy(1, BOOK, Shelf(), None)  # type: ignore[arg-type]
    replier = Replier(
        models=SimpleNamespace(current=lambda: model),  # type: ignore[arg-type]
        live=SimpleNamespace(current=lambda: copy),  # type: ignore[arg-type]
        reader=reader,
        conversations=ConversationStore(session_factory(engine), session_factory(engine)),
        place=Place(lambda: NOW),
    )
    yield lambda text: asyncio.run(replier.reply(Message(text, "c", locale="en")))
    reader.stop()
    engine.dispose()


def test_the_article_answers_and_the_form_asks_on(say: Say) -> None:
    say("/book")
    answer = say(QUESTION)
    assert (answer["action"], answer["text"]) == ("retrieve", AGAIN)
    assert [source["url"] for source in answer["sources"]] == ["/delivery"]
    assert say("large")["text"] == "A large one?"


def test_a_question_at_the_confirmation_brings_the_confirmation_again(say: Say) -> None:
    say("/book")
    say("large")
    answer = say(QUESTION)
    assert answer["text"].startswith(ARTICLE)
    assert answer["text"].endswith("A large one?")
    assert [button["payload"] for button in answer["buttons"]] == ["Yes", "No"]
    assert say("yes")["text"] == "A large one is booked."


def test_a_second_question_in_a_row_is_answered_and_drops_the_form(say: Say) -> None:
    say("/book")
    assert say(QUESTION)["text"] == AGAIN
    assert say(QUESTION)["text"] == ARTICLE
    assert say("large")["intent"] != "book"


def test_the_answer_comes_before_a_person_where_the_form_gets_no_further(say: Say) -> None:
    say("/book")
    say("hm")
    say("hm")
    assert say(QUESTION)["text"] == AGAIN
    assert say("hm")["action"] == "handoff"


@pytest.mark.parametrize("message", [WEAK, STATED])
def test_what_articles_hardly_know_or_what_asks_nothing_is_asked_for_again(
    say: Say, message: str
) -> None:
    say("/book")
    again = say(message)
    assert (again["action"], again["text"]) == ("ask_slot", f"{NOTHING} Size?")
    assert again["sources"] == []


def test_a_question_that_holds_the_value_goes_on_with_the_form(say: Say) -> None:
    say("/book")
    assert say("Is a large one dearer?")["text"] == "A large one?"


def test_where_a_description_is_asked_for_a_question_is_the_description(say: Say) -> None:
    say("/complain")
    assert say(QUESTION)["text"] == f"We look into it: {QUESTION}"
