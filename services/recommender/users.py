"""Who is whom, what is kept of somebody, and how are they forgotten?

`merge` says that an anonymous session, or another id, is a user: the events of it that are here
get the user's id, and later ones get it as they come (`owners` of event_rows.py), so every
process sees one history. `erase` takes a user's events away, tells the counters, and keeps only
that it happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import rows_changed
from core.errors import Conflict, InvalidInput
from services.recommender.event_rows import counted_kind, owners
from services.recommender.popularity import NEVER, Popularity, Seen, count
from services.recommender.store import CHUNK, advance, locked
from services.recommender.tables import (
    erasures,
    events,
    item_counters,
    item_vectors,
    items,
    merges,
)

Kind = Literal["session", "user"]
# Events of one page of an export.
PAGE: Final = 1_000
# Of two logs this close, nothing can be told of the difference of what they stand for.
_NOTHING_LEFT: Final = 1e-9


@dataclass(frozen=True)
class Merged:
    """`events` that were given the user's id; `already`: the two were one before."""

    user_id: str
    events: int
    already: bool


@dataclass(frozen=True)
class Page:
    """Part of what is kept of a user, in the order it came; `following` is where the next one
    begins, None after the last. `merged` are (kind, id, Unix seconds)."""

    user_id: str
    merged: Sequence[tuple[str, str, float]]
    events: Sequence[Row[Any]]
    following: int | None


class UserStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def merge(self, kind: Kind, from_id: str, user_id: str, now: float) -> Merged:
        """From now on the session or user `from_id` is `user_id`. Conflict where it is another
        user already, InvalidInput where the two ids are the same."""
        if kind == "user" and from_id == user_id:
            raise InvalidInput(
                f"user {user_id!r} cannot be merged into themselves", mend="Name another one."
            )
        with self._sessions.begin() as session:
            # Nobody adds events meanwhile, so none is left behind.
            locked(session, "events")
            found = owners(session, [from_id] if kind == "session" else [], [from_id, user_id])
            target = found.get(("user", user_id), user_id)
            owner = found.get((kind, from_id))
            if owner == target or (kind == "user" and from_id == target):
                return Merged(target, 0, already=True)
            if owner is not None:
                raise Conflict(
                    f"{kind} {from_id!r} belongs to another user already",
                    mend="Open a new session after each login."
                    if kind == "session"
                    else "Merge the user that it belongs to.",
                )
            return Merged(target, _join(session, kind, from_id, target, now), already=False)

    def page(self, user_id: str, after: int = 0, limit: int = PAGE) -> Page:
        """What is kept of the user and of all that were merged into them, from number `after`
        on. Empty where nothing is."""
        with self._readers() as session:
            user = owners(session, [], [user_id]).get(("user", user_id), user_id)
            rows = session.execute(
                select(events)
                .where(events.c.user_id == user, events.c.seq > after)
                .order_by(events.c.seq)
                .limit(limit + 1)
            ).all()
            into = select(merges).where(merges.c.user_id == user)
            named = session.execute(into.order_by(merges.c.merged_at, merges.c.from_id))
            merged = [(row.kind, row.from_id, row.merged_at) for row in named]
        following = rows[limit - 1].seq if len(rows) > limit else None
        return Page(user, merged, rows[:limit], following)

    def erase(self, user_id: str, now: float) -> int:
        """Forget the user and all that were merged into them; how many events went. Later events
        of any of these ids are those of somebody new."""
        with self._sessions.begin() as session:
            locked(session, "events")
            folded, erased = locked(session, "folded"), locked(session, "erased")
            user = owners(session, [], [user_id]).get(("user", user_id), user_id)
            theirs = events.c.user_id == user
            _take_from_counters(session, user, folded)
            said = select(events.c.text_digest).where(theirs, events.c.text_digest.is_not(None))
            digests = set(session.execute(said).scalars())
            gone = rows_changed(session, delete(events).where(theirs))
            _forget_texts(session, digests)
            ids = rows_changed(session, delete(merges).where(merges.c.user_id == user))
            if gone or ids:
                row = {"erasure_id": uuid4().hex, "erased_at": now, "events": gone}
                session.execute(insert(erasures), row)
                # Every process counts anew what it holds in memory; see follow.py.
                advance(session, "erased", erased + 1)
        return gone


def page_out(page: Page) -> dict[str, Any]:
    """A page as JSON; events have the columns of what is sent, and may be sent again."""
    kinds = {"kind": "event", "occurred_at": "timestamp"}
    left_out = {"seq", "text_digest"}
    return {
        "user_id": page.user_id,
        "merged": [
            {"kind": kind, "id": name, "merged_at": moment} for kind, name, moment in page.merged
        ],
        "events": [
            {kinds.get(k, k): v for k, v in row._mapping.items() if k not in left_out}
            for row in page.events
        ],
        "next": page.following,
    }


def _join(session: Session, kind: Kind, from_id: str, user_id: str, now: float) -> int:
    theirs = events.c.user_id == from_id
    if kind == "session":
        # What somebody who was logged in did there stays theirs.
        theirs = (events.c.session_id == from_id) & events.c.user_id.is_(None)
    else:
        session.execute(update(merges).where(merges.c.user_id == from_id).values(user_id=user_id))
    row = {"kind": kind, "from_id": from_id, "user_id": user_id, "merged_at": now}
    session.execute(insert(merges), row)
    return rows_changed(session, update(events).where(theirs).values(user_id=user_id))


def _take_from_counters(session: Session, user_id: str, folded: int) -> None:
    """What the user's events added to the counters. When an item was first seen stays: it is the
    item's, and says nothing of anybody."""
    query = select(
        events.c.item_id,
        counted_kind(),
        events.c.value,
        events.c.occurred_at,
        events.c.received_at,
    ).where(events.c.user_id == user_id, events.c.seq <= folded)
    gone = count(Seen(*row) for row in session.execute(query))
    wanted = sorted(gone)
    for start in range(0, len(wanted), CHUNK):
        part = item_counters.c.item_id.in_(wanted[start : start + CHUNK])
        for row in session.execute(select(item_counters).where(part)).all():
            left = without(Popularity(row.positives, row.recent_log2, 0.0), gone[row.item_id])
            session.execute(
                update(item_counters)
                .where(item_counters.c.item_id == row.item_id)
                .values(positives=left.positives, recent_log2=left.recent_log2)
            )


def without(kept: Popularity, gone: Popularity) -> Popularity:
    """`kept` less `gone`, which is a part of it; `first_at` stays."""
    positives = max(kept.positives - gone.positives, 0.0)
    apart = gone.recent_log2 - kept.recent_log2
    if positives == 0.0 or apart > -_NOTHING_LEFT:
        return Popularity(positives, NEVER, kept.first_at)
    # log2(2^a - 2^b) = a + log2(1 - 2^(b - a))
    recent_log2 = kept.recent_log2 + math.log1p(-(2.0**apart)) / math.log(2.0)
    return Popularity(positives, recent_log2, kept.first_at)


def _forget_texts(session: Session, digests: set[str]) -> None:
    """Drop the vectors of texts that neither an item nor anybody's comment has any more."""
    wanted = sorted(digests)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        for column in (items.c.text_digest, events.c.text_digest):
            kept = set(session.execute(select(column).where(column.in_(part))).scalars())
            part = [digest for digest in part if digest not in kept]
        session.execute(delete(item_vectors).where(item_vectors.c.text_digest.in_(part)))
