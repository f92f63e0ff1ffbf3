"""Which messages lean on the one before, and when does that count?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import normalize
from services.customer_service.articles import Passage, make_article, passages_of
from services.customer_service.compose import ScoredPassage
from services.customer_service.domain import Candidate, Reading
from services.customer_service.followups import (
    Joined,
    Kind,
    added_words,
    is_short,
    join,
    joined_intent,
    kind_of,
    prefer,
    says,
    without,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("and for Germany?", "fragment"),
        ("what about express?", "fragment"),
        ("How about Norway", "fragment"),
        ("also for batteries?", "fragment"),
        ("PayPal too?", "fragment"),
        ("and below 250 grams?", "fragment"),
        ("ok, and by express", "fragment"),
        ("那德国呢？", "fragment"),
        ("快递呢", "fragment"),
        ("耳机也可以吗", "fragment"),
        ("how much is it then?", "reference"),
        ("is there a fee for it?", "reference"),
        ("and how long does that take?", "reference"),
        ("how much?", "reference"),
        ("and when", "reference"),
        ("what if it's opened?", "reference"),
        ("那个多少钱", "reference"),
        ("要多久?", "reference"),
        ("怎么弄呢", "reference"),
        ("express", "bare"),
        ("gift wrapping?", "bare"),
        ("德国", "bare"),
        # these stand on their own
        ("Where is my order?", None),
        ("If I cancel now, does it cost anything to get my money back?", None),
        ("and who won the world cup?", None),
        ("I want a refund", None),
        ("order LY-204518", None),
        ("我的订单到哪了", None),
        ("你们可以送到德国吗", None),
        ("", None),
        ("?!", None),
        ("and " * 80, None),
    ],
)
def test_what_kind_of_follow_up_a_message_may_be(text: str, kind: Kind | None) -> None:
    assert kind_of(normalize(text)) == kind


@given(st.text(max_size=300))
def test_any_text_is_of_some_kind_or_none(text: str) -> None:
    assert kind_of(normalize(text)) in (None, "fragment", "reference", "bare")
    assert isinstance(added_words(normalize(text)), frozenset)


def test_what_a_message_adds_are_the_words_that_say_what_it_is_about() -> None:
    assert added_words("and for Germany?") == {"germany"}
    assert added_words("how much is it then?") == frozenset()
    assert "德国" in added_words("那德国呢")
    assert added_words("那个多少钱") == {"钱"}


def test_a_piece_of_a_burst_is_short() -> None:
    assert is_short("it hasn't come")
    assert is_short("还没到")
    assert not is_short("Can my order still be called off before it ships?")
    assert not is_short("我昨天买的手机屏幕上有一条很长的裂纹")


def test_texts_are_joined_in_order_without_empty_ones() -> None:
    assert join("hi", "", "my parcel", "it is late") == "hi my parcel it is late"


SURE = Reading((Candidate("cost", 0.98), Candidate("time", 0.01)), 0.97, 0.98, sure=True)


def joined(kind: Kind | None, before: str | None, *added: str, reading: Reading = SURE) -> Joined:
    return Joined("the text", reading, kind, before, frozenset(added))


SAYS = {"cost": frozenset({"express", "price"})}


@pytest.mark.parametrize(
    ("case", "passage_says", "expected"),
    [
        # the same again, about something else: where somebody speaks of that
        (joined("fragment", "cost", "express"), False, "cost"),
        (joined("fragment", "cost", "germany"), True, "cost"),
        (joined("fragment", "cost", "weather"), False, None),
        # the same again is no answer to another question about the same thing
        (joined("reference", "cost"), True, None),
        (joined("reference", "cost", "price"), True, None),
        # another intent
        (joined("reference", "time"), False, "cost"),
        (joined("reference", "time", "weather"), False, None),
        (joined("fragment", None, "germany"), True, "cost"),
        # a word or two may be a topic of its own
        (joined("bare", "time", "germany"), True, None),
        (joined("bare", "time", "price"), False, "cost"),
        (joined("bare", "cost", "express"), False, "cost"),
        (joined("bare", "cost", "germany"), True, None),
        # a burst is one message
        (joined(None, None), False, "cost"),
        # never without a sure reading, or an answer
        (joined(None, None, reading=Reading(SURE.ranked, 0.8, 0.9, sure=False)), True, None),
        (joined(None, None, reading=Reading((), 0.0, 0.0, sure=True)), True, None),
    ],
)
def test_when_a_joined_reading_answers(
    case: Joined, passage_says: bool, expected: str | None
) -> None:
    assert joined_intent(case, SAYS, passage_says) == expected


def test_an_intent_without_an_answer_is_not_answered_by_joining() -> None:
    assert joined_intent(joined(None, None), {}, True) is None


def test_more_than_half_of_what_was_added_must_be_said() -> None:
    weights = {"express": 3.0, "delivery": 1.0}
    assert says({"express", "delivery"}, weights, {"express"})
    assert not says({"express", "delivery"}, weights, {"delivery"})
    assert not says({"a", "b"}, {}, {"a"})
    assert says(frozenset(), {}, frozenset())


def test_passages_that_do_not_say_the_new_words_are_left_out() -> None:
    express, plain = passage("Express takes a day."), passage("Delivery takes three days.")
    found = [ScoredPassage(plain, 0.9), ScoredPassage(express, 0.8)]
    assert [s.passage for s in prefer(found, {"express"}, {"express": 2.0})] == [express]
    assert prefer(found, frozenset(), {}) == tuple(found)


def passage(text: str) -> Passage:
    return passages_of(make_article(text[:5], title="Delivery", body=text))[0]


# --- what is ruled out -------------------------------------------------------------------------


def test_a_reading_that_is_sure_of_what_is_ruled_out_is_sure_of_nothing() -> None:
    left = without(SURE, {"cost"})
    assert (left.sure, left.chance, left.pair_chance) == (False, 0.0, 0.0)
    assert left.ranked == (Candidate("time", 1.0),)


def test_ruling_out_another_intent_leaves_the_first_as_sure_as_it_was() -> None:
    left = without(SURE, {"time"})
    assert (left.sure, left.chance) == (True, 0.97)
    assert [c.intent for c in left.ranked] == ["cost"]
    assert without(SURE, {"refund"}) is SURE
    assert without(SURE, frozenset()) is SURE


_names = st.sampled_from(["a", "b", "c", "d"])


@given(
    st.lists(st.tuples(_names, st.floats(0, 1)), unique_by=lambda pair: pair[0]),
    st.booleans(),
    st.frozensets(_names),
)
def test_what_is_ruled_out_is_never_offered_nor_made_surer(
    pairs: list[tuple[str, float]], sure: bool, out: frozenset[str]
) -> None:
    ranked = tuple(Candidate(*pair) for pair in sorted(pairs, key=lambda pair: -pair[1]))
    reading = Reading(ranked, 0.5, 0.6, sure)
    left = without(reading, out)
    assert not {c.intent for c in left.ranked} & out
    assert left.chance <= reading.chance
    assert not (left.sure and not sure)
