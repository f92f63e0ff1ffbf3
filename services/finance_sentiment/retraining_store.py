"""How is it kept which trainings took corrections in, and which corrections still wait for one?

A row is there from the start of a training, so that one which was killed can be seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.corrections import counted, taught
from services.finance_sentiment.lessons import Taught
from services.finance_sentiment.tables import retrainings

Outcome = Literal["promoted", "refused", "failed"]
RUNNING = "running"
_SHOWN = 10
_REASON = 1000


def waiting(said: Iterable[Taught], learned: Collection[str]) -> list[Taught]:
    """Those that the model with these digests of corrections has not learned."""
    return [one for one in said if one.digest not in learned]


def is_due(
    said: Sequence[Taught], learned: Collection[str], last_start: datetime | None, after: int
) -> bool:
    """Whether it is time to train: at least `after` (0: never) wait that no training has had. One
    that failed or was refused is not repeated before so many more were accepted."""
    fresh = [
        one for one in waiting(said, learned) if last_start is None or one.decided_at > last_start
    ]
    return 0 < after <= len(fresh)


def last_start(session: Session) -> datetime | None:
    """When the last training began, whatever became of it."""
    last: datetime | None = session.execute(select(func.max(retrainings.c.started_at))).scalar_one()
    return last


def begin(session: Session, against: str, corrections: int, now: datetime) -> int:
    """A training begins; its number. One that is still said to run is none: it had the lease."""
    died = {"state": "failed", "ended_at": now, "reasons": ["its worker ended before it did"]}
    session.execute(update(retrainings).where(retrainings.c.state == RUNNING).values(died))
    values = {
        "started_at": now,
        "state": RUNNING,
        "corrections": corrections,
        "against": against,
        "reasons": [],
        "figures": {},
        "folder": "",
    }
    adding = insert(retrainings).values(values).returning(retrainings.c.id)
    return int(session.execute(adding).scalar_one())


def finish(
    session: Session,
    number: int,
    outcome: Outcome,
    now: datetime,
    *,
    reasons: Sequence[str] = (),
    figures: Mapping[str, Any] | None = None,
    version: str | None = None,
    folder: str = "",
) -> None:
    """What became of it."""
    values = {
        "state": outcome,
        "ended_at": now,
        "reasons": [reason[:_REASON] for reason in reasons],
        "figures": dict(figures or {}),
        "version": version,
        "folder": folder,
    }
    session.execute(update(retrainings).where(retrainings.c.id == number).values(values))


def forget(session: Session, number: int) -> None:
    """It was stopped with its worker: as if it had not begun."""
    mine = (retrainings.c.id == number) & (retrainings.c.state == RUNNING)
    session.execute(delete(retrainings).where(mine))


def correction_figures(session: Session, learned: Collection[str]) -> dict[str, int]:
    """For Prometheus: corrections by state, and how many wait for a training."""
    wait = len(waiting(taught(session), learned))
    return {**counted(session), "waiting_for_training": wait}


def standing(
    session: Session, version: str, learned: Collection[str], after: int
) -> dict[str, Any]:
    """For people: corrections by state, how many wait for a training, and the last trainings."""
    query = select(retrainings).order_by(retrainings.c.id.desc()).limit(_SHOWN)
    return {
        "corrections": counted(session),
        "waiting": len(waiting(taught(session), learned)),
        "retrain_after": after,
        "model_version": version or None,
        "trainings": [dict(row._mapping) for row in session.execute(query)],
    }
