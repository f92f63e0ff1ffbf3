"""Does every message reach its channel in its order, whatever becomes of the others?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFound
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.deliverer import LEASE, Deliverer
from services.finance_sentiment.delivery_store import page_of_deliveries, retry, shown_delivery
from services.finance_sentiment.payloads import PUSH_EVERY
from services.finance_sentiment.sending import Sender
from services.finance_sentiment.tables import outbox, tellings
from services.finance_sentiment.telling import Teller
from tests.finance_sentiment.conftest import Clock
from tests.finance_sentiment.receiver import (
    Got,
    Receiver,
    Reply,
    messages,
    raise_alert,
    resolve,
)

ROOT = Path(__file__).parents[2]
Sessions = sessionmaker[Session]
Make = Callable[..., Deliverer]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def make(sessions: Sessions, receiver: Receiver, clock: Clock) -> Iterator[Make]:
    made: list[Deliverer] = []

    def make(*channels: Channel, owner: str = "one") -> Deliverer:
        chosen = channels or (hook(receiver),)
        sender = Sender((receiver.address,))
        keep = timedelta(days=7)
        teller = Teller(chosen, "https://news.example")
        made.append(Deliverer(sessions, teller, sender, clock, owner, keep, Event()))
        return made[-1]

    yield make
    for deliverer in made:
        deliverer.close()


def hook(receiver: Receiver, name: str = "desk", path: str = "/hook") -> Channel:
    return Channel(name, "webhook", receiver.url(path))


def round_of(deliverer: Deliverer) -> None:
    deliverer.tick()
    deliverer.settle()


def statuses(receiver: Receiver, path: str = "/hook") -> list[str]:
    return [
        f"{got.json['commonLabels']['topic']} {got.json['status']}" for got in receiver.at(path)
    ]


def state_of(sessions: Sessions, number: int = 0) -> tuple[str, int, str | None]:
    with sessions() as session:
        row = session.execute(select(outbox).order_by(outbox.c.id)).all()[number]
    return row.state, row.attempts, row.last_error


def test_an_alert_reaches_its_channel_and_then_its_end(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    alert = raise_alert(sessions)
    deliverer = make()
    round_of(deliverer)
    resolve(sessions, alert, clock())
    round_of(deliverer)
    round_of(deliverer)
    assert statuses(receiver) == ["banking firing", "banking resolved"]
    assert {state for _, _, state in messages(sessions)} == {"sent"}
    keys = [got.headers["Idempotency-Key"] for got in receiver.got]
    assert len(set(keys)) == 2 and keys[0].endswith(":firing")


def test_a_failure_is_tried_again_with_the_same_key(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    receiver.answers["/hook"] = Reply(500)
    deliverer = make()
    round_of(deliverer)
    round_of(deliverer)
    assert len(receiver.got) == 1
    assert state_of(sessions) == ("pending", 1, "answered 500: ok")
    receiver.answers.clear()
    clock.forward(seconds=10)
    round_of(deliverer)
    assert state_of(sessions) == ("sent", 2, None)
    assert len({got.headers["Idempotency-Key"] for got in receiver.got}) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_channel_that_asks_for_time_gets_it_for_all_its_messages(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock, status: int
) -> None:
    raise_alert(sessions)
    raise_alert(sessions, topic="energy")
    receiver.answers["/hook"] = Reply(status, headers={"retry-after": "90"})
    deliverer = make()
    round_of(deliverer)
    clock.forward(seconds=89)
    round_of(deliverer)
    assert len(receiver.got) == 1
    receiver.answers.clear()
    clock.forward(seconds=1)
    round_of(deliverer)
    assert statuses(receiver) == ["banking firing", "banking firing", "energy firing"]


def test_a_refusal_for_good_is_a_dead_letter_at_once_and_holds_up_nothing(
    sessions: Sessions, receiver: Receiver, make: Make
) -> None:
    def picky(got: Got) -> Reply:
        return Reply(400 if "banking" in statuses(receiver)[-1] else 200)

    raise_alert(sessions)
    raise_alert(sessions, topic="energy")
    receiver.answers["/hook"] = picky
    round_of(make())
    assert statuses(receiver) == ["banking firing", "energy firing"]
    assert state_of(sessions) == ("dead", 1, "answered 400: ok")
    assert state_of(sessions, 1)[0] == "sent"


def test_a_message_that_always_fails_ends_as_a_dead_letter(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    receiver.answers["/hook"] = Reply(500)
    deliverer = make()
    for _ in range(20):
        round_of(deliverer)
        clock.forward(hours=1)
    assert len(receiver.got) == 12
    assert state_of(sessions)[0] == "dead"


def test_a_message_that_always_fails_lets_others_pass(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    def poisoned(got: Got) -> Reply:
        return Reply(500 if "banking" in statuses(receiver)[-1] else 200)

    raise_alert(sessions)
    raise_alert(sessions, topic="energy")
    receiver.answers["/hook"] = poisoned
    deliverer = make()
    for _ in range(4):
        round_of(deliverer)
        clock.forward(seconds=10)
    assert statuses(receiver).count("energy firing") == 1
    assert state_of(sessions)[0] == "pending"


def test_the_end_waits_for_its_start(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    alert = raise_alert(sessions)
    receiver.answers["/hook"] = Reply(503)
    deliverer = make()
    for _ in range(3):
        round_of(deliverer)
        clock.forward(seconds=40)
    resolve(sessions, alert, clock())
    for _ in range(3):
        round_of(deliverer)
        clock.forward(seconds=10)
    assert set(statuses(receiver)) == {"banking firing"}
    receiver.answers.clear()
    clock.forward(hours=1)
    round_of(deliverer)
    assert statuses(receiver)[-2:] == ["banking firing", "banking resolved"]
    assert statuses(receiver).count("banking resolved") == 1


def test_the_end_goes_out_when_its_start_was_given_up(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    alert = raise_alert(sessions)
    receiver.answers["/hook"] = Reply(400)
    deliverer = make()
    round_of(deliverer)
    receiver.answers.clear()
    resolve(sessions, alert, clock())
    round_of(deliverer)
    assert statuses(receiver) == ["banking firing", "banking resolved"]
    # Whoever has the start sent after all gets the end after it once more.
    with sessions.begin() as session:
        retry(session, 1, clock())
    round_of(deliverer)
    assert statuses(receiver)[2:] == ["banking firing", "banking resolved"]
    assert [state for _, _, state in messages(sessions)] == ["sent", "sent"]


def test_the_end_is_told_anew_where_it_was_forgotten(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    alert = raise_alert(sessions)
    receiver.answers["/hook"] = Reply(400)
    deliverer = make()
    round_of(deliverer)
    receiver.answers.clear()
    resolve(sessions, alert, clock())
    round_of(deliverer)
    clock.forward(days=8)
    round_of(deliverer)
    assert [event for _, event, _ in messages(sessions)] == ["firing"]
    with sessions.begin() as session:
        retry(session, 1, clock())
    round_of(deliverer)
    assert statuses(receiver)[2:] == ["banking firing", "banking resolved"]


def test_only_what_is_dead_is_revived(sessions: Sessions, make: Make, clock: Clock) -> None:
    raise_alert(sessions)
    round_of(make())
    for number in (1, 99):
        with pytest.raises(NotFound), sessions.begin() as session:
            retry(session, number, clock())


def held() -> tuple[Event, Event, Callable[[Got], Reply]]:
    """Whether a request has arrived, what releases it, and the answer that waits for that."""
    arrived, released = Event(), Event()

    def answer(got: Got) -> Reply:
        arrived.set()
        released.wait(10)
        return Reply()

    return arrived, released, answer


def test_a_channel_that_hangs_holds_up_no_other(
    sessions: Sessions, receiver: Receiver, make: Make
) -> None:
    arrived, released, answer = held()
    receiver.answers["/slow"] = answer
    deliverer = make(hook(receiver, "slow", "/slow"), hook(receiver))
    try:
        raise_alert(sessions)
        deliverer.tick()
        assert arrived.wait(10)
        raise_alert(sessions, topic="energy")
        # Ticks go on while the slow one hangs, and the quick one gets its next message.
        deliverer.tick()
        deliverer._passes["desk"].result(10)
        deliverer.tick()
        deliverer._passes["desk"].result(10)
        assert statuses(receiver) == ["banking firing", "energy firing"]
        assert statuses(receiver, "/slow") == ["banking firing"]
    finally:
        released.set()
    deliverer.settle()
    assert statuses(receiver, "/slow") == ["banking firing", "energy firing"]


def test_one_worker_at_a_time_serves_a_channel_and_another_takes_over(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    first, second = make(owner="one"), make(owner="two")
    raise_alert(sessions)
    assert first._hold(first.channels[0])  # and then it dies
    round_of(second)
    assert receiver.got == []
    clock.forward(seconds=LEASE.total_seconds())
    round_of(second)
    assert len(receiver.got) == 1


def test_two_workers_at_once_send_each_message_once(
    sessions: Sessions, receiver: Receiver, make: Make
) -> None:
    for number in range(8):
        raise_alert(sessions, topic=f"topic {number}")
    workers = [make(owner="one"), make(owner="two")]
    threads = [threading.Thread(target=round_of, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        round_of(worker)
    assert sorted(statuses(receiver)) == [f"topic {number} firing" for number in range(8)]


KILLED = """
import sys
from datetime import UTC, datetime, timedelta
from threading import Event
from core.db.engine import make_engine, session_factory
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.deliverer import Deliverer
from services.finance_sentiment.sending import Sender
from services.finance_sentiment.telling import Teller

url, address, now = sys.argv[1:]
sessions = session_factory(make_engine(url))
teller = Teller((Channel("desk", "webhook", f"http://{address}/hook"),))
moment = datetime.fromisoformat(now)
worker = Deliverer(
    sessions, teller, Sender((address,)), lambda: moment, "killed", timedelta(days=7), Event()
)
worker.tick()
worker.settle()
print("still alive")
"""


def test_a_worker_killed_between_sending_and_marking_sends_again_with_the_same_key(
    sessions: Sessions, database_url: str, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    worker = subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url, receiver.address, clock().isoformat()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )

    def kill(got: Got) -> Reply:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        return Reply()

    receiver.answers["/hook"] = kill
    said, _ = worker.communicate(timeout=60)
    assert (worker.returncode, said) == (-signal.SIGKILL, "")
    assert state_of(sessions)[:2] == ("pending", 1)
    receiver.answers.clear()
    survivor = make()
    round_of(survivor)
    assert len(receiver.got) == 1
    clock.forward(minutes=2)
    round_of(survivor)
    first, second = (got.headers["Idempotency-Key"] for got in receiver.got)
    assert first == second
    assert state_of(sessions) == ("sent", 2, None)


def test_an_alertmanager_hears_again_of_what_fires_and_once_of_its_end(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    path = "/api/v2/alerts"
    alert = raise_alert(sessions)
    deliverer = make(Channel("am", "alertmanager", receiver.url("")))
    round_of(deliverer)
    before = len(receiver.at(path))
    for _ in range(3):
        clock.forward(seconds=PUSH_EVERY.total_seconds())
        round_of(deliverer)
        round_of(deliverer)
    pushed = receiver.at(path)[before:]
    assert len(pushed) == 3
    ends = [got.json[0]["endsAt"] for got in pushed]
    assert ends == sorted(set(ends)) and ends[-1] > clock().isoformat()
    assert len({got.json[0]["startsAt"] for got in pushed}) == 1
    resolve(sessions, alert, clock())
    for _ in range(3):
        clock.forward(seconds=PUSH_EVERY.total_seconds())
        round_of(deliverer)
    *_, last = after = receiver.at(path)[before + 3 :]
    assert len(after) == 1
    assert last.json[0]["endsAt"] < clock().isoformat()
    assert last.json[0]["labels"] == pushed[0].json[0]["labels"]


def test_an_alertmanager_that_fails_is_pushed_to_a_minute_later(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    deliverer = make(Channel("am", "alertmanager", receiver.url("")))
    round_of(deliverer)
    receiver.answers["/api/v2/alerts"] = Reply(500)
    before = len(receiver.got)
    for _ in range(2):
        clock.forward(seconds=PUSH_EVERY.total_seconds())
        round_of(deliverer)
        round_of(deliverer)
    assert len(receiver.got) == before + 2


def test_a_sender_that_breaks_keeps_its_message(
    sessions: Sessions, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    deliverer = make()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    whole = deliverer.sender
    deliverer.sender = broken  # type: ignore[assignment]
    round_of(deliverer)
    deliverer.sender = whole
    assert state_of(sessions) == ("pending", 1, "unexpected: ZeroDivisionError")
    clock.forward(seconds=10)
    round_of(deliverer)
    assert state_of(sessions)[0] == "sent"


def test_what_arrived_is_forgotten_after_its_days_and_never_told_again(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    deliverer = make()
    round_of(deliverer)
    clock.forward(days=6)
    round_of(deliverer)
    assert len(messages(sessions)) == 1
    clock.forward(days=2)
    round_of(deliverer)
    assert messages(sessions) == []
    round_of(deliverer)
    assert len(receiver.got) == 1
    with sessions() as session:
        assert len(session.execute(select(tellings)).all()) == 1


def test_messages_for_a_channel_that_is_gone_are_given_up_after_a_day(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    raise_alert(sessions)
    receiver.answers["/hook"] = Reply(500)
    round_of(make())
    other = make(hook(receiver, "other", "/other"), owner="two")
    clock.forward(hours=2)
    round_of(other)
    assert messages(sessions)[0] == ("desk", "firing", "pending")
    clock.forward(days=1)
    round_of(other)
    assert state_of(sessions)[::2] == ("dead", "there is no channel of this name any more")


def test_a_worker_that_stops_finishes_the_message_in_hand(
    sessions: Sessions, receiver: Receiver, make: Make
) -> None:
    arrived, released, answer = held()
    receiver.answers["/hook"] = answer
    raise_alert(sessions)
    raise_alert(sessions, topic="energy")
    deliverer = make()
    deliverer.tick()
    assert arrived.wait(10)
    deliverer.stop.set()
    released.set()
    deliverer.close()
    assert [state for _, _, state in messages(sessions)] == ["sent", "pending"]


def test_messages_are_listed_newest_first_by_state_and_channel(
    sessions: Sessions, receiver: Receiver, make: Make, clock: Clock
) -> None:
    receiver.answers["/bad"] = Reply(404)
    deliverer = make(hook(receiver), hook(receiver, "bad", "/bad"))
    for number in range(3):
        raise_alert(sessions, topic=f"topic {number}")
        round_of(deliverer)
        clock.forward(minutes=1)
    with sessions() as session:
        dead, _ = page_of_deliveries(session, state="dead", channel=None, limit=9, cursor=None)
        first, cursor = page_of_deliveries(
            session, state=None, channel="desk", limit=2, cursor=None
        )
        rest, end = page_of_deliveries(session, state=None, channel="desk", limit=2, cursor=cursor)
    assert [shown_delivery(row)["channel"] for row in dead] == ["bad"] * 3
    assert [row.payload["subject"] for row in [*first, *rest]] == ["alert:3", "alert:2", "alert:1"]
    assert end is None
