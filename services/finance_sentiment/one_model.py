"""Which hours may be compared with each other, when more than one model labelled them?

Two models differ in what they call negative, and a step between their labels looks like a surge. So
what is normal holds for the labels of one model. When another goes live, it is learned anew on the
latest stretch of hours that are all labelled by that one (or by people, or came with their labels):
as soon as that stretch is long enough, and once more when relabel.py is done. Until it is long
enough nothing is judged, and the hours count as degraded. What another model's labels would have
raised in the past is no news: alerts that are over when it is learned anew are not raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from services.finance_sentiment.alerts import Baseline
from services.finance_sentiment.baseline import HISTORY_HOURS
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.relabel import finished_at, newest_of_others
from services.finance_sentiment.tables import baselines


@dataclass(frozen=True)
class Comparable:
    """`known`: the baseline that holds, None where it has to be learned; `first_hour`: what is
    counted begins here; `anew`: there is a baseline, but of another model or of fewer stories;
    `quiet_before`: alerts that were over by then are not raised."""

    known: Baseline | None
    first_hour: int
    anew: bool
    quiet_before: datetime | None


def comparable(
    session: Session, version: str | None, budget: float, until: int, now: datetime
) -> Comparable:
    """What the evaluation up to hour `until` rests on. `version`: the live model, None where there
    is none: then all labels are taken as of one. `budget`: false alarms a week."""
    query = select(baselines).order_by(baselines.c.id.desc()).limit(1)
    row = session.execute(query).first()
    known = None if row is None else Baseline.from_json(row.document)
    quiet = None if row is None else row.quiet_before
    newest = None if version is None else newest_of_others(session, version)
    border = 0 if newest is None else hour_of(newest) + 1
    if row is not None and known is not None and _is_stale(session, row, version, border, known):
        return Comparable(None, max(border, until - HISTORY_HOURS), True, now)
    if known is None or known.false_alarms_per_week != budget:
        # Another promise: everything is walked through again under it.
        return Comparable(None, border, False, quiet)
    first = max(known.from_hour - HISTORY_HOURS, min(border, known.from_hour))
    return Comparable(known, first, False, quiet)


def _is_stale(
    session: Session, row: Row[Any], version: str | None, border: int, known: Baseline
) -> bool:
    """Whether it was learned on other labels than those that stories have now."""
    if version is None:
        return False
    done = finished_at(session, version)
    if done is not None and done >= row.created_at:
        return True
    if row.model_version is None:
        return border > known.from_hour - known.learned_hours
    return bool(row.model_version != version)
