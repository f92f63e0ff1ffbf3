"""Does every message arrive at least once, and does the hopeless one end?"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.db import outbox
from core.errors import NotFound

Sessions = sessionmaker[Session]


class Box:
    """The outbox of one database, each call a transaction of its own."""

    def __init__(self, sessions: Sessions, table: object) -> None:
        self.sessions, self.table = sessions, table

    def __getattr__(self, verb: str):
        def call(*args: object, **named: object) -> object:
            with self.sessions.begin() as session:
                return getattr(outbox, verb)(session, self.table, *args, **named)

        return call

    def put(self, key: str, now: datetime, **more: object) -> bool:
        payload = {"text": "升价 €", "n": 1}
        return self.enqueue(kind="hook", payload=payload, idempotency_key=key, now=now, **more)


@pytest.fixture
def box(sessions: Sessions, tables: SimpleNamespace) -> Box:
    return Box(sessions, tables.outbox)


def test_a_message_is_due_at_once_and_carries_its_payload(box: Box, now: datetime) -> None:
    assert box.put("a", now)
    (message,) = box.due(now)
    assert message.payload == {"text": "升价 €", "n": 1}
    assert (message.kind, message.idempotency_key, message.attempts) == ("hook", "a", 1)


def test_a_repeat_of_an_idempotency_key_is_ignored(box: Box, now: datetime) -> None:
    assert box.put("a", now)
    assert not box.put("a", now)
    assert len(box.due(now)) == 1


def test_a_transaction_that_fails_sends_nothing(
    sessions: Sessions, tables: SimpleNamespace, box: Box, now: datetime
) -> None:
    with pytest.raises(KeyError), sessions.begin() as session:
        outbox.enqueue(
            session, tables.outbox, kind="hook", payload={}, idempotency_key="a", now=now
        )
        raise KeyError
    assert box.due(now) == []


def test_what_was_sent_never_comes_again(box: Box, now: datetime) -> None:
    box.put("a", now)
    (message,) = box.due(now)
    box.mark_sent(message.id, now)
    assert box.due(now + timedelta(days=9)) == []
    assert not box.put("a", now)


def test_a_claimed_message_is_hidden_from_other_workers(box: Box, now: datetime) -> None:
    box.put("a", now)
    assert len(box.due(now, hold=timedelta(minutes=2))) == 1
    assert box.due(now + timedelta(minutes=1)) == []


def test_a_message_of_a_worker_that_died_comes_again(box: Box, now: datetime) -> None:
    box.put("a", now)
    box.due(now, hold=timedelta(minutes=2))
    (again,) = box.due(now + timedelta(minutes=2))
    assert again.attempts == 2


def test_two_workers_that_claim_at_once_share_out_the_messages(
    sessions: Sessions, tables: SimpleNamespace, box: Box, now: datetime
) -> None:
    for key in "abcd":
        box.put(key, now)
    if sessions.kw["bind"].dialect.name == "sqlite":
        first, second = box.due(now, limit=2), box.due(now, limit=2)
    else:
        with sessions.begin() as one, sessions.begin() as other:
            first = outbox.due(one, tables.outbox, now, limit=2)
            second = outbox.due(other, tables.outbox, now, limit=2)
    assert sorted(message.idempotency_key for message in first + second) == list("abcd")


def test_a_failure_is_tried_again_after_its_delay(box: Box, now: datetime) -> None:
    box.put("a", now)
    (message,) = box.due(now)
    assert box.mark_failed(message, now, "connection refused")
    assert box.due(now + timedelta(seconds=9)) == []
    (again,) = box.due(now + timedelta(seconds=10))
    assert again.last_error == "connection refused"


def test_a_receiver_may_ask_for_more_time_but_not_for_less(box: Box, now: datetime) -> None:
    for key, wait in (("more", 60), ("less", 1)):
        box.put(key, now)
        (message,) = box.due(now)
        box.mark_failed(message, now, "busy", not_before=now + timedelta(seconds=wait))
    assert box.due(now + timedelta(seconds=9)) == []
    (less,) = box.due(now + timedelta(seconds=10))
    assert less.idempotency_key == "less"
    (more,) = box.due(now + timedelta(seconds=60))
    assert more.idempotency_key == "more"


def test_what_no_attempt_would_mend_is_dead_at_once(box: Box, now: datetime) -> None:
    box.put("a", now)
    (message,) = box.due(now)
    assert not box.mark_failed(message, now, "no such address", for_good=True)
    (dead,) = box.dead_letters()
    assert (dead.attempts, dead.last_error) == (1, "no such address")


def test_one_kind_of_messages_can_be_claimed_by_itself(box: Box, now: datetime) -> None:
    box.put("a", now)
    assert box.due(now, kind="mail") == []
    assert len(box.due(now, kind="hook")) == 1


def test_after_its_last_attempt_a_message_is_a_dead_letter(box: Box, now: datetime) -> None:
    box.put("a", now, max_attempts=2)
    for _ in range(2):
        (message,) = box.due(now)
        alive = box.mark_failed(message, now, "no\x00pe " + "x" * 900)
        now += timedelta(hours=1)
    assert not alive
    assert box.due(now + timedelta(days=9)) == []
    (dead,) = box.dead_letters()
    assert dead.last_error is not None
    assert dead.last_error.startswith("nope ")


def test_a_message_that_kills_its_worker_dies_too(box: Box, now: datetime) -> None:
    box.put("a", now, max_attempts=3)
    while box.due(now):
        now += timedelta(hours=1)
    (dead,) = box.dead_letters()
    assert dead.attempts == 3
    assert dead.last_error == "the worker ended during the last attempt"


def test_a_dead_letter_can_be_sent_after_all(box: Box, now: datetime) -> None:
    box.put("a", now, max_attempts=1)
    (message,) = box.due(now)
    box.mark_failed(message, now, "no")
    box.revive(message.id, now)
    assert [message.attempts for message in box.due(now)] == [1]
    with pytest.raises(NotFound):
        box.revive(message.id, now)


def test_a_late_failure_does_not_undo_a_success(box: Box, now: datetime) -> None:
    box.put("a", now)
    (message,) = box.due(now)
    box.mark_sent(message.id, now)
    assert not box.mark_failed(message, now, "a slow twin")
    assert box.due(now + timedelta(days=9)) == []


def test_the_oldest_comes_first_and_no_more_than_asked_for(box: Box, now: datetime) -> None:
    for number in range(5):
        box.put(str(number), now - timedelta(minutes=number))
    assert [message.idempotency_key for message in box.due(now, limit=2)] == ["4", "3"]


def test_old_sent_messages_are_forgotten_and_others_kept(box: Box, now: datetime) -> None:
    box.put("sent", now)
    box.mark_sent(box.due(now)[0].id, now)
    box.put("waiting", now)
    assert box.prune(now + timedelta(days=1)) == 1
    assert [message.idempotency_key for message in box.due(now)] == ["waiting"]


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 10), (1, 10), (2, 20), (3, 40), (9, 2560), (10, 3600), (999, 3600)],
)
def test_the_delay_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert outbox.retry_delay(attempts) == timedelta(seconds=seconds)
