"""Which servers are in trouble, and until when do all of their feeds rest?

A host has a row from its first trouble until its next answer, so recovery needs nobody: the rest
ends by its date, the next feed that is due asks, and an answer wipes the row.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.db.statements import insert_or_ignore
from services.finance_sentiment.feeds import Fetched
from services.finance_sentiment.pacing import host_rest
from services.finance_sentiment.tables import hosts


def note_host(session: Session, host: str, fetched: Fetched, now: datetime) -> None:
    """Keep what an answer, or its absence, says of the host."""
    mine = hosts.c.host == host
    if fetched.host == "fine":
        session.execute(delete(hosts).where(mine))
        return
    first = {"host": host, "troubles": 1, "rests_until": None, "last_error": fetched.error}
    if not insert_or_ignore(session, hosts, first):
        more = {"troubles": hosts.c.troubles + 1, "last_error": fetched.error}
        session.execute(update(hosts).where(mine).values(more))
    troubles = session.execute(select(hosts.c.troubles).where(mine)).scalar_one_or_none() or 1
    rest = host_rest(troubles, busy=fetched.host == "busy", asked=fetched.wait)
    if rest:
        # Never shorter than what another answer of the same moment asked for.
        later = hosts.c.rests_until.is_(None) | (hosts.c.rests_until < now + rest)
        session.execute(update(hosts).where(mine, later).values(rests_until=now + rest))
