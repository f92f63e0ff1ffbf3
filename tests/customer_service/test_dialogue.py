"""Turns of one conversation, with a model that says what the test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.customer_service.answers_reading import parse_intent, parse_slot
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.live import Live
from services.customer_service.phrases import opens_with, phrase
from services.customer_service.reader import Reader
from services.customer_service.reply import Replier
from services.customer_service.situation import Message, Place
from services.customer_service.store import ConversationStore
from services.customer_service.tables import MIGRATIONS
from tests.customer_service.test_reply import Model, read

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NUMBER = parse_slot("number", {"pattern": r"LY-\d{6}", "ask": {"en": "Which order?"}})
INTENTS = {
    "cost": {
        "description": {"en": "Delivery costs"},
        "answers": {"en": ["Delivery is 5 euros, express 9."]},
    },
    "abroad": {
        "description": {"en": "Where we deliver"},
        "answers": {"en": ["We deliver to the whole EU."]},
    },
    "refund": {"description": {"en": "Refunds"}, "answers": {"en": ["The refund is on its way."]}},
    "late": {"description": {"en": "Parcel is late"}, "answers": {"en": ["We look for it."]}},
    "status": {
        "description": {"en": "Where is my order"},
        "answers": {"en": ["{number} is on its way."]},
        "without_slots": {"en": ["Under My account."]},
    },
    "cancel": {
        "description": {"en": "Cancel an order"},
        "answers": {"en": ["Cancelled {number}."]},
    },
    "claim": {
        "description": {"en": "Damage"},
        "answers": {"en": ["Claim for {number} is made."]},
        "form": {"slots": ["number"]},
    },
    "person": {"answers": {"en": ["A colleague takes over."]}, "handoff": True},
}
ARTICLES = [
    make_article(
        "norway",
        title="Customs in Norway",
        url="/norway",
        body="Delivery to Norway costs 12 euros, customs duty on top.",
    ),
    make_article(
        "drones", title="Drones", url="/drones", body="A drone above 250 grams needs registration."
    ),
]


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


class Shop:
    """A process that answers; several may share a database."""

    def __init__(self, url: str, model: Model, clock: Clock) -> None:
        self.engine = make_engine(url)
        upgrade(self.engine, MIGRATIONS)
        sessions, readers = session_factory(self.engine), session_factory(self.engine)
        content = ContentStore(sessions, readers)
        slots = {"number": NUMBER}
        content.put_answers(
            [parse_intent(name, said, slots) for name, said in INTENTS.items()], [NUMBER], START
        )
        content.put_articles(ARTICLES, START)
        live = Live(content)
        live.refresh(None)
        self.reader = Reader()
        self.conversations = ConversationStore(sessions, readers)
        self.replier = Replier(
            models=SimpleNamespace(current=lambda: model),  # type: ignore[arg-type]
            live=live,
            reader=self.reader,
            conversations=self.conversations,
            place=Place(clock),
        )

    def say(self, text: str, conversation_id: str = "c", **values: Any) -> dict[str, Any]:
        message = Message(text, conversation_id=conversation_id, **values)
        return asyncio.run(self.replier.reply(message))

    def close(self) -> None:
        self.reader.stop()
        self.engine.dispose()


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(sqlite_url: str, model: Model, clock: Clock) -> Iterator[Shop]:
    shop = Shop(sqlite_url, model, clock)
    yield shop
    shop.close()


def sure(model: Model, text: str, intent: str, *others: tuple[str, float]) -> None:
    model.readings[text] = read((intent, 0.98), *others, chance=0.99, sure=True)


# --- follow-ups --------------------------------------------------------------------------------


def test_a_follow_up_is_answered_with_the_question_before_it(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "How much is delivery? and by express?", "cost")
    shop.say("How much is delivery?")
    answer = shop.say("and by express?")
    assert (answer["action"], answer["intent"]) == ("answer", "cost")


def test_behind_thanks_and_another_follow_up_the_question_is_still_known(
    shop: Shop, model: Model
) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "How much is delivery? and by express?", "cost")
    shop.say("How much is delivery?")
    shop.say("and to Mars?")
    shop.say("ok thanks")
    assert shop.say("and by express?")["intent"] == "cost"


def test_a_detail_that_an_article_has_is_quoted(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    shop.say("How much is delivery?")
    answer = shop.say("and customs in Norway?")
    assert answer["action"] == "retrieve"
    assert [source["url"] for source in answer["sources"]] == ["/norway"]


def test_a_follow_up_about_what_nobody_speaks_of_stands_alone(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "How much is delivery? and the weather?", "cost")
    shop.say("How much is delivery?")
    assert shop.say("and the weather?")["action"] == "abstain"


def test_a_message_that_is_sure_alone_is_read_alone(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "and the refund?", "refund")
    sure(model, "How much is delivery? and the refund?", "cost")
    shop.say("How much is delivery?")
    model.asked.clear()
    assert shop.say("and the refund?")["intent"] == "refund"
    assert model.asked == ["and the refund?"]


def test_a_question_of_its_own_costs_one_reading(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    shop.say("How much is delivery?")
    model.asked.clear()
    shop.say("Where can I find the opening hours of the shop in town?")
    assert len(model.asked) == 1


# --- corrections -------------------------------------------------------------------------------


def test_a_correction_is_read_without_its_marker(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "a refund", "refund")
    shop.say("How much is delivery?")
    answer = shop.say("no, I meant a refund")
    assert (answer["action"], answer["intent"]) == ("answer", "refund")


def test_what_was_answered_is_not_answered_to_a_correction(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    model.readings["the delivery"] = read(("cost", 0.98), ("abroad", 0.01), chance=0.99, sure=True)
    shop.say("How much is delivery?")
    answer = shop.say("no, I meant the delivery")
    assert answer["intent"] != "cost"
    assert answer["action"] != "answer"


def test_no_gets_an_apology_with_choices_and_then_a_person(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost", ("abroad", 0.01), ("late", 0.005))
    shop.say("How much is delivery?")
    first = shop.say("that's wrong")
    assert (first["action"], first["intent"]) == ("clarify", None)
    assert opens_with("sorry", first["text"])
    assert [b["payload"] for b in first["buttons"]] == ["/abroad", "/late"]
    second = shop.say("no")
    assert second["action"] == "handoff"
    assert opens_with("handoff", second["text"])


def test_yes_chooses_what_the_bot_asked_about(shop: Shop, model: Model) -> None:
    model.readings["the money thing"] = read(("refund", 0.9), ("cost", 0.01), chance=0.9)
    assert shop.say("the money thing")["action"] == "clarify"
    answer = shop.say("yes")
    assert (answer["action"], answer["intent"], answer["confidence"]) == ("answer", "refund", 1.0)


def test_no_rules_out_what_the_bot_asked_about(shop: Shop, model: Model) -> None:
    model.readings["the money thing"] = read(("refund", 0.9), ("cost", 0.01), chance=0.9)
    shop.say("the money thing")
    answer = shop.say("no")
    assert [b["payload"] for b in answer["buttons"]] == ["/cost", "/person"]
    assert shop.say("yes")["intent"] == "cost"


# --- sessions ----------------------------------------------------------------------------------


def test_after_a_day_of_silence_nothing_said_before_is_context(
    shop: Shop, model: Model, clock: Clock
) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "How much is delivery? and by express?", "cost")
    sure(model, "status", "status")
    shop.say("完全不懂 LY-123456")
    shop.say("How much is delivery?")
    assert shop.say("status")["text"] == "LY-123456 is on its way."
    clock.later(hours=25)
    assert shop.say("status")["text"] == "Under My account."
    clock.later(hours=25)
    assert shop.say("and by express?")["action"] == "abstain"
    assert len(shop.conversations.conversation("c", limit=50, cursor=0).turns) == 5


def test_neither_a_refusal_nor_an_open_form_outlives_its_session(
    shop: Shop, model: Model, clock: Clock
) -> None:
    sure(model, "it is broken", "claim")
    assert shop.say("it is broken")["action"] == "ask_slot"
    clock.later(hours=25)
    assert shop.say("blorb")["action"] == "abstain"
    clock.later(hours=25)
    assert shop.say("blorb again")["action"] == "abstain"


# --- bursts ------------------------------------------------------------------------------------


def test_messages_of_one_breath_are_answered_as_one(shop: Shop, model: Model, clock: Clock) -> None:
    sure(model, "my parcel it hasn't come", "late")
    shop.say("hi")
    clock.later(seconds=4)
    assert shop.say("my parcel")["action"] == "abstain"
    clock.later(seconds=5)
    answer = shop.say("it hasn't come")
    assert (answer["action"], answer["intent"]) == ("answer", "late")


def test_a_pause_ends_the_breath(shop: Shop, model: Model, clock: Clock) -> None:
    sure(model, "my parcel it hasn't come", "late")
    shop.say("my parcel")
    clock.later(seconds=30)
    assert shop.say("it hasn't come")["action"] == "handoff"


def test_messages_that_come_at_once_in_two_processes_are_both_stored(
    database_url: str, model: Model, clock: Clock
) -> None:
    shops = [Shop(database_url, model, clock) for _ in range(2)]
    try:
        with ThreadPoolExecutor(8) as pool:
            jobs = [
                pool.submit(shops[number % 2].say, f"part {number}", message_id=str(number))
                for number in range(16)
            ]
        told = {job.result()["message_id"] for job in jobs}
        turns = shops[0].conversations.conversation("c", limit=50, cursor=0).turns
        assert told == {turn.message_id for turn in turns} == {str(n) for n in range(16)}
        again = shops[1].conversations.conversation("c", limit=50, cursor=0).turns
        assert [t.message_id for t in turns] == [t.message_id for t in again]
    finally:
        for shop in shops:
            shop.close()


# --- several questions -------------------------------------------------------------------------

THREE = "Where is my order LY-204518, and how much is delivery? Also do you deliver to Austria?"


def test_several_questions_are_answered_each(shop: Shop, model: Model) -> None:
    sure(model, "Where is my order LY-204518", "status")
    sure(model, "how much is delivery?", "cost")
    sure(model, "do you deliver to Austria?", "abroad")
    answer = shop.say(THREE)
    assert answer["text"] == (
        "LY-204518 is on its way.\n\nDelivery is 5 euros, express 9.\n\nWe deliver to the whole EU."
    )
    assert (answer["action"], answer["intent"]) == ("answer", "status")
    assert answer["parts"] == [
        {"text": "Where is my order LY-204518", "action": "answer", "intent": "status"},
        {"text": "how much is delivery?", "action": "answer", "intent": "cost"},
        {"text": "Also do you deliver to Austria?", "action": "answer", "intent": "abroad"},
    ]


def test_a_part_that_nothing_is_sure_of_is_said_to_be_left_open(shop: Shop, model: Model) -> None:
    sure(model, "Where is my order LY-204518", "status")
    sure(model, "how much is delivery?", "cost")
    answer = shop.say("Where is my order LY-204518, and how much is delivery? Do you sell blorb?")
    assert [(part["action"], part["intent"]) for part in answer["parts"]] == [
        ("answer", "status"),
        ("answer", "cost"),
        ("abstain", None),
    ]
    assert "“Do you sell blorb?”" in answer["text"]


def test_one_sure_part_is_no_reason_to_cut_a_message(shop: Shop, model: Model) -> None:
    sure(model, "how much is delivery?", "cost")
    answer = shop.say("I am not quite sure how this works. how much is delivery?")
    assert answer["parts"] == []


def test_a_person_asked_for_in_one_part_takes_over(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "I want a human.", "person")
    answer = shop.say("How much is delivery? I want a human.")
    assert answer["action"] == "handoff"
    assert answer["text"] == "Delivery is 5 euros, express 9.\n\nA colleague takes over."


def test_an_intent_with_a_form_is_not_one_of_several(shop: Shop, model: Model) -> None:
    sure(model, "How much is delivery?", "cost")
    sure(model, "My TV is broken.", "claim")
    assert shop.say("How much is delivery? My TV is broken.")["parts"] == []


# --- small talk --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "language"),
    [("hello", "greeting", "en"), ("thanks!", "thanks", "en"), ("谢谢", "thanks", "zh")],
)
def test_a_shop_without_such_intents_still_answers_small_talk(
    shop: Shop, text: str, name: Any, language: str
) -> None:
    answer = shop.say(text)
    assert answer["text"] == phrase(name, language, "en")
    assert (answer["action"], answer["intent"], answer["confidence"]) == ("answer", None, 0.0)


def test_a_taught_intent_comes_before_the_small_talk_of_the_service(
    shop: Shop, model: Model
) -> None:
    sure(model, "hello", "refund")
    assert shop.say("hello")["intent"] == "refund"


def test_abuse_is_met_calmly_then_with_a_person(shop: Shop) -> None:
    answers = [shop.say("you idiot") for _ in range(3)]
    assert [answer["action"] for answer in answers] == ["answer", "answer", "handoff"]
    assert [b["payload"] for b in answers[1]["buttons"]] == ["/person"]


# --- no loops ----------------------------------------------------------------------------------

_conversation_ids = count()
_KINDS = {
    "vague": read(("cost", 0.3), ("abroad", 0.2)),
    "either": read(("cost", 0.5), ("refund", 0.45), chance=0.9),
    "likely": read(("refund", 0.9), ("cost", 0.01), chance=0.9),
    "clear": read(("abroad", 0.98), ("cost", 0.01), chance=0.99, sure=True),
    "drone registration": read(("cost", 0.3), ("abroad", 0.2)),
}
_MESSAGES = st.sampled_from([*_KINDS, "no", "yes", "ok", "and that?", "you idiot", "hi", "不对"])


def unhelpful(answer: dict[str, Any]) -> bool:
    return answer["action"] in ("abstain", "clarify") or opens_with("maybe", answer["text"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.tuples(_MESSAGES, st.sampled_from([1, 60])), max_size=8))
def test_two_unhelpful_turns_in_a_row_are_followed_by_help_or_a_person(
    shop: Shop, model: Model, clock: Clock, said: list[tuple[str, int]]
) -> None:
    model.readings = dict(_KINDS)
    conversation = f"loop-{next(_conversation_ids)}"
    row = 0
    for text, pause in said:
        clock.later(seconds=pause)
        answer = shop.say(text, conversation)
        assert answer["text"]
        row = row + 1 if unhelpful(answer) else 0
        assert row <= 2
        if answer["action"] == "handoff":
            assert opens_with("handoff", answer["text"]) or answer["intent"] == "person"
