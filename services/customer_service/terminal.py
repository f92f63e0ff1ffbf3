"""How does the terminal talk to the bot? Through the very service that answers over HTTP.

`talking` starts the whole app in this process, without a port, and hands messages to its Replier:
whatever app.py chooses is what speaks here. `scratch` gives settings of a service that is thrown
away afterwards: the answers and articles of the real one, or of files, and no conversation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from sqlalchemy import delete, insert, select

from core.artifacts import Registry
from core.db.engine import make_engine
from core.db.migrations import ensure_current, upgrade
from core.progress import SILENT, Progress
from core.text import normalize
from services.customer_service import tables
from services.customer_service.app import create_app
from services.customer_service.importers.run import run_import
from services.customer_service.knowledge import Found
from services.customer_service.settings import Settings
from services.customer_service.situation import Message
from services.customer_service.understanding import KIND, IntentModel, Understood

# What a company taught. Conversations, keys and what must be sent stay where they are.
_TAUGHT: Final = (
    tables.content_version,
    tables.intents,
    tables.slots,
    tables.articles,
    tables.vectors,
    tables.examples,
    tables.business_hours,
)
_ROWS: Final = 500


@dataclass(frozen=True)
class Explained:
    """One message read on its own: what the model and the articles say of it."""

    understood: Understood
    threshold: float
    found: Found


class Clock:
    """A clock that stands still until somebody moves it; `start` (UTC), None is now."""

    def __init__(self, start: datetime | None = None) -> None:
        self._moment = datetime.now(UTC) if start is None else start.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The moment it shows."""
        return self._moment

    def go_on(self) -> None:
        """A minute later."""
        self._moment += timedelta(minutes=1)


class Talk:
    """The running service, for a thread that is not its own."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        self._portal = portal
        self._state = app.state

    def send(self, message: Message) -> dict[str, Any]:
        """The body of the answer, stored; raises what the Replier raises."""
        return self._portal.call(self._state.replier.reply, message)

    def model(self) -> IntentModel:
        """The live model; NotReady without one."""
        model: IntentModel = self._state.models.current()
        return model

    def explain(self, text: str) -> Explained:
        """What is made of a text that no turn came before."""
        return self._portal.call(self._explain, text)

    def taught(self) -> tuple[int, int]:
        """How many intents with an answer, and how many articles there are."""
        copy = self._state.live.current()
        passages = copy.knowledge.passages.values()
        return len(copy.book.hands_off), len({passage.article_id for passage in passages})

    async def _explain(self, text: str) -> Explained:
        text = normalize(text)
        model, copy, reader = self.model(), self._state.live.current(), self._state.reader
        understood = await reader.understand(model, text)
        embedding = None
        if copy.searcher is not None:
            embedding = await reader.embed(copy.searcher, text)
        return Explained(understood, model.rule.threshold, copy.knowledge.search(text, embedding))


@contextmanager
def talking(
    settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Talk]:
    """The service, started and in the end stopped."""
    # No port is opened, so nobody else may call.
    app = create_app(settings.replace(host="127.0.0.1"), now=now)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        yield Talk(portal, app)


@contextmanager
def with_model(settings: Settings, model: Path | None) -> Iterator[Settings]:
    """The same service with the model of this folder; None: with its own."""
    if model is None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="trefoil-") as folder:
        Registry(Path(folder), KIND).promote(model)
        yield settings.replace(models_dir=Path(folder))


@contextmanager
def scratch(
    settings: Settings,
    *,
    answers: Path | None = None,
    articles: Path | None = None,
    outside: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Settings]:
    """A service with a database of its own that is deleted in the end, and the same models.

    It knows what the files say; where neither is named, what the real database says. Help desks
    hear nothing of it; webhooks and the language model are asked with `outside` alone.
    """
    with tempfile.TemporaryDirectory(prefix="trefoil-") as folder:
        own = settings.replace(
            var_dir=Path(folder),
            database_url=f"sqlite:///{Path(folder) / 'scratch.db'}",
            models_dir=settings.models_dir,
            chatwoot_url="",
            chatwoot_token="",
            chatwoot_secret="",
        )
        if not outside:
            own = own.replace(action_urls=(), generation_url="")
        if answers is None and articles is None:
            _copy_taught(settings, own)
        run_import(
            own,
            answers=answers,
            articles=articles,
            now=lambda: datetime.now(UTC),
            progress=progress,
        )
        yield own


def _copy_taught(source: Settings, target: Settings) -> None:
    old, new = make_engine(source.database_url), make_engine(target.database_url)
    try:
        ensure_current(old, tables.MIGRATIONS, command=source.command)
        upgrade(new, tables.MIGRATIONS)
        with old.connect() as reading, new.begin() as writing:
            for table in _TAUGHT:
                # The migrations put a first version number in.
                writing.execute(delete(table))
                for rows in reading.execute(select(table)).mappings().partitions(_ROWS):
                    writing.execute(insert(table), [dict(row) for row in rows])
    finally:
        old.dispose()
        new.dispose()


def plain(text: str) -> str:
    """Text for a terminal: what would move the cursor or change colours becomes a sign."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
