"""How do files get into the database, into the index, and into files for training?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.progress import SILENT, Progress
from services.customer_service.answers import Intent, Slot
from services.customer_service.content import ContentStore
from services.customer_service.importers.answers import read_answers
from services.customer_service.importers.articles import read_articles
from services.customer_service.importers.questions import read_questions
from services.customer_service.importers.rasa.read import read_rasa
from services.customer_service.importers.report import Report
from services.customer_service.importers.training import Training, write_training
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS


@dataclass(frozen=True)
class _Sources:
    answers: Path | None
    articles: Path | None
    questions: Path | None
    rasa: Path | None


@dataclass
class _Gathered:
    """What all sources say, put upon what is there; `named` is what any of them names."""

    intents: dict[str, Intent]
    slots: dict[str, Slot]
    named_intents: dict[str, None] = field(default_factory=dict)
    named_slots: dict[str, None] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    report: Report = field(default_factory=Report)

    def put(self, intents: Iterable[Intent], slots: Iterable[Slot], *, merge: bool) -> None:
        """With `merge`, what a source does not say stays as it is."""
        for slot in slots:
            old_slot = self.slots.get(slot.name) if merge else None
            self.slots[slot.name] = slot if old_slot is None else _merged_slot(old_slot, slot)
            self.named_slots[slot.name] = None
        for intent in intents:
            old = self.intents.get(intent.name) if merge else None
            self.intents[intent.name] = intent if old is None else _merged(old, intent)
            self.named_intents[intent.name] = None


def run_import(
    settings: Settings,
    *,
    answers: Path | None,
    articles: Path | None,
    questions: Path | None = None,
    rasa: Path | None = None,
    training_output: Path | None = None,
    now: Callable[[], datetime],
    progress: Progress = SILENT,
) -> Report:
    """Import what is given; what is there already and the same changes nothing.

    Files are read whole before anything is written. Nothing is ever deleted. Questions and their
    entities are written into the folder `training_output`, if one is named.
    """
    engine = make_engine(settings.database_url)
    try:
        upgrade(engine, MIGRATIONS)
        store = ContentStore(session_factory(engine), session_factory(engine, read_only=True))
        sources = _Sources(answers, articles, questions, rasa)
        report, training = _import(store, sources, now())
        if training_output is not None:
            wrote, report.next_steps = write_training(training, training_output)
            report.counts += wrote
        _read_ahead(store, settings, progress)
        return report
    finally:
        engine.dispose()


def _import(store: ContentStore, sources: _Sources, now: datetime) -> tuple[Report, Training]:
    book = store.book()
    gathered = _Gathered(dict(book.intents), dict(book.slots))
    report = gathered.report
    _gather(sources, gathered)
    articles = None if sources.articles is None else read_articles(sources.articles)
    if sources.answers or sources.questions or sources.rasa:
        intents, slots = store.put_answers(
            [gathered.intents[name] for name in gathered.named_intents],
            [gathered.slots[name] for name in gathered.named_slots],
            now,
        )
        report.changes |= {"slots": slots, "intents": intents}
    if articles is not None:
        report.changes["articles"] = store.put_articles(articles.articles, now)
        report.left_out += articles.left_out
    return report, gathered.training


def _gather(sources: _Sources, gathered: _Gathered) -> None:
    report = gathered.report
    if sources.answers is not None:
        answers = read_answers(sources.answers, gathered.slots)
        gathered.put(answers.intents, answers.slots, merge=False)
        report.left_out += answers.left_out
    if sources.questions is not None:
        questions = read_questions(sources.questions, gathered.slots)
        gathered.put(questions.intents, (), merge=True)
        gathered.training.add(questions.training)
        report.left_out += questions.left_out
    if sources.rasa is not None:
        rasa = read_rasa(sources.rasa, gathered.slots)
        gathered.put(rasa.intents, rasa.slots, merge=True)
        gathered.training.add(rasa.training)
        report.counts += rasa.counts
        report.otherwise += rasa.otherwise
        report.left_out += rasa.left_out


def _merged(old: Intent, new: Intent) -> Intent:
    """What the import says, and what it does not say as it was; a language at a time."""
    return replace(
        old,
        description={**new.description, **old.description},
        answers={**old.answers, **new.answers},
        quick_replies={**old.quick_replies, **new.quick_replies},
        cases=new.cases or old.cases,
        form=new.form or old.form,
    )


def _merged_slot(old: Slot, new: Slot) -> Slot:
    return replace(new, ask={**old.ask, **new.ask})


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
