"""How do files get into the database, and into the index?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.progress import SILENT, Progress
from services.customer_service.content import ContentStore
from services.customer_service.importers.answers import read_answers
from services.customer_service.importers.articles import read_articles
from services.customer_service.importers.report import Report
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS


def run_import(
    settings: Settings,
    *,
    answers: Path | None,
    articles: Path | None,
    now: Callable[[], datetime],
    progress: Progress = SILENT,
) -> Report:
    """Import what is given; what is there already and the same changes nothing.

    Files are read whole before anything is written. Nothing is ever deleted.
    """
    engine = make_engine(settings.database_url)
    try:
        upgrade(engine, MIGRATIONS)
        store = ContentStore(session_factory(engine), session_factory(engine, read_only=True))
        report = _import(store, answers, articles, now())
        _read_ahead(store, settings, progress)
        return report
    finally:
        engine.dispose()


def _import(
    store: ContentStore, answers: Path | None, articles: Path | None, now: datetime
) -> Report:
    report = Report()
    read_a = None if answers is None else read_answers(answers, store.book().slots)
    read_b = None if articles is None else read_articles(articles)
    if read_a is not None:
        intents, slots = store.put_answers(read_a.intents, read_a.slots, now)
        report.changes |= {"slots": slots, "intents": intents}
        report.left_out += read_a.left_out
    if read_b is not None:
        report.changes["articles"] = store.put_articles(read_b.articles, now)
        report.left_out += read_b.left_out
    return report


def _read_ahead(store: ContentStore, settings: Settings, progress: Progress) -> None:
    """Encode the passages now, so that a server starts with all of them."""
    from services.customer_service.live import Live
    from services.customer_service.understanding import KIND, IntentModel

    active = Registry(settings.models_dir, KIND).active()
    if active is None:
        return
    searcher = IntentModel.load(active.path, threads=settings.threads, check=False).searcher
    live = Live(store)
    live.refresh(searcher)
    live.catch_up(searcher, progress=progress)
