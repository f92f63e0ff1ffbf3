"""How is kept what a company taught: intents, slots, articles, and the vectors of their texts?

Each change raises the one version number in its own transaction. Writes of what is there already
change nothing, so an import can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row, Table, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore
from core.errors import NotFound
from services.customer_service import tables
from services.customer_service.answers import AnswerBook, Case, Intent, QuickReply, Slot
from services.customer_service.answers_reading import as_mapping
from services.customer_service.articles import Article
from services.customer_service.forms_reading import read_call, read_form

Change = Literal["new", "changed", "unchanged"]
FloatArray = npt.NDArray[np.float32]

_MANY = 500  # rows of one IN (…): every database takes so many


@dataclass(frozen=True)
class Taught:
    """Everything, at one version."""

    version: int
    book: AnswerBook
    articles: tuple[Article, ...]


class ContentStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def version(self) -> int:
        """The number that rises with each change: one row by its key."""
        with self._readers() as session:
            return _version(session)

    def read(self) -> Taught:
        """All of it, as one transaction sees it."""
        with self._readers() as session:
            version = _version(session)
            book = _book(session)
            rows = session.execute(select(tables.articles).order_by(tables.articles.c.article_id))
            return Taught(version, book, tuple(_article(row) for row in rows))

    def book(self) -> AnswerBook:
        """Intents and slots."""
        with self._readers() as session:
            return _book(session)

    def intent(self, name: str) -> Intent:
        """One intent; NotFound."""
        with self._readers() as session:
            row = _find(session, tables.intents, name)
        if row is None:
            raise NotFound("there is no intent of this name", mend="PUT one here, or import it.")
        return _intent(row)

    def article(self, article_id: str) -> Article:
        """One article; NotFound."""
        with self._readers() as session:
            row = _find(session, tables.articles, article_id)
        if row is None:
            raise NotFound("there is no article of this id", mend="PUT one here, or import it.")
        return _article(row)

    def put_answers(
        self, intents: Iterable[Intent], slots: Iterable[Slot], now: datetime
    ) -> tuple[dict[str, Change], dict[str, Change]]:
        """Store intents and slots, all or none; (intents, slots): name → what changed."""
        with self._sessions.begin() as session:
            _take_turns(session)
            of_slots = {s.name: _put(session, tables.slots, _slot_row(s), now) for s in slots}
            of_intents = {
                i.name: _put(session, tables.intents, _intent_row(i), now) for i in intents
            }
            _raise_version(session, [*of_slots.values(), *of_intents.values()])
        return of_intents, of_slots

    def put_articles(self, articles: Iterable[Article], now: datetime) -> dict[str, Change]:
        """Store articles; id → what changed. All of them or none."""
        with self._sessions.begin() as session:
            _take_turns(session)
            changes = {
                a.article_id: _put(session, tables.articles, _article_row(a), now) for a in articles
            }
            _raise_version(session, changes.values())
        return changes

    def vectors(self, encoder_id: str, digests: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors that are known, (width,) float32 each."""
        found: dict[str, FloatArray] = {}
        table = tables.vectors
        with self._readers() as session:
            for start in range(0, len(digests), _MANY):
                some = digests[start : start + _MANY]
                query = select(table.c.digest, table.c.vector).where(
                    table.c.encoder_id == encoder_id, table.c.digest.in_(some)
                )
                for digest, vector in session.execute(query):
                    found[digest] = np.frombuffer(vector, dtype="<f2").astype(np.float32)
        return found

    def put_vectors(self, encoder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        """Store vectors by digest; one that is there already stays."""
        with self._sessions.begin() as session:
            for digest, vector in vectors.items():
                stored = vector.astype("<f2").tobytes()
                values = {"encoder_id": encoder_id, "digest": digest, "vector": stored}
                insert_or_ignore(session, tables.vectors, values)


def _version(session: Session) -> int:
    table = tables.content_version
    return int(session.execute(select(table.c.version).where(table.c.id == 1)).scalar_one())


def _take_turns(session: Session) -> None:
    """Two writers of content wait for each other; SQLite does so by itself."""
    table = tables.content_version
    # One row alone: two writers that lock several, each in its own order, would wait for ever.
    session.execute(select(table).where(table.c.id == 1).with_for_update()).all()


def _raise_version(session: Session, changes: Iterable[Change]) -> None:
    if any(change != "unchanged" for change in changes):
        table = tables.content_version
        session.execute(update(table).where(table.c.id == 1).values(version=table.c.version + 1))


def _put(session: Session, table: Table, values: dict[str, Any], now: datetime) -> Change:
    key = next(iter(table.primary_key.columns))
    row = _find(session, table, values[key.name])
    if row is None:
        session.execute(insert(table).values(**values, updated_at=now))
        return "new"
    if all(row._mapping[name] == value for name, value in values.items()):
        return "unchanged"
    changed = update(table).where(key == values[key.name]).values(**values, updated_at=now)
    session.execute(changed)
    return "changed"


def _find(session: Session, table: Table, name: str) -> Row[Any] | None:
    key = next(iter(table.primary_key.columns))
    return session.execute(select(table).where(key == name)).one_or_none()


def _book(session: Session) -> AnswerBook:
    intents = [_intent(row) for row in session.execute(select(tables.intents))]
    slots = [_slot(row) for row in session.execute(select(tables.slots))]
    return AnswerBook({i.name: i for i in intents}, {s.name: s for s in slots})


def _intent_row(intent: Intent) -> dict[str, Any]:
    return {"name": intent.name, "form": None, "call": None, **as_mapping(intent)}


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        name=row.name,
        description=row.description,
        **_said(dict(row._mapping)),
        handoff=row.handoff,
        cases=tuple(
            Case(case["when"]["channel"], case["when"]["slots"], **_said(case))
            for case in row.cases
        ),
        form=None if row.form is None else read_form(row.form),
        call=None if row.call is None else read_call(row.call),
    )


def _said(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `as_mapping` made of texts and quick replies, as it was before."""
    return {
        "answers": {language: tuple(texts) for language, texts in stored["answers"].items()},
        "without_slots": {
            language: tuple(texts) for language, texts in stored["without_slots"].items()
        },
        "quick_replies": {
            language: tuple(
                QuickReply(r, r) if isinstance(r, str) else QuickReply(r["title"], r["payload"])
                for r in replies
            )
            for language, replies in stored["quick_replies"].items()
        },
    }


def _slot_row(slot: Slot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "pattern": slot.pattern,
        "ask": dict(slot.ask),
        "synonyms": dict(slot.synonyms),
        "kind": slot.kind,
        "options": {"values": list(slot.values), "currency": slot.currency, "past": slot.past},
    }


def _slot(row: Row[Any]) -> Slot:
    return Slot(
        row.name,
        row.pattern,
        row.ask,
        row.synonyms,
        kind=row.kind,
        values=tuple(row.options.get("values", ())),
        currency=row.options.get("currency", ""),
        past=row.options.get("past", False),
    )


def _article_row(article: Article) -> dict[str, Any]:
    return {
        "article_id": article.article_id,
        "title": article.title,
        "url": article.url,
        "language": article.language,
        "tags": list(article.tags),
        "body": article.body,
    }


def _article(row: Row[Any]) -> Article:
    return Article(
        article_id=row.article_id,
        title=row.title,
        body=row.body,
        url=row.url,
        language=row.language,
        tags=tuple(row.tags),
    )
