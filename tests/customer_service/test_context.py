"""What of the turns before still counts?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.answers import AnswerBook
from services.customer_service.answers_reading import parse_intent
from services.customer_service.context import (
    LastAsked,
    asked_one,
    burst,
    helped,
    last_asked,
    ruled_out,
    session,
    unhelpful_run,
)
from services.customer_service.dialogue import (
    chosen_by_yes,
    reply_to_abuse,
    reply_to_no,
    reply_to_talk,
)
from services.customer_service.domain import Action, Decision
from services.customer_service.phrases import phrase
from services.customer_service.store import Turn
from services.customer_service.wording import Voice, question_wording

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INTENTS = {
    "cost": {"description": {"en": "Delivery costs"}, "answers": {"en": ["It is free."]}},
    "time": {"description": {"en": "Delivery time"}, "answers": {"en": ["Two days."]}},
    "refund": {"description": {"en": "Refunds"}, "answers": {"en": ["Soon."]}},
    "person": {"answers": {"en": ["A colleague."]}, "handoff": True},
}
BOOK = AnswerBook({name: parse_intent(name, said, {}) for name, said in INTENTS.items()}, {})
VOICE = Voice("en", "en")


def turn(
    message: str,
    action: Action = "answer",
    intent: str | None = "cost",
    *,
    ago: float = 60,
    text: str = "said",
    others: tuple[str, ...] = (),
    **reply: Any,
) -> Turn:
    """A turn `ago` seconds before NOW; `others`: the alternatives of its answer."""
    alternatives = [{"intent": name, "confidence": 0.1} for name in others]
    return Turn(
        conversation_id="c",
        message_id=message,
        message=message,
        action=action,
        intent=intent,
        locale="en",
        reply={"text": text, "alternatives": alternatives, **reply},
        created_at=NOW - timedelta(seconds=ago),
    )


def clarify(*intents: str, message: str = "hm", **values: Any) -> Turn:
    said = question_wording(Decision("clarify", intents), BOOK, VOICE)
    return turn(message, "clarify", intents[0], text=said.text, buttons=said.buttons, **values)


MAYBE = phrase("maybe", "en", "en") + " this"


# --- the session ---------------------------------------------------------------------------------


def test_a_silence_ends_the_session_and_what_lies_before_it_is_history() -> None:
    hour = 3600
    turns = [turn("c", ago=hour), turn("b", ago=20 * hour), turn("a", ago=50 * hour)]
    assert [t.message for t in session(turns, NOW, 24)] == ["c", "b"]
    assert session(turns, NOW, 0.5) == ()
    assert session(turns, NOW + timedelta(days=2), 24) == ()
    assert session([], NOW, 24) == ()


# --- helped or not -------------------------------------------------------------------------------


def test_an_answer_helped_and_a_maybe_did_not() -> None:
    assert helped(turn("a"))
    assert helped(turn("a", "retrieve"))
    assert not helped(turn("a", "retrieve", text=MAYBE))
    assert not helped(turn("a", "abstain"))
    assert not helped(turn("a", "clarify"))


def test_unhelpful_turns_in_a_row_are_counted_across_small_talk() -> None:
    turns = [turn("x", "abstain"), turn("ok", intent=None), turn("y", "retrieve", text=MAYBE)]
    assert unhelpful_run(turns) == 2
    assert unhelpful_run([*turns, turn("where is it"), turn("z", "abstain")]) == 2
    assert unhelpful_run([turn("x", "handoff"), turn("y", "abstain")]) == 0


# --- bursts --------------------------------------------------------------------------------------


def test_messages_of_one_breath_are_read_together_without_the_greeting() -> None:
    turns = [
        turn("blue one", "abstain", ago=3),
        turn("my parcel", "clarify", ago=6),
        turn("hi", ago=9),
        turn("fnord", "abstain", ago=500),
    ]
    assert burst(turns, NOW, 20) == ("my parcel", "blue one")
    assert burst(turns, NOW + timedelta(seconds=60), 20) == ()


def test_a_message_that_was_helped_or_chosen_ends_the_burst() -> None:
    assert burst([turn("where is it", ago=2)], NOW, 20) == ()
    assert burst([turn("/cost", "abstain", ago=2)], NOW, 20) == ()
    assert burst([turn("no", "clarify", ago=2)], NOW, 20) == ()
    assert burst([turn("is it", "retrieve", text=MAYBE, ago=2)], NOW, 20) == ("is it",)


# --- the last question ---------------------------------------------------------------------------


def title(name: str) -> str | None:
    intent = BOOK.intents.get(name)
    return None if intent is None else intent.title("en")


def test_the_last_question_lies_behind_small_talk_and_other_follow_ups() -> None:
    turns = [turn("thanks"), turn("and for Norway?", "abstain"), turn("How much is shipping?")]
    assert last_asked(turns, title) == LastAsked("How much is shipping?", "cost")


def test_a_question_that_was_not_helped_with_is_what_comes_next_is_about() -> None:
    assert last_asked([turn("Do you sell pizza at all?", "abstain"), turn("How much?")], title) is (
        None
    )
    assert last_asked([], title) is None


def test_an_article_answers_for_no_intent() -> None:
    found = last_asked([turn("Do you have a showroom somewhere?", "retrieve")], title)
    assert found == LastAsked("Do you have a showroom somewhere?", None)


def test_a_button_stands_for_what_it_says() -> None:
    assert last_asked([turn("/cost")], title) == LastAsked("Delivery costs", "cost")
    assert last_asked([turn("/gone")], title) is None


def test_of_a_correction_and_of_several_questions_the_last_is_meant() -> None:
    corrected = turn("no, I meant is there a refund for me", intent="refund")
    assert last_asked([corrected], title) == LastAsked("is there a refund for me", "refund")
    parts = [{"text": "one", "intent": "cost"}, {"text": "how do I return", "intent": "refund"}]
    assert last_asked([turn("both", parts=parts)], title) == LastAsked("how do I return", "refund")


# --- yes and no ----------------------------------------------------------------------------------


def test_yes_chooses_what_was_asked_about() -> None:
    assert asked_one(clarify("cost")) == "cost"
    assert chosen_by_yes("yes", [clarify("cost")], BOOK) == "cost"
    assert chosen_by_yes("yes", [clarify("cost", "time")], BOOK) is None
    assert chosen_by_yes("yes", [turn("how much")], BOOK) is None
    assert chosen_by_yes("what", [clarify("cost")], BOOK) is None
    assert chosen_by_yes("yes", [], BOOK) is None


def test_no_is_answered_with_the_next_likely_choices_once() -> None:
    asked = [turn("how much is it", others=("time", "refund", "person"))]
    said = reply_to_no("no", asked, BOOK, VOICE)
    assert said is not None
    assert (said.action, [b["payload"] for b in said.buttons]) == ("clarify", ["/time", "/refund"])
    again = [turn("no", "clarify", buttons=said.buttons, others=("person",)), *asked]
    second = reply_to_no("no", again, BOOK, VOICE)
    assert second is not None
    assert second.action == "handoff"


def test_no_to_a_question_rules_out_what_it_asked_about() -> None:
    said = reply_to_no("no", [clarify("cost", others=("refund",))], BOOK, VOICE)
    assert said is not None
    assert [b["payload"] for b in said.buttons] == ["/refund", "/person"]
    assert ruled_out([clarify("cost", "time")]) == {"cost", "time"}


def test_no_without_another_choice_asks_for_other_words() -> None:
    said = reply_to_no("no", [turn("how much is it")], BOOK, VOICE)
    assert said is not None
    assert (said.action, said.text) == ("abstain", phrase("sorry_none", "en", "en"))


def test_no_after_small_talk_denies_nothing() -> None:
    said = reply_to_no("no", [turn("thanks")], BOOK, VOICE)
    assert said is not None
    assert said.action == "answer"
    assert reply_to_no("no", [], BOOK, VOICE) is None
    assert reply_to_no("hm", [turn("how much is it")], BOOK, VOICE) is None


def test_abuse_is_answered_calmly_once_then_a_person_is_offered_and_takes_over() -> None:
    turns: list[Turn] = []
    actions = []
    for _ in range(3):
        said = reply_to_abuse("you idiot", turns, BOOK, VOICE) or reply_to_talk(
            "you idiot", turns, VOICE
        )
        assert said is not None
        actions.append((said.action, [b["payload"] for b in said.buttons]))
        turns.insert(0, turn("you idiot", said.action, None))
    assert actions == [("answer", []), ("answer", ["/person"]), ("handoff", [])]


def test_small_talk_is_answered_where_nothing_else_is() -> None:
    assert reply_to_talk("你好", [], Voice("zh", "en")) is not None
    assert reply_to_talk("where is it", [], VOICE) is None
    go_ahead = reply_to_talk("yes", [turn("hello")], VOICE)
    assert go_ahead is not None
    assert go_ahead.text == phrase("go_ahead", "en", "en")


# --- no loops ------------------------------------------------------------------------------------

_ACTIONS = st.sampled_from(["answer", "clarify", "retrieve", "abstain", "handoff"])


@given(st.lists(st.tuples(_ACTIONS, st.sampled_from(["x", "no", "what now"])), max_size=8))
def test_no_is_never_the_third_unhelpful_turn_in_a_row(past: list[tuple[Action, str]]) -> None:
    turns = [turn(message, action, others=("time", "refund")) for action, message in past]
    said = reply_to_no("no", turns, BOOK, VOICE)
    if said is not None and unhelpful_run(turns) >= 2:
        assert said.action == "handoff"
