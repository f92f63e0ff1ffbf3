"""What the worker does beside the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.leases import acquire
from core.db.migrations import upgrade
from core.errors import StorageError
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.live import Live, unread_texts
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import MIGRATIONS, leases
from services.customer_service.understanding import KIND, IntentModel
from services.customer_service.worker import Worker, run

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(retention_days=30)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    yield engine
    engine.dispose()


@pytest.fixture
def content(engine: Engine) -> ContentStore:
    return ContentStore(session_factory(engine), session_factory(engine, read_only=True))


@pytest.fixture
def conversations(engine: Engine) -> ConversationStore:
    return ConversationStore(session_factory(engine), session_factory(engine, read_only=True))


@pytest.fixture
def make_worker(engine: Engine, settings: Settings) -> Callable[..., Worker]:
    def make(
        owner: str = "me", stop: threading.Event | None = None, chosen: Settings = settings
    ) -> Worker:
        return Worker(
            chosen,
            session_factory(engine),
            session_factory(engine, read_only=True),
            owner=owner,
            now=lambda: NOW,
            stop=stop or threading.Event(),
        )

    return make


MakeWorker = Callable[..., Worker]


def add_articles(content: ContentStore, first: int, count: int) -> None:
    content.put_articles(
        [make_article(f"a{n}", title=f"Title {n}", body="B.") for n in range(first, first + count)],
        NOW,
    )


def add_silent(conversations: ConversationStore, count: int) -> None:
    """Conversations whose one turn, a handover, was 31 days ago."""
    for number in range(count):
        conversations.add(
            Turn(
                conversation_id=f"c{number}",
                message_id="m",
                message="Help",
                action="handoff",
                intent=None,
                locale="en",
                reply={},
                created_at=NOW - timedelta(days=31),
            ),
            "web",
        )


def promote(settings: Settings, folder: Path) -> str:
    """Make the model live; the id of its search encoder."""
    Registry(settings.models_dir, KIND).promote(folder)
    return IntentModel.load(folder, threads=1).searcher.encoder_id


# --- passages ------------------------------------------------------------------------------------


def test_passages_wait_until_there_is_a_model_and_are_read_then(
    content: ContentStore, make_worker: MakeWorker, settings: Settings, artifact: Path
) -> None:
    add_articles(content, 0, 40)
    worker = make_worker()
    assert worker.read_passages() == 0
    encoder_id = promote(settings, artifact)
    unread = len(unread_texts(content, encoder_id))
    assert unread > 40  # the passages, and the questions that nobody answers
    assert worker.read_passages() == unread
    assert unread_texts(content, encoder_id) == {}
    assert worker.read_passages() == 0


def test_articles_that_come_later_are_read_at_the_next_tick(
    content: ContentStore, make_worker: MakeWorker, settings: Settings, artifact: Path
) -> None:
    promote(settings, artifact)
    worker = make_worker()
    assert worker.read_passages() == 0  # no article, nothing to search
    add_articles(content, 0, 1)
    assert worker.read_passages() > 1
    add_articles(content, 1, 2)
    assert worker.read_passages() == 2


def test_a_model_with_another_search_encoder_has_everything_read_again(
    content: ContentStore,
    make_worker: MakeWorker,
    settings: Settings,
    artifact: Path,
    two_encoders: Path,
) -> None:
    add_articles(content, 0, 3)
    promote(settings, artifact)
    worker = make_worker()
    read = worker.read_passages()
    promote(settings, two_encoders)
    assert worker.read_passages() == read
    assert unread_texts(content, "another") == {}


def test_a_server_that_starts_after_the_worker_searches_by_meaning_at_once(
    content: ContentStore, make_worker: MakeWorker, settings: Settings, artifact: Path
) -> None:
    add_articles(content, 0, 100)
    encoder_id = promote(settings, artifact)
    make_worker().read_passages()
    live = Live(content)
    live.refresh(IntentModel.load(artifact, threads=1).searcher)
    assert live.current().knowledge.encoder_id == encoder_id


def test_passages_that_another_worker_reads_are_left_to_it_and_looked_for_again(
    engine: Engine,
    content: ContentStore,
    make_worker: MakeWorker,
    settings: Settings,
    artifact: Path,
) -> None:
    add_articles(content, 0, 1)
    promote(settings, artifact)
    worker = make_worker()
    with session_factory(engine).begin() as session:
        long_ago = NOW - timedelta(minutes=4)
        ttl = timedelta(minutes=5)
        assert acquire(session, leases, "passages", "another", now=long_ago, ttl=ttl)
    assert worker.read_passages() == 0
    with session_factory(engine).begin() as session:
        session.execute(leases.delete())  # the other one is through, or dead
    assert worker.read_passages() > 1


# --- retention -----------------------------------------------------------------------------------


def test_silent_conversations_are_deleted_in_portions_until_none_is_left(
    conversations: ConversationStore, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.customer_service.worker._CONVERSATIONS", 2)
    add_silent(conversations, 5)
    assert make_worker().delete_silent() == 5
    assert conversations.before("c0", "m").last is None


def test_conversations_within_the_days_are_kept(
    conversations: ConversationStore, make_worker: MakeWorker, settings: Settings
) -> None:
    add_silent(conversations, 1)
    assert make_worker(chosen=settings.replace(retention_days=32)).delete_silent() == 0
    assert conversations.before("c0", "m").last is not None


def test_zero_days_keep_conversations_for_ever(
    conversations: ConversationStore, make_worker: MakeWorker, settings: Settings
) -> None:
    add_silent(conversations, 1)
    assert make_worker(chosen=settings.replace(retention_days=0)).delete_silent() == 0
    assert conversations.before("c0", "m").last is not None


def test_a_worker_that_is_told_to_stop_begins_nothing(
    conversations: ConversationStore, make_worker: MakeWorker
) -> None:
    add_silent(conversations, 1)
    stop = threading.Event()
    stop.set()
    assert make_worker(stop=stop).delete_silent() == 0


# --- the process ---------------------------------------------------------------------------------


def test_run_does_both_and_ends_when_it_is_told_to(
    settings: Settings,
    content: ContentStore,
    conversations: ConversationStore,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_articles(content, 0, 1)
    add_silent(conversations, 1)
    promote(settings, artifact)
    stop, found = threading.Event(), {}
    read, delete = Worker.read_passages, Worker.delete_silent

    def stop_after_both(name: str, done: int) -> int:
        found.setdefault(name, done)
        if len(found) == 2:
            stop.set()
        return done

    monkeypatch.setattr(Worker, "read_passages", lambda w: stop_after_both("passages", read(w)))
    monkeypatch.setattr(Worker, "delete_silent", lambda w: stop_after_both("silent", delete(w)))
    run(settings, stop, now=lambda: NOW)
    assert found["passages"] > 1
    assert found["silent"] == 1


def test_a_database_of_an_earlier_version_is_told_at_the_start(settings: Settings) -> None:
    upgrade(settings.database_url, MIGRATIONS, "0001")
    with pytest.raises(StorageError, match="trefoil customer-service db upgrade"):
        run(settings, threading.Event())


def test_calls_to_chatwoot_that_failed_are_made_again_by_one_worker(
    make_worker: Callable[..., Worker], engine: Engine
) -> None:
    class Letters:
        def __init__(self) -> None:
            self.waiting = 3

        def send_due(self) -> int:
            sent, self.waiting = min(self.waiting, 2), max(self.waiting - 2, 0)
            return sent

    letters = Letters()
    worker = make_worker()
    assert worker.send_letters() == 0, "none is set up"
    worker._courier = letters  # type: ignore[assignment]
    with session_factory(engine).begin() as session:
        assert acquire(session, leases, "chatwoot", "other", now=NOW, ttl=timedelta(minutes=5))
    assert (worker.send_letters(), letters.waiting) == (0, 3)
    with session_factory(engine).begin() as session:
        session.execute(leases.delete())
    assert (worker.send_letters(), letters.waiting) == (3, 0)
