"""Does a listener hear of every change once, as /v1/stories shows it, whatever happens between?"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from core.errors import InvalidInput
from services.finance_sentiment import events as events_module
from services.finance_sentiment import events_api
from services.finance_sentiment.alert_store import acknowledge, save_alerts
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.app import create_app
from services.finance_sentiment.changes import KEPT, Noted, forget_changes, kept_ids, note
from services.finance_sentiment.domain import Entry, Label
from services.finance_sentiment.events import Hub, Places, event_block
from services.finance_sentiment.events_api import EventParts, EventStream, known_id, tell
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.schemas import EventsQuery
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.store import pending_texts, write_labels
from services.finance_sentiment.tables import MIGRATIONS, api_keys, events
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.listening import Heard, listening, numbers, parsed, served

Sessions = sessionmaker[Session]
BAD = Label("v1", "negative", "banking", 0.8, 0.1, 0.1, 0.9, True)
GOOD = Label("v1", "positive", "energy", 0.1, 0.1, 0.8, 0.9, True)
UNREAD = Label("v1", None, None, 0.3, 0.4, 0.3, 0.2, False)


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    engine: Engine = make_engine(database_url)
    upgrade(engine, MIGRATIONS)
    yield session_factory(engine)
    engine.dispose()


@pytest.fixture
def here(settings: Settings, database_url: str) -> Settings:
    return settings.replace(database_url=database_url, events_tick=0.05, events_heartbeat=0.2)


@pytest.fixture
def address(here: Settings, sessions: Sessions) -> Iterator[str]:
    with served(create_app(here, now=lambda: NOW), here) as address:
        yield address


def store(sessions: Sessions, *titles: str, source: str = "A") -> None:
    with sessions.begin() as session:
        entries = [Incoming(Entry(f"{source} {t}", "", t, "", NOW)) for t in titles]
        add_stories(session, entries, source=source, source_id=None, now=NOW)


def label(sessions: Sessions, label: Label, *, titles: Sequence[str] | None = None) -> None:
    with sessions.begin() as session:
        waiting = pending_texts(session, 10_000)
        chosen = [i for i, text in waiting if titles is None or text in titles]
        write_labels(session, [(i, label) for i in chosen], NOW)


def titles_of(heard: Sequence[Heard]) -> list[str]:
    return [one.content["story"]["title"] for one in heard]


# --- what is told -------------------------------------------------------------------------------


def test_a_story_is_told_once_it_is_labelled_and_as_the_list_shows_it(
    address: str, sessions: Sessions
) -> None:
    with listening(address) as listener:
        store(sessions, "Bank fails")
        label(sessions, BAD)
        heard = listener.one()
    assert (heard.name, heard.content["change"]) == ("story", "labelled")
    [listed] = httpx.get(f"{address}/v1/stories").json()["stories"]
    assert heard.content["story"] == listed
    assert listener.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert listener.response.headers["cache-control"] == "no-store"
    assert listener.browser.retry == events_api.RETRY_MILLISECONDS


def test_another_source_of_a_story_and_an_edit_are_told(address: str, sessions: Sessions) -> None:
    with listening(address) as listener:
        store(sessions, "Bank fails")
        label(sessions, BAD)
        store(sessions, "Bank fails", source="B")
        told = listener.several(1)
        if told[0].content["story"]["sources"] == ["A"]:
            told += listener.several(1)
        assert told[-1].content["story"]["sources"] == ["A", "B"]
        with sessions.begin() as session:
            edited = [Incoming(Entry("A Bank fails", "", "Bank is saved", "", NOW))]
            add_stories(session, edited, source="A", source_id=None, now=NOW)
        label(sessions, GOOD)
        edit = listener.one()
    assert titles_of([edit]) == ["Bank is saved"]
    assert edit.content["story"]["id"] == told[0].content["story"]["id"]


def test_what_the_model_cannot_read_is_told_as_such(address: str, sessions: Sessions) -> None:
    with listening(address) as listener:
        store(sessions, "Щось незрозуміле")
        label(sessions, UNREAD)
        heard = listener.one()
    assert heard.content["change"] == heard.content["story"]["state"] == "unlabelled"


def test_the_past_that_comes_with_labels_is_told_to_nobody(sessions: Sessions) -> None:
    with sessions.begin() as session:
        past = [Incoming(Entry(t, "", t, "", NOW), BAD) for t in ("Bank fails", "Bank fails")]
        add_stories(session, past, source="A", source_id=None, now=NOW)
        assert kept_ids(session) == (0, 0)


def alert_at(hours: float, *, ended: float | None = None) -> Alert:
    start = NOW + timedelta(hours=hours)
    end = None if ended is None else NOW + timedelta(hours=ended)
    return Alert("banking", "beta_binomial_cusum", start, start, end, {"statistic": 6.0})


def test_an_alert_is_told_when_raised_acknowledged_and_resolved(
    address: str, sessions: Sessions
) -> None:
    with listening(address, kind="alert") as listener:
        for found in ([alert_at(-2)], [alert_at(-2)], [alert_at(-2, ended=-1)]):
            with sessions.begin() as session:
                save_alerts(session, found, known_since=NOW - timedelta(days=1), now=NOW)
        with sessions.begin() as session:
            assert acknowledge(session, 1, "Ada", NOW)
            assert acknowledge(session, 1, "Bob", NOW)
        heard = listener.several(3)
    assert [one.content["change"] for one in heard] == ["raised", "resolved", "acknowledged"]
    assert {one.name for one in heard} == {"alert"}
    [listed] = httpx.get(f"{address}/v1/alerts").json()["alerts"]
    assert heard[-1].content["alert"] == listed
    assert listed["acknowledged_by"] == "Ada"


def test_filters_choose_and_the_id_moves_on_all_the_same(address: str, sessions: Sessions) -> None:
    with (
        listening(address, topic="energy") as energy,
        listening(address, sentiment="negative") as negative,
        listening(address, kind="alert") as alerts,
    ):
        store(sessions, "Bank fails", "Oil rises")
        label(sessions, BAD, titles=["Bank fails"])
        label(sessions, GOOD)
        assert titles_of([energy.one()]) == ["Oil rises"]
        assert titles_of([negative.one()]) == ["Bank fails"]
        newest = newest_id(sessions)
        while alerts.browser.last_id != str(newest):
            alerts.until_comment()


def newest_id(sessions: Sessions) -> int:
    with sessions() as session:
        return kept_ids(session)[1]


# --- nothing lost, nothing twice ----------------------------------------------------------------


def test_who_comes_back_hears_what_was_missed_and_nothing_twice(
    here: Settings, sessions: Sessions
) -> None:
    """Labelled in another order than stored, heard in pieces from three servers."""
    names = [f"Bank {n} reports {n} million" for n in range(6)]
    heard: list[Heard] = []
    last_id = ""
    store(sessions, *names)
    for round_ in range(3):
        with served(create_app(here, now=lambda: NOW), here) as address:
            with listening(address, last_id) as listener:
                label(sessions, BAD, titles=[names[5 - round_]])
                heard += listener.several(1 if round_ == 0 else 2)
                last_id = listener.browser.last_id
            # Nobody listens now.
            label(sessions, BAD, titles=[names[round_]])
    with (
        served(create_app(here, now=lambda: NOW), here) as address,
        listening(address, last_id) as listener,
    ):
        heard += listener.several(1)
    assert sorted(titles_of(heard)) == sorted(names)
    assert numbers(heard) == sorted(set(numbers(heard)))


def test_who_was_cut_off_before_the_first_event_misses_nothing(
    address: str, sessions: Sessions
) -> None:
    with listening(address) as listener:
        last_id = listener.browser.last_id
    store(sessions, "Bank fails")
    label(sessions, BAD)
    assert last_id == "0"
    with listening(address, last_id) as listener:
        assert titles_of([listener.one()]) == ["Bank fails"]


def test_the_id_may_stand_in_the_address(address: str, sessions: Sessions) -> None:
    store(sessions, "Bank fails")
    label(sessions, BAD)
    with listening(address, last_event_id="0") as listener:
        assert titles_of([listener.one()]) == ["Bank fails"]


def test_an_id_of_another_database_or_of_long_ago_begins_anew(
    address: str, sessions: Sessions
) -> None:
    store(sessions, *(f"Bank {n} loses {n} million" for n in range(3)))
    label(sessions, BAD)
    with sessions.begin() as session:
        forget_changes(session, NOW + KEPT + timedelta(seconds=1))
        assert kept_ids(session) == (3, 3)
    for last_id in ("1", "99"):
        with listening(address, last_id) as listener:
            assert listener.one().name == "reset"
            assert listener.browser.last_id == "3"


@pytest.mark.parametrize("last_id", ["-1", "1e3", "abc", "9" * 25, "9223372036854775808"])
def test_an_id_that_is_none_is_refused(last_id: str) -> None:
    with pytest.raises(InvalidInput, match="Last-Event-ID"):
        known_id(last_id)


def test_changes_of_one_moment_keep_the_order_of_their_commits(sessions: Sessions) -> None:
    """A writer that has noted something is waited for by the next one, so no id below one that was
    read can appear later."""
    order: list[str] = []

    def second() -> None:
        with sessions.begin() as session:
            note(session, "alert", [(2, "raised")], NOW)
            order.append("second")

    with sessions.begin() as session:
        note(session, "alert", [(1, "raised")], NOW)
        waiting = Thread(target=second)
        waiting.start()
        # It cannot come to an end here; were nobody to wait for anybody, it would.
        waiting.join(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    with sessions() as session:
        rows = session.execute(select(events.c.subject_id).order_by(events.c.id)).scalars()
        assert list(rows) == [1, 2]


# --- many, slow, and at the end -----------------------------------------------------------------


class Reader:
    """A caller's end of a stream: it takes so many pieces, then waits until it is let go on."""

    def __init__(self, takes: int) -> None:
        self.pieces: list[bytes] = []
        self.full = asyncio.Event()
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()
        self._takes = takes

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.pieces) >= self._takes and not self.go_on.is_set():
            self.full.set()
            await self.go_on.wait()
        self.pieces.append(message.get("body", b""))

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    def stories(self) -> list[Heard]:
        return parsed(b"".join(self.pieces).decode())


def stream_of(hub: Hub, reader: Reader, last: int | None = None) -> asyncio.Task[None]:
    parts = EventParts(hub, Places(10, 10), heartbeat=0.05)
    stream = EventStream(parts, "one", EventsQuery(), last)
    return asyncio.create_task(stream({"type": "http"}, reader.receive, reader.send))  # type: ignore[arg-type]


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not met():
            await asyncio.sleep(0.01)


def test_a_slow_reader_fills_no_memory_and_loses_nothing(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, window, many = 5, 20, 60
    monkeypatch.setattr(events_module, "PAGE", page)
    monkeypatch.setattr(events_module, "WINDOW", window)

    async def run() -> list[Heard]:
        hub = Hub(sessions, tell, tick=0.01)
        reader, quick = Reader(takes=3), Reader(takes=10_000)
        async with hub.running():
            streams = [stream_of(hub, reader), stream_of(hub, quick)]
            await until(lambda: bool(reader.pieces and quick.pieces))
            for start in range(0, many, 2 * page):
                numbered = range(start, start + 2 * page)
                store(sessions, *(f"Bank {n} loses {n} million" for n in numbered))
                label(sessions, BAD)
            await until(lambda: len(quick.stories()) == many)
            # What is kept for the slow one does not grow with what it has not read.
            assert reader.full.is_set() and len(reader.pieces) == 3
            assert len(hub._window) <= window
            reader.go_on.set()
            await until(lambda: len(reader.stories()) == many)
        await asyncio.gather(*streams)
        assert numbers(quick.stories()) == numbers(reader.stories())
        return reader.stories()

    heard = asyncio.run(run())
    assert len(set(titles_of(heard))) == many
    assert numbers(heard) == sorted(set(numbers(heard)))


def test_a_reader_that_takes_nothing_is_given_up(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_api, "SEND_SECONDS", 0.05)

    async def run() -> None:
        hub = Hub(sessions, tell, tick=0.01)
        async with hub.running():
            async with asyncio.timeout(30):
                await stream_of(hub, Reader(takes=1))

    asyncio.run(run())


def test_one_look_at_the_database_serves_all_streams(sessions: Sessions) -> None:
    looks: list[int] = []

    def counted(session: Session, rows: Sequence[Noted]) -> Any:
        looks.append(len(rows))
        return tell(session, rows)

    class Watched(Hub):
        looking = False

        async def look(self) -> bool:
            self.looking = True
            try:
                return await super().look()
            finally:
                self.looking = False

    async def run() -> None:
        hub = Watched(sessions, counted, tick=0.01)
        readers = [Reader(takes=100) for _ in range(8)]
        async with hub.running():
            streams = [stream_of(hub, reader) for reader in readers]
            await until(lambda: all(reader.pieces for reader in readers))
            store(sessions, "Bank fails")
            label(sessions, BAD)
            await until(lambda: all(len(reader.stories()) == 1 for reader in readers))
            for reader in readers:
                reader.left.set()
            await asyncio.gather(*streams)
            # A look that had begun while somebody listened may still be on its way.
            await until(lambda: not hub.looking)
            store(sessions, "Oil rises")
            label(sessions, GOOD)

    asyncio.run(run())
    assert looks == [1]


def test_streams_are_counted_in_all_and_of_each_caller(here: Settings, sessions: Sessions) -> None:
    settings = here.replace(events_streams=3, events_streams_per_key=2)
    with sessions.begin() as session:
        keys = [create_key(session, api_keys, name, ["read"]) for name in ("one", "two")]
    first, second = ({"x-api-key": key} for key in keys)
    # Kept, since a stream whose lines nobody holds is closed.
    lines: list[Iterator[str]] = []

    def status(headers: dict[str, str]) -> tuple[int, str | None]:
        with httpx.stream("GET", f"{address}/v1/events", headers=headers, timeout=30) as answer:
            return answer.status_code, answer.headers.get("retry-after")

    with served(create_app(settings, now=lambda: NOW), settings) as address, ExitStack() as open_:
        assert status({})[0] == 401
        for headers in (first, first, second):
            answer = httpx.stream("GET", f"{address}/v1/events", headers=headers, timeout=30)
            lines.append(open_.enter_context(answer).iter_lines())
            next(lines[-1])
        assert status(first) == (429, "30")
        assert status(second) == (503, "30")
        open_.close()
        # As soon as the server has seen that they are gone.
        while status(first)[0] != 200:
            pass


def test_the_server_ends_at_once_although_streams_are_open(
    settings: Settings, tmp_path: Path
) -> None:
    upgrade(settings.database_url, MIGRATIONS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {
        "TREFOIL_VAR": str(tmp_path),
        "TREFOIL_FINANCE_SENTIMENT_DATABASE_URL": settings.database_url,
    }
    command = [sys.executable, "-m", "services.cli", "finance-sentiment", "serve"]
    with subprocess.Popen(
        [*command, "--port", str(port)], env=os.environ | variables, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        while b'"serving"' not in process.stderr.readline():
            assert process.poll() is None
        with listening(f"http://127.0.0.1:{port}") as listener:
            process.send_signal(signal.SIGTERM)
            # Its end comes as one, not as a connection that breaks.
            assert listener.rest() == []
        assert process.wait(30) == 0


# --- the format ---------------------------------------------------------------------------------


@given(st.text(), st.integers(0, 2**63 - 1))
def test_a_browser_reads_what_was_written_line_by_line(data: str, event_id: int) -> None:
    [heard] = parsed(event_block(event_id, "story", data).decode())
    assert heard.data == data.replace("\r\n", "\n").replace("\r", "\n")
    assert (heard.name, heard.last_id) == ("story", str(event_id))
