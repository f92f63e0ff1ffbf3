"""The life of a hand-over, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, func, select

from core.db.engine import session_factory
from core.errors import Conflict, NotFound, TrefoilError
from services.customer_service import tables
from services.customer_service.domain import Action
from services.customer_service.handoff import Handoff, Handoffs
from services.customer_service.store import ConversationStore, Turn

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SILENCE = timedelta(minutes=15)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def conversations(engine: Engine) -> ConversationStore:
    return ConversationStore(session_factory(engine), session_factory(engine, read_only=True))


@pytest.fixture
def desk(engine: Engine, clock: Clock) -> Handoffs:
    readers = session_factory(engine, read_only=True)
    return Handoffs(session_factory(engine), readers, clock, SILENCE)


def turn(conversation_id: str = "c", message_id: str = "m1", action: Action = "handoff") -> Turn:
    return Turn(
        conversation_id=conversation_id,
        message_id=message_id,
        message=f"{conversation_id} says {message_id}",
        action=action,
        intent=None,
        locale="en",
        reply={"text": "A colleague takes over.", "slots": {}},
        created_at=NOW,
        reason="asked",
    )


def latest(desk: Handoffs, conversation_id: str = "c") -> Handoff:
    found = desk.latest(conversation_id)
    assert found is not None
    return found


# --- into the queue ------------------------------------------------------------------------------


def test_a_turn_that_hands_over_puts_its_conversation_into_the_queue_once(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    for message_id in ("m1", "m1", "m2"):
        conversations.add(turn(message_id=message_id), "web")
    [queued], following = desk.queue(limit=10, cursor=0)
    assert (queued.handoff.state, queued.handoff.reason, queued.handoff.since) == (
        "waiting",
        "asked",
        NOW,
    )
    assert (queued.channel, queued.last_message, queued.position) == ("web", "c says m2", 1)
    assert following is None


def test_other_turns_and_those_of_a_chatwoot_stay_out(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn("c", action="answer"), "web")
    conversations.add(turn("chatwoot:1:10"), "chatwoot")
    assert desk.queue(limit=10, cursor=0) == ([], None)
    with pytest.raises(NotFound):
        desk.take("c", "anna")


def test_a_turn_that_is_not_stored_leaves_nothing_in_the_queue(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    with pytest.raises(TrefoilError):
        conversations.add(replace(turn(), reply={"text": "\ud800"}, message="\x00\ud800"), "web")
    assert desk.queue(limit=10, cursor=0) == ([], None)


def test_the_queue_is_in_order_and_comes_in_pages(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    for name in ("c1", "c2", "c3"):
        conversations.add(turn(name), "web")
    desk.take("c2", "anna")
    first, following = desk.queue(limit=2, cursor=0)
    assert following is not None
    second, end = desk.queue(limit=2, cursor=following)
    shown = [(q.handoff.conversation_id, q.handoff.state, q.position) for q in first + second]
    assert shown == [("c1", "waiting", 1), ("c2", "taken", None), ("c3", "waiting", 2)]
    assert end is None
    assert desk.position(latest(desk, "c3")) == 2


# --- take, release, resolve ----------------------------------------------------------------------


def test_of_agents_who_take_at_once_one_wins(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn(), "web")
    start = Barrier(6)

    def take(number: int) -> str | None:
        start.wait()
        try:
            return desk.take("c", f"agent{number}").agent
        except Conflict:
            return None

    with ThreadPoolExecutor(6) as pool:
        winners = [name for name in pool.map(take, range(6)) if name]
    assert len(winners) == 1
    assert latest(desk).agent == winners[0]


def test_the_second_to_take_is_told_who_has_it(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn(), "web")
    assert desk.take("c", "anna").agent == "anna"
    assert desk.take("c", "anna").agent == "anna"
    with pytest.raises(Conflict, match="anna has taken"):
        desk.take("c", "bert")


def test_what_is_released_waits_in_its_old_place(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn("c1"), "web")
    conversations.add(turn("c2"), "web")
    desk.take("c1", "anna")
    with pytest.raises(Conflict):
        desk.release("c1", "bert")
    released = desk.release("c1", "anna")
    assert (released.state, released.agent, released.since) == ("waiting", None, NOW)
    assert desk.position(released) == 1
    assert desk.take("c1", "bert").agent == "bert"
    assert desk.release("c1", "admin", anybodys=True).agent is None


def test_what_is_resolved_leaves_the_queue_and_may_come_again(
    conversations: ConversationStore, desk: Handoffs, clock: Clock
) -> None:
    conversations.add(turn(), "web")
    with pytest.raises(Conflict, match="Take it first"):
        desk.resolve("c", "anna")
    desk.take("c", "anna")
    with pytest.raises(Conflict):
        desk.resolve("c", "bert")
    clock.now = NOW + timedelta(minutes=5)
    desk.resolve("c", "anna")
    assert (latest(desk).state, latest(desk).resolved_at) == ("resolved", clock.now)
    assert desk.queue(limit=10, cursor=0) == ([], None)
    assert conversations.before("c", "m9").handoff is None
    with pytest.raises(NotFound):
        desk.resolve("c", "anna")
    conversations.add(turn(message_id="m2"), "web")
    assert latest(desk).state == "waiting"


def test_an_agent_who_stays_silent_loses_the_conversation(
    conversations: ConversationStore, desk: Handoffs, clock: Clock
) -> None:
    conversations.add(turn(), "web")
    desk.take("c", "anna")
    clock.now += timedelta(minutes=10)
    desk.say("c", "a1", "anna", "Anna", "One moment.")
    clock.now += SILENCE - timedelta(seconds=1)
    assert latest(desk).state == "taken"
    clock.now += timedelta(seconds=1)
    assert (latest(desk).state, latest(desk).agent) == ("waiting", None)
    [queued], _ = desk.queue(limit=10, cursor=0)
    assert (queued.handoff.state, queued.position) == ("waiting", 1)
    assert desk.take("c", "bert").agent == "bert"
    with pytest.raises(Conflict):
        desk.say("c", "a2", "anna", "Anna", "Here I am again.")


# --- what agents say -----------------------------------------------------------------------------


def test_what_an_agent_says_is_stored_once(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn(), "web")
    with pytest.raises(Conflict):
        desk.say("c", "a1", "anna", "Anna", "Hello")
    desk.take("c", "anna")
    first = desk.say("c", "a1", "anna", "Anna", "Hello")
    assert desk.say("c", "a1", "anna", "Anna", "Something else") == first
    assert desk.said({"c": 0}, 10) == [first]
    desk.resolve("c", "anna")
    assert desk.say("c", "a1", "anna", "Anna", "Hello") == first


def test_who_looks_for_what_agents_said_gets_each_thing_once(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    for name in ("c", "d", "other"):
        conversations.add(turn(name), "web")
        desk.take(name, "anna")
    assert desk.last_number("c") == 0
    said = [
        desk.say(name, f"a{number}", "anna", "Anna", "Hello")
        for number, name in enumerate(("c", "d", "other", "c"))
    ]
    assert desk.said({}, 10) == []
    assert desk.said({"c": 0, "d": 0}, 10) == [said[0], said[1], said[3]]
    assert desk.said({"c": said[0].number, "d": said[1].number}, 10) == [said[3]]
    assert desk.said({"c": 0, "d": 0}, 1) == [said[0]]
    assert desk.last_number("c") == said[3].number


# --- erasure -------------------------------------------------------------------------------------


def test_an_erased_conversation_leaves_nothing_anywhere(
    conversations: ConversationStore, desk: Handoffs, engine: Engine
) -> None:
    for name in ("c", "kept"):
        conversations.add(turn(name), "web")
        desk.take(name, "anna")
        desk.say(name, "a1", "anna", "Anna", "Hello")
    conversations.delete("c")
    with pytest.raises(NotFound):
        conversations.delete("c")
    with session_factory(engine)() as session:
        for table in (tables.conversations, tables.turns, tables.handoffs, tables.agent_messages):
            kept = session.execute(select(table.c.conversation_id)).scalars().all()
            assert kept == ["kept"], table.name
        assert session.execute(select(func.count()).select_from(tables.outbox)).scalar_one() == 0


def test_the_customer_is_told_once_that_somebody_reads_along(
    conversations: ConversationStore, desk: Handoffs
) -> None:
    conversations.add(turn(), "web")
    desk.take("c", "anna")
    handoff = conversations.before("c", "m2").handoff
    told = [
        conversations.add(replace(turn(message_id=name), tells=handoff), "web")["text"]
        for name in ("m2", "m3")
    ]
    assert told == ["A colleague takes over.", ""]
