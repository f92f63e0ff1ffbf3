"""How is a channel's next message claimed in its order, and what is shown of all of them?

Messages of one channel go one after the other. One that tells of an end waits for the one that told
of the start: until that has arrived, or is given up. Given up, it may have arrived all the same (a
time-out does not tell), and an end too many does no harm, while an incident that nobody closes
does. Whoever revives a message about a start has the end told again after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from core.db.outbox import DEAD, PENDING, SENT, Message, due, prune, revive
from core.db.statements import rows_changed
from core.errors import NotFound
from services.finance_sentiment.delivery import FIRING, RESOLVED
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.tables import outbox, tellings

STATES = (PENDING, SENT, DEAD)
_LOOKED_AT = 100


def claim_next(session: Session, channel: str, now: datetime) -> Message | None:
    """The message that goes to this channel now, None where none is due. Commit before sending."""
    _hold_back(session, channel, now)
    claimed = due(session, outbox, now, kind=channel, limit=1)
    return claimed[0] if claimed else None


def _hold_back(session: Session, channel: str, now: datetime) -> None:
    """Let what tells of an end be due no earlier than what told of its start."""
    query = (
        select(outbox.c.id, outbox.c.payload, outbox.c.due_at)
        .where(outbox.c.kind == channel, outbox.c.state == PENDING, outbox.c.due_at <= now)
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(_LOOKED_AT)
    )
    for row in session.execute(query).all():
        first = outbox.c.idempotency_key == (row.payload["after"] or "")
        waiting = select(outbox.c.due_at).where(first, outbox.c.state == PENDING)
        until = session.execute(waiting).scalar_one_or_none()
        # At the same moment the lower id comes first, and the start is written first.
        if until is not None and until > row.due_at:
            session.execute(update(outbox).where(outbox.c.id == row.id).values(due_at=until))


def rest(session: Session, channel: str, until: datetime) -> None:
    """Let the channel alone until then."""
    waiting = (outbox.c.kind == channel) & (outbox.c.state == PENDING) & (outbox.c.due_at < until)
    session.execute(update(outbox).where(waiting).values(due_at=until))


def channels_with_due(session: Session, now: datetime) -> set[str]:
    """The names of the channels that something is due for."""
    query = select(outbox.c.kind).where(outbox.c.state == PENDING, outbox.c.due_at <= now)
    return set(session.execute(query.distinct()).scalars())


def tidy(
    session: Session, channels: Sequence[str], *, sent_before: datetime, orphaned_before: datetime
) -> int:
    """Forget what was sent before that moment, and give up what waits since before the other one
    for a channel that is no longer listed; how many messages that were."""
    orphaned = (
        (outbox.c.state == PENDING)
        & outbox.c.kind.not_in(list(channels))
        & (outbox.c.created_at < orphaned_before)
    )
    reason = "there is no channel of this name any more"
    burying = update(outbox).where(orphaned).values(state=DEAD, last_error=reason)
    return rows_changed(session, burying) + prune(session, outbox, sent_before)


def page_of_deliveries(
    session: Session,
    *,
    state: str | None,
    channel: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[Row[Any]], str | None]:
    """A page, newest first, and the cursor of the next one."""
    query = select(outbox)
    if state is not None:
        query = query.where(outbox.c.state == state)
    if channel is not None:
        query = query.where(outbox.c.kind == channel)
    return newest_page(session, query, (outbox.c.created_at, outbox.c.id), limit, cursor)


def shown_delivery(row: Row[Any]) -> dict[str, Any]:
    """A message as it is listed."""
    note = row.payload["note"]
    return {
        "id": row.id,
        "channel": row.kind,
        "subject": row.payload["subject"],
        "event": note["event"],
        "summary": note["summary"],
        "state": row.state,
        "attempts": row.attempts,
        "max_attempts": row.max_attempts,
        "created_at": row.created_at,
        "due_at": row.due_at if row.state == PENDING else None,
        "sent_at": row.sent_at,
        "last_error": row.last_error,
        "idempotency_key": row.idempotency_key,
    }


def retry(session: Session, message_id: int, now: datetime) -> None:
    """Send a dead message after all, and after one about a start the one about its end once more.
    NotFound where there is no such dead message."""
    row = session.execute(select(outbox).where(outbox.c.id == message_id)).first()
    if row is None:
        raise NotFound(f"there is no message {message_id}")
    revive(session, outbox, message_id, now)
    if row.payload["note"]["event"] != FIRING:
        return
    following = row.idempotency_key.removesuffix(FIRING) + RESOLVED
    again = {"state": PENDING, "attempts": 0, "due_at": now, "sent_at": None}
    ending = outbox.c.idempotency_key == following
    if not rows_changed(session, update(outbox).where(ending).values(again)):
        # It was sent so long ago that it is forgotten: the next look writes it anew.
        mine = (tellings.c.subject == row.payload["subject"]) & (tellings.c.channel == row.kind)
        session.execute(update(tellings).where(mine).values(ended_at=None))
