"""What people say of labels: quarantine, acceptance, conflicts, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.errors import Conflict, InvalidInput, NotFound, TooLarge
from services.finance_sentiment import corrections as module
from services.finance_sentiment.corrections import (
    Proposal,
    accept,
    counted,
    key_of,
    one_correction,
    page_of_corrections,
    propose,
    reject,
    shown_labels,
    taught,
)
from services.finance_sentiment.domain import GIVEN, PERSON, Entry, Label
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.store import sentiment_counts, write_labels
from services.finance_sentiment.tables import stories
from tests.finance_sentiment.conftest import NOW, Clock

Sessions = sessionmaker[Session]
TOPICS = ("banking", "energy")
SAID = Label("v1", "positive", "banking", 0.1, 0.2, 0.7, 0.9, True)


def entry(title: str) -> Entry:
    return Entry(title[:40], "", title, "", NOW)


class Desk:
    """People who correct labels, one hour after the other."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.clock = Clock()

    def story(self, title: str, label: Label | None = SAID) -> int:
        with self.sessions.begin() as session:
            incoming = [Incoming(entry(title), label)]
            add_stories(session, incoming, source="Wire", source_id=None, now=NOW)
            query = select(stories.c.id).where(stories.c.title == title)
            return int(session.execute(query).scalar_one())

    def say(
        self,
        about: int | str,
        sentiment: str | None = None,
        topic: str | None = None,
        *,
        by: str = "Ada",
        new_topic: bool = False,
        topics: Sequence[str] = TOPICS,
    ) -> int:
        self.clock.forward(hours=1)
        story, text = (about, "") if isinstance(about, int) else (None, about)
        said = Proposal(story, text, sentiment, topic, new_topic, by)
        with self.sessions.begin() as session:
            return propose(session, said, topics, self.clock())

    def accept(self, *numbers: int, topics: Sequence[str] = TOPICS) -> None:
        for number in numbers:
            self.clock.forward(hours=1)
            with self.sessions.begin() as session:
                accept(session, number, "Bo", topics, self.clock())

    def reject(self, number: int) -> None:
        self.clock.forward(hours=1)
        with self.sessions.begin() as session:
            reject(session, number, "Bo", self.clock())

    def shown(self, story: int) -> Row[Any]:
        with self.sessions() as session:
            return session.execute(select(stories).where(stories.c.id == story)).one()

    def label(self, story: int) -> tuple[str | None, str | None, str | None]:
        row = self.shown(story)
        return row.sentiment, row.topic, row.model_version

    def conflicts(self, number: int) -> list[int]:
        with self.sessions() as session:
            return list(one_correction(session, number)["conflicts"])

    def taught(self) -> list[tuple[str, dict[str, str]]]:
        with self.sessions() as session:
            return [(one.text, dict(one.labels)) for one in taught(session)]


@pytest.fixture
def desk(sessions: Sessions) -> Desk:
    return Desk(sessions)


# --- quarantine ----------------------------------------------------------------------------------


def test_one_persons_word_changes_nothing_until_it_is_accepted(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    said = desk.say(story, "negative")
    assert desk.label(story) == ("positive", "banking", "v1")
    assert desk.taught() == []
    desk.accept(said)
    assert desk.label(story) == ("negative", "banking", PERSON)
    assert desk.taught() == [("Bank warns of losses", {"sentiment": "negative"})]


def test_trends_follow_an_accepted_correction_at_once(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    desk.accept(desk.say(story, "negative", "energy"))
    hour = desk.shown(story).published_hour
    with desk.sessions() as session:
        assert sentiment_counts(session, hour, hour + 1) == [("energy", hour, "negative", 1)]


def test_what_a_person_said_carries_no_probability_of_the_model(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    desk.accept(desk.say(story, "negative"))
    row = desk.shown(story)
    assert (row.p_negative, row.p_neutral, row.p_positive, row.p_topic) == (None, None, None, 0.9)


def test_who_says_the_same_again_gets_the_same_correction(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    first = desk.say(story, "negative")
    assert desk.say(story, "negative") == first
    assert desk.say(story, "negative", by="Cy") != first
    desk.reject(first)
    assert desk.say(story, "negative") != first


def test_the_list_shows_what_the_story_said_when_it_was_corrected(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    said = desk.say(story, "negative")
    desk.accept(said)
    with desk.sessions() as session:
        [shown], more = page_of_corrections(session, limit=10)
    assert more is None
    assert shown["was"] == {
        "state": "labelled", "model_version": "v1", "sentiment": "positive", "topic": "banking",
    }  # fmt: skip
    assert (shown["state"], shown["said_by"], shown["decided_by"]) == ("accepted", "Ada", "Bo")


def test_pages_hold_each_correction_once_newest_first(desk: Desk) -> None:
    made = [desk.say(f"text number {n}", "negative", by=f"person {n}") for n in range(5)]
    desk.reject(made[0])
    seen, cursor = [], None
    while True:
        with desk.sessions() as session:
            page, cursor = page_of_corrections(session, state="quarantine", limit=2, cursor=cursor)
        seen += [one["id"] for one in page]
        if cursor is None:
            break
    assert seen == made[:0:-1]


# --- contradictions ------------------------------------------------------------------------------


def test_two_corrections_that_contradict_each_other_are_shown_as_a_conflict(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    one = desk.say(story, "negative", "banking", by="Ada")
    other = desk.say(story, "neutral", by="Cy")
    third = desk.say(story, topic="banking", by="Di")
    assert desk.conflicts(one) == [other] and desk.conflicts(other) == [one]
    assert desk.conflicts(third) == []
    desk.reject(other)
    assert desk.conflicts(one) == []


def test_the_same_text_sent_without_its_story_contradicts_as_well(desk: Desk) -> None:
    one = desk.say(desk.story("Bank warns of losses"), "negative")
    other = desk.say("bank warns of: LOSSES", "positive", by="Cy")
    assert desk.conflicts(one) == [other]


def test_of_two_that_were_accepted_the_last_counts_for_each_head(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    first = desk.say(story, "negative", "energy", by="Ada")
    second = desk.say(story, "neutral", by="Cy")
    desk.accept(first, second)
    assert desk.label(story) == ("neutral", "energy", PERSON)
    assert desk.taught() == [("Bank warns of losses", {"sentiment": "neutral", "topic": "energy"})]
    desk.accept(first)
    assert desk.label(story) == ("negative", "energy", PERSON)


# --- taken back ----------------------------------------------------------------------------------


def test_to_reject_an_accepted_one_gives_the_story_its_label_back(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    before = desk.shown(story)
    first, second = desk.say(story, "negative"), desk.say(story, topic="energy")
    desk.accept(first, second)
    desk.reject(first)
    assert desk.label(story) == ("positive", "energy", PERSON)
    assert desk.shown(story).p_positive == before.p_positive
    desk.reject(second)
    assert desk.label(story) == ("positive", "banking", "v1")
    assert desk.shown(story).p_topic == before.p_topic


def test_after_an_edit_the_former_label_is_of_other_words_and_the_model_reads_anew(
    desk: Desk,
) -> None:
    story = desk.story("Bank warns of losses")
    said = desk.say(story, "negative")
    desk.accept(said)
    desk.clock.forward(hours=1)
    edited = Entry("Bank warns of losses", "", "Bank warns of higher losses", "", NOW)
    with desk.sessions.begin() as session:
        add_stories(session, [Incoming(edited)], source="Wire", source_id=None, now=desk.clock())
    assert desk.label(story) == ("negative", "banking", PERSON), "no edit takes it away"
    assert desk.shown(story).title == "Bank warns of higher losses"
    desk.reject(said)
    assert desk.shown(story).state == "pending"


def test_no_model_overwrites_what_a_person_said(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    desk.accept(desk.say(story, "negative"))
    other = Label("v2", "neutral", "energy", 0.1, 0.8, 0.1, 0.9, True)
    with desk.sessions.begin() as session:
        assert write_labels(session, [(story, other)], NOW) == set()
        assert write_labels(session, [(story, other)], NOW, again=True) == set()
    assert desk.label(story) == ("negative", "banking", PERSON)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["accept", "reject"]),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_decided_in_whatever_order_the_story_says_what_was_accepted_last(
    sqlite_sessions: Sessions, steps: list[tuple[str, int]]
) -> None:
    desk = Desk(sqlite_sessions)
    story = desk.story(f"Bank story {key_of(repr(steps))}")
    said = [("negative", None), ("neutral", "energy"), (None, "energy"), (None, "banking")]
    made = [desk.say(story, *one, by=f"person {n}") for n, one in enumerate(said)]
    order: list[int] = []
    for verb, number in steps:
        getattr(desk, verb)(made[number])
        order = [n for n in order if n != number] + ([number] if verb == "accept" else [])
    sentiment, topic = "positive", "banking"
    for number in order:
        sentiment, topic = said[number][0] or sentiment, said[number][1] or topic
    assert desk.label(story) == (sentiment, topic, PERSON if order else "v1")


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Proposal(None, "", "negative", None, False, "Ada"), "neither"),
        (Proposal(1, "text", "negative", None, False, "Ada"), "both"),
        (Proposal(None, "text", None, None, False, "Ada"), "says nothing"),
        (Proposal(None, "\u200b \n", "negative", None, False, "Ada"), "no words"),
        (Proposal(None, "text", None, "weather", False, "Ada"), "it knows banking, energy"),
    ],
)
def test_what_cannot_be_a_correction_is_told(
    sessions: Sessions, said: Proposal, expected: str
) -> None:
    with sessions.begin() as session, pytest.raises(InvalidInput, match=expected):
        propose(session, said, TOPICS, NOW)


def test_a_story_that_is_not_there_cannot_be_corrected(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.say(7, "negative")
    for decide in (desk.accept, desk.reject):
        with pytest.raises(NotFound):
            decide(7)


def test_a_new_topic_must_be_said_to_be_one(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    said = desk.say(story, topic="weather", new_topic=True)
    known = desk.say(story, topic="energy", new_topic=True)
    with desk.sessions() as session:
        assert one_correction(session, said)["new_topic"] is True
        assert one_correction(session, known)["new_topic"] is False


def test_a_story_that_the_model_could_not_read_needs_both_labels(desk: Desk) -> None:
    unread = Label("v1", None, None, 0.3, 0.3, 0.4, 0.2, False)
    story = desk.story("Qqq www", unread)
    half = desk.say(story, "negative")
    with pytest.raises(Conflict, match="no topic"):
        desk.accept(half)
    assert desk.label(story) == (None, None, "v1")
    desk.accept(half, topics=())  # a model that knows no topics
    assert desk.label(story) == ("negative", None, PERSON)
    desk.accept(desk.say(story, "negative", "energy"))
    assert desk.shown(story).state == "labelled"


def test_a_story_that_waits_for_the_model_is_corrected_later(desk: Desk) -> None:
    story = desk.story("Bank warns of losses", None)
    said = desk.say(story, "negative", "banking")
    with pytest.raises(Conflict, match="waits for the model"):
        desk.accept(said)
    with desk.sessions.begin() as session:
        write_labels(session, [(story, SAID)], NOW)
    desk.accept(said)
    assert desk.label(story) == ("negative", "banking", PERSON)


def test_the_quarantine_has_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    desk.say("one text", "negative")
    with pytest.raises(TooLarge, match="1 corrections"):
        desk.say("another text", "negative")


def test_what_a_text_teaches_outlives_its_story(desk: Desk) -> None:
    story = desk.story("Bank warns of losses", None)
    said = desk.say(story, "negative")
    with desk.sessions.begin() as session:
        session.execute(stories.delete().where(stories.c.id == story))
    desk.accept(said)
    assert desk.taught() == [("Bank warns of losses", {"sentiment": "negative"})]


def test_labels_that_came_with_a_story_can_be_corrected_too(desk: Desk) -> None:
    story = desk.story("Bank warns of losses")
    with desk.sessions.begin() as session:
        session.execute(update(stories).values(model_version=GIVEN))
    said = desk.say(story, "negative")
    desk.accept(said)
    with desk.sessions() as session:
        [shown] = shown_labels(session).values()
        assert shown == {"sentiment": "negative", "topic": "banking"}
        assert counted(session) == {"quarantine": 0, "accepted": 1, "rejected": 0}
    desk.reject(said)
    assert desk.label(story) == ("positive", "banking", GIVEN)


def test_texts_that_differ_in_case_and_personal_data_only_are_one() -> None:
    assert key_of("Write to a@b.example, Bank!") == key_of("write to c@d.example bank")
    assert key_of("Bank up 5%") != key_of("Bank down 5%")


@pytest.fixture
def sqlite_sessions(sqlite_url: str) -> Sessions:
    from core.db.engine import make_engine, session_factory
    from services.finance_sentiment.tables import metadata

    engine = make_engine(sqlite_url)
    metadata.create_all(engine)
    return session_factory(engine)


def test_a_correction_is_dated_by_the_clock_that_is_passed_in(desk: Desk) -> None:
    said = desk.say("a text", "negative")
    with desk.sessions() as session:
        assert one_correction(session, said)["created_at"] == NOW + timedelta(hours=1)
