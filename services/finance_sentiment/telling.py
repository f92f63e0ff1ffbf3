"""How do alerts and outages become messages in the outbox?

`Teller.tell` is called in the very transaction that opens or resolves an alert, and again by the
tick `deliver` for what no such transaction sees (a silence that ended, a channel that was added).
What each channel was told stands in the table `tellings`; a message and its telling are written
together, so a crash loses neither and doubles none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.orm import Session

from core.db.outbox import enqueue
from core.db.statements import insert_or_ignore, rows_changed
from services.finance_sentiment.channels import Channel, read_channels
from services.finance_sentiment.delivery import (
    FIRING,
    NEWS,
    Due,
    Subject,
    Telling,
    due_messages,
)
from services.finance_sentiment.life import NO_DATA, News
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.silence_store import open_silences
from services.finance_sentiment.silences import alert_labels
from services.finance_sentiment.store import carried_by
from services.finance_sentiment.tables import alerts, outages, outbox, stories, tellings
from services.finance_sentiment.wording import (
    MAX_HEADLINES,
    Headline,
    Note,
    alert_note,
    headline,
    outage_note,
)

_ALERT, _OUTAGE = "alert", "outage"
# Bound parameters of one statement: SQLite takes no more than some hundreds everywhere.
_AT_ONCE = 500


@dataclass(frozen=True)
class Teller:
    """Writes messages for these channels; `home` is PUBLIC_URL."""

    channels: Sequence[Channel] = ()
    home: str = ""

    def tell(self, session: Session, now: datetime) -> int:
        """Write all that is due; how many messages that were. Within the caller's transaction."""
        return sum(self._write(session, due, now) for due in self.due(session, now))

    def due(self, session: Session, now: datetime) -> list[Due]:
        """What is due now; nothing is written."""
        if not self.channels:
            return []
        subjects = _subjects(session, now)
        told = _told(session, [subject.key for subject in subjects])
        return due_messages(subjects, told, self.channels, open_silences(session, now), now)

    def still_firing(self, session: Session, channel: str) -> list[Note]:
        """What this channel was told as firing and not yet as over, as it stands now."""
        query = select(tellings.c.subject).where(
            tellings.c.channel == channel, tellings.c.ended_at.is_(None)
        )
        keys = sorted(session.execute(query).scalars())
        found = (self._row(session, key) for key in keys)
        return [
            self._note(session, key, row, FIRING)
            for key, row in zip(keys, found, strict=True)
            if row is not None
        ]

    def _write(self, session: Session, due: Due, now: datetime) -> bool:
        if not _record(session, due, now):
            return False  # another worker was faster
        row = self._row(session, due.subject.key)
        assert row is not None, "what is due was read in this transaction"
        note = self._note(session, due.subject.key, row, due.event)
        return enqueue(
            session,
            outbox,
            kind=due.channel,
            payload={"subject": due.subject.key, "after": due.after, "note": note.to_json()},
            idempotency_key=due.key,
            now=now,
        )

    def _row(self, session: Session, key: str) -> Row[Any] | None:
        kind, _, number = key.partition(":")
        table = alerts if kind == _ALERT else outages
        return session.execute(select(table).where(table.c.id == int(number))).first()

    def _note(self, session: Session, key: str, row: Row[Any], event: Any) -> Note:
        if key.startswith(_OUTAGE):
            return outage_note(row._asdict(), event, self.home)
        return alert_note(row._asdict(), _headlines(session, row), event, self.home)


NOBODY = Teller()


def teller_of(settings: Settings, environment: Mapping[str, str]) -> Teller:
    """As it is set up; `environment` holds the secrets that the list of channels names."""
    channels = read_channels(settings.channels, environment) if settings.channels else ()
    return Teller(channels, settings.public_url)


def note_outage(session: Session, news: News, reason: str, now: datetime) -> None:
    """Keep that no feed answers, or that one does again."""
    running = outages.c.ended_at.is_(None)
    if news != NO_DATA:
        session.execute(update(outages).where(running).values(ended_at=now))
    elif session.execute(select(outages.c.id).where(running)).first() is None:
        session.execute(insert(outages).values(started_at=now, reason=reason[:200]))


def _record(session: Session, due: Due, now: datetime) -> bool:
    """Keep that the channel is told; False where it is kept already."""
    mine = (tellings.c.subject == due.subject.key) & (tellings.c.channel == due.channel)
    if due.event != FIRING:
        running = tellings.c.ended_at.is_(None) & (tellings.c.round == due.round)
        return rows_changed(session, update(tellings).where(mine, running).values(ended_at=now)) > 0
    values = {"round": due.round, "told_at": now, "ended_at": None}
    if due.round == 1:
        named = {"subject": due.subject.key, "channel": due.channel}
        return insert_or_ignore(session, tellings, named | values)
    before = tellings.c.ended_at.is_not(None) & (tellings.c.round == due.round - 1)
    return rows_changed(session, update(tellings).where(mine, before).values(values)) > 0


def _subjects(session: Session, now: datetime) -> list[Subject]:
    """What is open, what somebody takes for open, and what was found right now."""
    running = set(
        session.execute(select(tellings.c.subject).where(tellings.c.ended_at.is_(None))).scalars()
    )
    of_alerts, of_outages = _numbers(running, _ALERT), _numbers(running, _OUTAGE)
    seen = or_(alerts.c.resolved_at.is_(None), alerts.c.raised_at == now)
    names = ("id", "topic", "detector", "started_at", "raised_at", "resolved_at", "is_test")
    columns = [alerts.c[name] for name in names]
    rows = {row.id: row for row in session.execute(select(*columns).where(seen))}
    for part in _parts([number for number in of_alerts if number not in rows]):
        query = select(*columns).where(alerts.c.id.in_(part))
        rows |= {row.id: row for row in session.execute(query)}
    found = [
        Subject(
            f"{_ALERT}:{row.id}",
            alert_labels(row.topic, row.detector, test=row.is_test),
            row.started_at,
            row.raised_at,
            row.resolved_at,
        )
        for row in sorted(rows.values(), key=lambda row: (row.raised_at, row.id))
    ]
    open_ones = or_(outages.c.ended_at.is_(None), outages.c.id.in_(of_outages[:_AT_ONCE]))
    for row in session.execute(select(outages).where(open_ones).order_by(outages.c.id)):
        labels = alert_labels("", NEWS, test=False)
        key = f"{_OUTAGE}:{row.id}"
        found.append(Subject(key, labels, row.started_at, row.started_at, row.ended_at))
    return found


def _told(session: Session, keys: Sequence[str]) -> dict[tuple[str, str], Telling]:
    found: dict[tuple[str, str], Telling] = {}
    for part in _parts(keys):
        for row in session.execute(select(tellings).where(tellings.c.subject.in_(part))):
            found[row.subject, row.channel] = Telling(row.round, row.ended_at is not None)
    return found


def _headlines(session: Session, alert: Row[Any]) -> list[Headline]:
    """The strongest stories behind an alert: those that the explanation puts first, else the surest
    of the negative ones."""
    explained = (alert.explanation or {}).get("stories", [])[:MAX_HEADLINES]
    if explained:
        links = _links(session, [story["id"] for story in explained])
        return [headline(s["title"], links.get(s["id"], ""), s["sources"]) for s in explained]
    query = (
        select(stories.c.id, stories.c.title, stories.c.url)
        .where(stories.c.id.in_(alert.story_ids[:_AT_ONCE]))
        .order_by(stories.c.p_negative.desc().nulls_last(), stories.c.id)
        .limit(MAX_HEADLINES)
    )
    rows = list(session.execute(query))
    carried = carried_by(session, [row.id for row in rows])
    return [headline(row.title, row.url, carried[row.id]) for row in rows]


def _links(session: Session, ids: Sequence[int]) -> Mapping[int, str]:
    query = select(stories.c.id, stories.c.url).where(stories.c.id.in_(ids))
    return {row.id: row.url for row in session.execute(query)}


def _numbers(keys: Iterable[str], kind: str) -> list[int]:
    said = (key.partition(":") for key in keys)
    return sorted(int(number) for found, _, number in said if found == kind)


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
