"""What comes of messages that are read together, and of several questions in one?"""

from __future__ import annotations

import pytest

from services.customer_service.answers import AnswerBook
from services.customer_service.answers_reading import parse_intent
from services.customer_service.articles import make_article, passages_of
from services.customer_service.compose import Composed, ScoredPassage, Source
from services.customer_service.domain import Candidate, Decision, Evidence, Reading
from services.customer_service.evidence import Bars, words_of
from services.customer_service.followups import Joined, Kind
from services.customer_service.knowledge import Found
from services.customer_service.parts import PartSaid, left_over, merged
from services.customer_service.store import Turn
from services.customer_service.together import Together, decide_together
from services.customer_service.wording import Voice, Wording
from tests.customer_service.test_context import turn

VOICE = Voice("en", "en")
BOOK = AnswerBook(
    {
        "cost": parse_intent("cost", {"answers": {"en": ["Standard is free, express is 9."]}}, {}),
        "person": parse_intent(
            "person", {"answers": {"en": ["A colleague."]}, "handoff": True}, {}
        ),
    },
    {},
)
EXPRESS = "Express to Norway takes a day."
NORWAY = ("norway",)


def found(strength: float, body: str = EXPRESS, bars: Bars | None = None) -> Found:
    passage = passages_of(make_article("a", title="Delivery", body=body))[0]
    words = dict.fromkeys(words_of("how much is delivery to norway"), 1.0)
    scored = (ScoredPassage(passage, strength),)
    return Found(scored, strength, bars or Bars(some=0.5, strong=0.8), words)


def joined(
    kind: Kind | None, *added: str, intent: str = "cost", sure: bool = True, before: str = "cost"
) -> Joined:
    reading = Reading((Candidate(intent, 0.97),), 0.97, 0.97, sure)
    return Joined("how much is delivery? and to norway?", reading, kind, before, frozenset(added))


def decide(case: Joined, what: Found, *turns: Turn) -> Together:
    return decide_together(case, what, BOOK, "en", turns)


def test_a_follow_up_whose_detail_an_article_has_reaches_it() -> None:
    got = decide(joined("fragment", *NORWAY), found(0.9))
    assert got.decision == Decision("retrieve")
    assert got.composed is not None
    assert got.composed.text == EXPRESS


def test_with_weaker_articles_the_sure_intent_answers_again() -> None:
    assert decide(joined("fragment", *NORWAY), found(0.6)).decision == Decision("answer", ("cost",))


def test_another_sure_intent_answers_before_the_articles() -> None:
    got = decide(joined("fragment", *NORWAY, before="time"), found(0.9))
    assert got.decision == Decision("answer", ("cost",))


def test_what_nobody_speaks_of_stays_alone() -> None:
    got = decide(joined("fragment", "weather"), found(0.9))
    assert (got.decision, got.composed) == (None, None)


def test_an_article_that_was_quoted_a_moment_ago_is_not_quoted_again() -> None:
    said = turn("how much is delivery?", "retrieve", None, text=f"Well: {EXPRESS}")
    assert decide(joined("reference", sure=False), found(0.9), said).decision is None
    assert decide(joined("reference", sure=False), found(0.9)).decision == Decision("retrieve")


def test_a_burst_is_answered_like_one_message() -> None:
    assert decide(joined(None), found(0.1)).decision == Decision("answer", ("cost",))
    person = decide(joined(None, intent="person"), found(0.1))
    assert person.decision == Decision("handoff", ("person",))
    assert decide(joined(None, sure=False), found(0.1)).decision is None
    assert decide(joined(None, sure=False), found(0.9)).decision == Decision("retrieve")


COMPOSED = Composed("Quote.", (Source("T", "/t", "Quote."),))
STRONG, MAYBE = Decision("retrieve"), Decision("retrieve", hedged=True)


@pytest.mark.parametrize(
    ("kind", "decision", "alone", "outweighs"),
    [
        ("fragment", STRONG, STRONG, True),
        ("fragment", STRONG, Decision("clarify", ("cost",)), True),
        ("bare", STRONG, STRONG, False),
        ("bare", STRONG, MAYBE, True),
        ("fragment", MAYBE, MAYBE, True),
        ("bare", MAYBE, MAYBE, False),
        ("bare", MAYBE, Decision("abstain"), True),
        ("fragment", MAYBE, STRONG, False),
        ("fragment", MAYBE, Decision("clarify", ("cost",)), False),
        # nobody is kept from a person by a maybe
        ("fragment", MAYBE, Decision("handoff"), False),
    ],
)
def test_when_articles_on_both_outweigh_the_message_alone(
    kind: Kind, decision: Decision, alone: Decision, outweighs: bool
) -> None:
    assert Together(kind, decision, COMPOSED).outweighs(alone) is outweighs


def test_without_a_quote_nothing_outweighs() -> None:
    assert not Together("fragment", STRONG).outweighs(Decision("abstain"))
    assert not Together("fragment").outweighs(Decision("abstain"))


# --- several questions ---------------------------------------------------------------------------


def said(text: str, intent: str | None = None, action: str = "answer", **more: object) -> PartSaid:
    return PartSaid(text, Wording(action, f"About {text}.", intent, **more))  # type: ignore[arg-type]


def test_answers_stand_in_order_with_an_empty_line_between_and_the_first_names_the_intent() -> None:
    button = {"title": "More", "payload": "more"}
    wording = merged(
        [
            said("one", "cost", buttons=[button], needed=("number",)),
            said("two", None, "retrieve", sources=[Source("T", "/t", "Q")]),
            said("three", "time", buttons=[button]),
        ]
    )
    assert wording.text == "About one.\n\nAbout two.\n\nAbout three."
    assert (wording.action, wording.intent, wording.needed) == ("answer", "cost", ("number",))
    assert (wording.buttons, len(wording.sources)) == ([button], 1)
    assert wording.parts == (
        {"text": "one", "action": "answer", "intent": "cost"},
        {"text": "two", "action": "retrieve", "intent": None},
        {"text": "three", "action": "answer", "intent": "time"},
    )


def test_a_hand_over_in_one_part_is_one_for_all() -> None:
    wording = merged([said("one", "cost"), said("two", "person", "handoff")])
    assert (wording.action, wording.intent) == ("handoff", "cost")


def test_a_value_that_comes_next_belongs_to_the_part_that_asked_for_it() -> None:
    wording = merged([said("one", "cost"), said("two", "cancel", "ask_slot", needed=("number",))])
    assert (wording.action, wording.needed) == ("answer", ("number",))


def test_what_is_sure_comes_before_what_is_left_open() -> None:
    parts = [said("q1", None, "abstain"), *(said(f"a{n}", f"i{n}") for n in range(3))]
    assert [part["text"] for part in merged(parts).parts] == ["a0", "a1", "a2"]


NONE, SOME, BEYOND = Evidence(0.1, 0.5, 0.8), Evidence(0.6, 0.5, 0.8), Evidence(0.9, 0.5, 0.8)


def test_a_part_that_nothing_is_sure_of_is_looked_up_or_left_open() -> None:
    strong = left_over("do you sell pizza?", COMPOSED, BEYOND, VOICE)
    assert strong is not None
    assert (strong.action, strong.text) == ("retrieve", "Quote.")
    maybe = left_over("do you sell pizza?", COMPOSED, SOME, VOICE)
    assert maybe is not None
    assert maybe.text != "Quote."
    open_ = left_over("do you sell pizza?", None, NONE, VOICE)
    assert open_ is not None
    assert open_.action == "abstain"
    assert "“do you sell pizza?”" in open_.text


def test_a_part_that_asks_nothing_is_passed_over() -> None:
    assert left_over("My number is in my account.", COMPOSED, SOME, VOICE) is None
    long = left_over(f"do you sell {'very ' * 60}big pizzas?", None, NONE, VOICE)
    assert long is not None
    assert len(long.text) < 250
