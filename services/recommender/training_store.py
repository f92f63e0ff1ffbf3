"""How is it kept which trainings there were, what is asked for, and when is the next one due?

A row is there from the moment that a training is asked for or begins, so that one which was killed
can be seen. A live model that came by hand gets a row as well ("given"): what came since counts
from there. `plan` decides, and is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.recommender.tables import item_counters, items, trainings

Cause = Literal["first", "growth", "retry", "asked"]
Outcome = Literal["promoted", "refused", "failed"]
ASKED: Final = "asked"
RUNNING: Final = "running"
GIVEN: Final = "given"
ENDED: Final = ("promoted", "refused", "failed")
# The wait after a failure; each further one in a row doubles it, up to the longest.
FIRST_WAIT: Final = timedelta(minutes=10)
LONGEST_WAIT: Final = timedelta(days=1)
# Failures in a row that are looked at: more do not change the wait.
_LOOKED_AT: Final = 16
_REASON: Final = 1_000


@dataclass(frozen=True)
class When:
    """By what the worker trains by itself: `after` new positive events at least (0: never), and
    `growth` as a share of those there were; at most once in `pause`."""

    after: int
    growth: float
    pause: timedelta


@dataclass(frozen=True)
class Standing:
    """What is known before a decision. `asked`: the number of the training that is asked for;
    `positives`: of the shop now, `positives_then` at the last training; `failures` in a row."""

    live: bool
    items: int
    positives: int
    asked: int | None = None
    last_start: datetime | None = None
    last_end: datetime | None = None
    positives_then: int = 0
    failures: int = 0

    @property
    def new(self) -> int:
        """Positive events that came since the last training."""
        return max(0, self.positives - self.positives_then)


@dataclass(frozen=True)
class Plan:
    """When the next training begins by itself: at `at`, None where `missing` new positive events
    or items must come first. `cause` says why."""

    cause: Cause | None
    at: datetime | None
    missing: int = 0
    why: str = ""

    def due(self, now: datetime) -> bool:
        """Whether it is time."""
        return self.at is not None and self.at <= now


def plan(standing: Standing, when: When, now: datetime) -> Plan:
    """The next training. One that is asked for waits for nothing."""
    if standing.asked is not None:
        return Plan("asked", now, why="it is asked for")
    if when.after == 0:
        return Plan(None, None, why="only trainings that are asked for (RETRAIN_AFTER is 0)")
    if standing.items == 0:
        return Plan(None, None, missing=1, why="there are no items")
    if standing.failures and standing.last_end is not None:
        wait = min(FIRST_WAIT * 2 ** (standing.failures - 1), LONGEST_WAIT)
        return Plan("retry", standing.last_end + wait, why="the last training failed")
    if standing.last_start is None and not standing.live:
        return Plan("first", now, why="there is no model")
    return _by_growth(standing, when, now)


def _by_growth(standing: Standing, when: When, now: datetime) -> Plan:
    needed = needed_events(standing, when)
    if standing.new < needed:
        why = f"{standing.new} new positive events, {needed} are needed"
        return Plan("growth", None, missing=needed - standing.new, why=why)
    pause = None if standing.last_start is None else standing.last_start + when.pause
    at = now if pause is None else max(now, pause)
    return Plan("growth", at, why=f"{standing.new} new positive events")


def needed_events(standing: Standing, when: When) -> int:
    """New positive events that make a training worth its time."""
    return max(when.after, round(when.growth * standing.positives_then))


@dataclass(frozen=True)
class Result:
    """What a training made: `version` that was judged or went live, the newest event that it knows
    (Unix seconds), counts of what it read, the rung with its reason, figures."""

    version: str | None = None
    trained_until: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rung: str = ""
    why: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As columns."""
        kept = {name: getattr(self, name) for name in ("version", "trained_until")}
        texts = {"rung": self.rung[:40], "why": self.why[:_REASON]}
        return kept | texts | {"counts": dict(self.counts), "figures": dict(self.figures)}


def standing(session: Session, *, live: bool) -> Standing:
    """What the database says; `live` whether there is a live model."""
    total = session.execute(select(func.sum(item_counters.c.positives))).scalar_one()
    in_shop = select(func.count()).select_from(items).where(items.c.deleted.is_(False))
    asked = select(func.min(trainings.c.id)).where(trainings.c.state == ASKED)
    query = (
        select(trainings.c.state, trainings.c.started_at, trainings.c.ended_at)
        .add_columns(trainings.c.positives)
        .where(trainings.c.state.in_((*ENDED, RUNNING, GIVEN)))
        .order_by(trainings.c.id.desc())
        .limit(_LOOKED_AT)
    )
    rows = list(session.execute(query))
    failures = next((n for n, row in enumerate(rows) if row.state != "failed"), len(rows))
    # A failed one has learned nothing: what came counts from the last that ended well.
    counted = rows[failures] if failures < len(rows) else None
    return Standing(
        live=live,
        items=int(session.execute(in_shop).scalar_one()),
        positives=round(total or 0.0),
        asked=session.execute(asked).scalar_one(),
        last_start=rows[0].started_at if rows else None,
        last_end=rows[0].ended_at if rows else None,
        positives_then=0 if counted is None else int(counted.positives),
        failures=failures,
    )


def ask(session: Session, now: datetime) -> int:
    """Ask for a training; its number, that of the one that waits already if there is one."""
    waiting = select(func.min(trainings.c.id)).where(trainings.c.state == ASKED)
    found: int | None = session.execute(waiting).scalar_one()
    return found if found is not None else _add(session, ASKED, "asked", now, positives=0)


def note_given(session: Session, version: str, trained_until: float, now: datetime) -> bool:
    """Keep that this version is live, if nothing here trained it and nobody has said so before;
    whether that was news."""
    known = select(trainings.c.id).where(trainings.c.version == version).limit(1)
    if session.execute(known).first() is not None:
        return False
    total = session.execute(select(func.sum(item_counters.c.positives))).scalar_one()
    number = _add(session, GIVEN, "", now, positives=round(total or 0.0))
    values = {"version": version, "trained_until": trained_until, "ended_at": now}
    session.execute(update(trainings).where(trainings.c.id == number).values(values))
    return True


def trained_until(session: Session, version: str) -> float | None:
    """The newest event that this version was trained on, as far as is known here."""
    query = select(func.max(trainings.c.trained_until)).where(trainings.c.version == version)
    found: float | None = session.execute(query).scalar_one()
    return found


def close_killed(session: Session, live: str | None, now: datetime) -> list[int]:
    """Trainings that are still said to run, though the caller has the lease: their worker was
    killed. One whose version is live by now had done its work. The numbers of all of them."""
    query = select(trainings.c.id, trainings.c.version).where(trainings.c.state == RUNNING)
    killed = list(session.execute(query))
    for number, version in killed:
        went_live = version is not None and version == live
        reasons = [] if went_live else ["its worker ended before it did"]
        outcome = "promoted" if went_live else "failed"
        values = {"state": outcome, "ended_at": now, "reasons": reasons}
        session.execute(update(trainings).where(trainings.c.id == number).values(values))
    return [int(row.id) for row in killed]


def begin(
    session: Session, planned: Standing, cause: Cause, preset: str, against: str, now: datetime
) -> int:
    """A training begins: the one that was asked for, or a new one. Its number."""
    number = planned.asked
    if number is None:
        number = _add(session, RUNNING, cause, now, positives=planned.positives)
    values = {
        "state": RUNNING,
        "started_at": now,
        "preset": preset,
        "against": against or None,
        "positives": planned.positives,
    }
    session.execute(update(trainings).where(trainings.c.id == number).values(values))
    return number


def keep(session: Session, number: int, result: Result) -> None:
    """What a training has made so far, before anything goes live."""
    values = result.values()
    session.execute(update(trainings).where(trainings.c.id == number).values(values))


def finish(
    session: Session,
    number: int,
    outcome: Outcome,
    now: datetime,
    reasons: Sequence[str] = (),
    folder: str = "",
) -> None:
    """What became of it; `folder` of a refused one, beside the registry's versions."""
    told = [reason[:_REASON] for reason in reasons]
    values = {"state": outcome, "ended_at": now, "reasons": told, "folder": folder}
    session.execute(update(trainings).where(trainings.c.id == number).values(values))


def put_back(session: Session, number: int) -> None:
    """It was stopped with its worker: as if it had not begun."""
    mine = (trainings.c.id == number) & (trainings.c.state == RUNNING)
    was_asked = mine & (trainings.c.cause == "asked")
    waits = {"state": ASKED, "started_at": None}
    session.execute(update(trainings).where(was_asked).values(waits))
    session.execute(delete(trainings).where(mine))


def find(session: Session, number: int) -> dict[str, Any] | None:
    """One training, None where there is none of this number."""
    row = session.execute(select(trainings).where(trainings.c.id == number)).one_or_none()
    return None if row is None else dict(row._mapping)


def of_version(session: Session, version: str) -> dict[str, Any] | None:
    """The newest row about this version, None where there is none."""
    query = select(trainings).where(trainings.c.version == version)
    row = session.execute(query.order_by(trainings.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else dict(row._mapping)


def page(session: Session, limit: int, below: int | None) -> list[dict[str, Any]]:
    """At most `limit` trainings with a number under `below` (None: all), the newest first."""
    query = select(trainings).order_by(trainings.c.id.desc()).limit(limit)
    if below is not None:
        query = query.where(trainings.c.id < below)
    return [dict(row._mapping) for row in session.execute(query)]


def _add(session: Session, state: str, cause: str, now: datetime, *, positives: int) -> int:
    values: dict[str, Any] = {
        "state": state,
        "cause": cause,
        "created_at": now,
        "preset": "",
        "positives": positives,
        "counts": {},
        "rung": "",
        "why": "",
        "reasons": [],
        "figures": {},
        "folder": "",
    }
    adding = insert(trainings).values(values).returning(trainings.c.id)
    return int(session.execute(adding).scalar_one())
