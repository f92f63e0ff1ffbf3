"""How do the stories of before get the labels of the model that is live now?

In the background, newest first, batch by batch: each batch is a transaction of its own, and what is
left is found by the version that a story carries, so a kill costs one batch at most. Stories that
wait for their first label go first. What people said, and labels that came with a story, stay. One
worker at a time does it (a lease), and a story that was edited or corrected while the model read
it keeps what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from sqlalchemy import Row, desc, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.schedule import Exclusive
from services.finance_sentiment.company_store import write_companies
from services.finance_sentiment.domain import GIVEN, PENDING, PERSON, story_text
from services.finance_sentiment.duplicates import WINDOW
from services.finance_sentiment.entities import companies_of
from services.finance_sentiment.intake import one_at_a_time
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading, keep_vector
from services.finance_sentiment.store import write_labels
from services.finance_sentiment.tables import leases, relabellings, stories

LEASE: Final = "relabel"
_NO_MODEL: Final = frozenset({GIVEN, PERSON})


@dataclass(frozen=True)
class Reader:
    """The live model: its version, and what it says of texts."""

    version: str
    read: Callable[[Sequence[str]], Reading]


@dataclass(frozen=True)
class Relabeller:
    """`days`: how far back, 0 for never. `reader` gives the model that is live at that moment,
    None where there is none."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    owner: str
    days: float
    batch: int
    reader: Callable[[], Reader | None]
    # None where no list of companies is set.
    linker: CompanyLinker | None = None

    def run(self, stop: Event) -> int:
        """Relabel until nothing is left, a story waits for its first label, or `stop`; how many
        stories were read."""
        if not self.days:
            return 0
        alone = Exclusive(self.sessions, leases, self.owner, self.now, stop)
        return alone.repeat(LEASE, self._portion)

    def _portion(self) -> int:
        reader = self.reader()
        if reader is None:
            return 0
        with self.sessions() as session:
            if _any_waits(session):
                return 0
            batch = _batch(session, reader.version, self._since(), self.batch)
        if not batch:
            with self.sessions.begin() as session:
                _finish(session, reader.version, self.now())
            return 0
        # The model runs outside of any transaction.
        texts = [story_text(row.title, row.summary) for row in batch]
        reading, named = companies_of(self.linker, texts, reader.read)
        with self.sessions.begin() as session:
            one_at_a_time(session)
            ids = [row.id for row in batch]
            labelled = zip(ids, reading.labels, strict=True)
            written = write_labels(session, labelled, self.now(), again=True)
            if self.linker is not None:
                linked = {i: of for i, of in zip(ids, named, strict=True) if i in written}
                write_companies(session, linked, self.linker.version)
            self._keep_vectors(session, [row for row in batch if row.id in written], reading, batch)
            _count(session, reader.version, len(written), self.now())
        # A batch that is all edited or corrected meanwhile is done as well.
        return len(batch)

    def _keep_vectors(
        self, session: Session, rows: list[Row[Any]], reading: Reading, batch: list[Row[Any]]
    ) -> None:
        """What comes in is compared with the stories of the last days, by one model."""
        if reading.vectors is None:
            return
        place = {row.id: at for at, row in enumerate(batch)}
        for row in rows:
            vector = reading.vectors[place[row.id]]
            if row.published_at >= self.now() - 2 * WINDOW and vector.any():
                version = reading.labels[0].model_version
                keep_vector(session, row.id, version, row.published_at, vector)

    def _since(self) -> datetime:
        return self.now() - timedelta(days=self.days)


def other_versions(session: Session, version: str) -> list[str]:
    """All models but this one whose labels stories carry."""
    found: list[str] = []
    last: str | None = ""
    while True:
        # One step down the index each, however many stories there are.
        query = select(func.min(stories.c.model_version)).where(stories.c.model_version > last)
        last = session.execute(query).scalar_one()
        if last is None:
            return found
        if last != version and last not in _NO_MODEL:
            found.append(last)


def _any_waits(session: Session) -> bool:
    waiting = select(stories.c.id).where(stories.c.state == PENDING).limit(1)
    return session.execute(waiting).first() is not None


def _batch(session: Session, version: str, since: datetime, limit: int) -> list[Row[Any]]:
    """The newest stories that carry the label of another model."""
    columns = (stories.c.id, stories.c.title, stories.c.summary, stories.c.published_at)
    rows: list[Row[Any]] = []
    for other in other_versions(session, version):
        query = (
            select(*columns)
            .where(stories.c.model_version == other, stories.c.published_at >= since)
            .order_by(desc(stories.c.published_at))
            .limit(limit)
        )
        rows += session.execute(query)
    return sorted(rows, key=lambda row: row.published_at, reverse=True)[:limit]


# --- how far it is -----------------------------------------------------------------------------


def _latest(session: Session) -> Row[Any] | None:
    query = select(relabellings).order_by(relabellings.c.id.desc()).limit(1)
    return session.execute(query).first()


def _count(session: Session, version: str, done: int, now: datetime) -> None:
    run = _latest(session)
    if run is None or run.model_version != version or run.finished_at is not None:
        values = {"model_version": version, "started_at": now, "relabelled": done}
        session.execute(insert(relabellings).values(values))
        return
    more = {"relabelled": relabellings.c.relabelled + done}
    session.execute(update(relabellings).where(relabellings.c.id == run.id).values(more))


def _finish(session: Session, version: str, now: datetime) -> None:
    mine = (relabellings.c.model_version == version) & relabellings.c.finished_at.is_(None)
    session.execute(update(relabellings).where(mine).values(finished_at=now))


def finished_at(session: Session, version: str) -> datetime | None:
    """When the stories of before last had all got the labels of this model; None where they never
    had to, or have not yet."""
    query = select(func.max(relabellings.c.finished_at))
    mine = query.where(relabellings.c.model_version == version)
    last: datetime | None = session.execute(mine).scalar_one()
    return last


def newest_of_others(session: Session, version: str) -> datetime | None:
    """When the newest story was published that carries the label of another model."""
    newest = [
        session.execute(
            select(func.max(stories.c.published_at)).where(stories.c.model_version == other)
        ).scalar_one()
        for other in other_versions(session, version)
    ]
    return max(newest, default=None)


def progress_of(session: Session, version: str, days: float, now: datetime) -> dict[str, Any]:
    """For people: how many stories of the last `days` still carry another model's label, how many
    older ones do and will go on to, and the last run."""
    since = now - timedelta(days=days)
    left = older = 0
    for other in other_versions(session, version) if version else ():
        query = select(func.count()).where(stories.c.model_version == other)
        inside = int(session.execute(query.where(stories.c.published_at >= since)).scalar_one())
        left += inside
        older += int(session.execute(query).scalar_one()) - inside
    run = _latest(session)
    return {
        "model_version": version or None,
        "days": days,
        "left": left,
        "older": older,
        "last": None if run is None else {k: v for k, v in run._mapping.items() if k != "id"},
    }
