"""Which alerts would the stored history have raised, at which promise? Worked out once, kept.

A walk over weeks takes seconds, so it has one thread of its own; who asks meanwhile is told how far
it is. Results are kept by the digest of all that they follow from, a few of them, and looked at
again when another hour is over, another model is live, or some minutes have passed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.alert_store import said_false
from services.finance_sentiment.alerts import Advance, Alert, Terms, advance
from services.finance_sentiment.baseline import LEAST_STORIES
from services.finance_sentiment.company_store import company_rows
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.life import AT_ONCE, Policy
from services.finance_sentiment.promise import OTHER_BUDGETS
from services.finance_sentiment.store import hourly_counts
from services.finance_sentiment.watch_store import news_of_hours

logger = logging.getLogger("trefoil.finance_sentiment")

# Each week more is another fit of a second or so; what is normal is learned on eight.
WEEKS: Final = 12
MOST_ALERTS: Final = 500
_KEPT: Final = 4
_LOOK_AGAIN_SECONDS: Final = 600.0
# A history too short to learn from may have grown since.
_LOOK_AGAIN_SOON: Final = 10.0

State = Literal["done", "computing", "failed"]


@dataclass(frozen=True)
class Past:
    """What a walk is made over and under."""

    counts: HourlyCounts
    terms: Terms
    digest: str


@dataclass(frozen=True)
class Budget:
    """What one accepted number of false alarms a week would have meant. `simulated`: alerts a week
    while nothing is wrong, in the simulation; known for the number in force."""

    false_alarms_per_week: float
    in_force: bool
    alerts: tuple[Alert, ...]
    simulated: float | None


@dataclass(frozen=True)
class Result:
    """`watched_hours` of the history are those after the first fit; none where there was too little
    to learn from, and then there are no budgets."""

    computed_at: datetime
    digest: str
    first_hour: int
    end_hour: int
    watched_hours: int
    stories: int
    topics: tuple[str, ...]
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class Look:
    """`progress` is a share of 1. `result` may be of before while another is worked out."""

    state: State
    progress: float
    result: Result | None
    pending: Future[None] | None


def past(
    session: Session, false_alarms: float, policy: Policy, until: int, *, companies: bool
) -> Past:
    """The stored history up to hour `until`, as the worker would walk over it."""
    first = until - WEEKS * HOURS_A_WEEK
    counts = hourly_counts(session, first, until)
    if companies and counts.topics:
        rows = company_rows(
            session, counts.first_hour, until, least=LEAST_STORIES, topics=len(counts.topics)
        )
        counts = counts.and_rows(rows)
    news = news_of_hours(session, first, until)
    said = said_false(session)
    terms = Terms(false_alarms, policy=policy, news=news, marks_of=said.between)
    rest = [counts.first_hour, counts.topics, sorted(news.items()), said.alerts, said.watched_from]
    followed = hashlib.sha256(json.dumps([*rest, false_alarms, str(policy)]).encode())
    followed.update(counts.stories.tobytes() + counts.negative.tobytes())
    return Past(counts, terms, followed.hexdigest())


def walked(found: Past, now: datetime, told: Callable[[float], None] = lambda _: None) -> Result:
    """The alerts at every budget. `told` hears how far it is, and may raise to end it."""
    counts, terms = found.counts, replace(found.terms, learned=_Fits(found.counts, told))
    first = advance(None, counts, counts.end_hour, terms)
    budgets: list[Budget] = []
    if first.baseline is not None:
        own = terms.false_alarms_per_week
        budgets.append(_budget(own, first, in_force=True))
        for times in OTHER_BUDGETS:
            other = advance(None, counts, counts.end_hour, replace(terms, times=f"{times:g}"))
            budgets.append(_budget(own * times, other, in_force=False))
    watched = counts.end_hour - min(terms.learned) if terms.learned else 0
    return Result(
        now,
        found.digest,
        counts.first_hour,
        counts.end_hour,
        watched,
        int(counts.stories.sum()),
        counts.topics,
        tuple(sorted(budgets, key=lambda budget: budget.false_alarms_per_week)),
    )


def _budget(number: float, walk: Advance, *, in_force: bool) -> Budget:
    simulated = walk.baseline.promise.simulated if walk.baseline and in_force else None
    return Budget(number, in_force, walk.alerts[-MOST_ALERTS:], simulated)


class _Fits(dict[int, Any]):
    """What was learned, by hour; tells how far a walk has come."""

    def __init__(self, counts: HourlyCounts, told: Callable[[float], None]) -> None:
        super().__init__()
        self._first, self._hours = counts.first_hour, max(1, counts.stories.shape[1])
        self._told = told

    def __setitem__(self, hour: int, learned: Any) -> None:
        super().__setitem__(hour, learned)
        self._told(min(1.0, (hour - self._first) / self._hours))


class _Stopped(Exception):
    """The server ends."""


class Backtests:
    """One thread, and the last results. `policy` and `false_alarms` are those in force; `version`
    names the live model."""

    def __init__(
        self,
        read: sessionmaker[Session],
        now: Callable[[], datetime],
        version: Callable[[], str],
        *,
        false_alarms: float,
        policy: Policy = AT_ONCE,
        companies: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._now, self._version, self._clock = read, now, version, clock
        self._false_alarms, self._policy, self._companies = false_alarms, policy, companies
        self._pool = ThreadPoolExecutor(1, "backtest")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Result] = OrderedDict()
        self._last: Result | None = None
        # What the last result was looked at for, and until when it holds.
        self._of: tuple[int, str] | None = None
        self._holds_until = 0.0
        self._pending: Future[None] | None = None
        self._failed = self._stopped = False
        self._progress = 0.0

    def look(self) -> Look:
        """What is known now; begins to work it out where that is nothing, or not of now."""
        wanted = hour_of(self._now()), self._version()
        with self._lock:
            if self._pending is None and (self._of != wanted or self._clock() >= self._holds_until):
                self._progress, self._of = 0.0, wanted
                self._pending = self._pool.submit(self._work, wanted[0])
            state: State = "computing" if self._pending else "failed" if self._failed else "done"
            return Look(state, self._progress, self._last, self._pending)

    def stop(self) -> None:
        """End the thread at its next step."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, until: int) -> None:
        found: Result | None = None
        try:
            found = self._found(until)
        except _Stopped:
            return
        except Exception:
            logger.exception("the backtest failed")
        with self._lock:
            self._failed = found is None
            soon = found is None or not found.budgets
            self._holds_until = self._clock() + (_LOOK_AGAIN_SOON if soon else _LOOK_AGAIN_SECONDS)
            self._last = found or self._last
            self._pending = None

    def _found(self, until: int) -> Result:
        with self._read() as session:
            history = past(
                session, self._false_alarms, self._policy, until, companies=self._companies
            )
        known = self._kept.pop(history.digest, None) or walked(history, self._now(), self._told)
        self._kept[history.digest] = known
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return known

    def _told(self, progress: float) -> None:
        if self._stopped:
            raise _Stopped
        self._progress = progress


def shown_alert(alert: Alert) -> dict[str, Any]:
    """What a page shows of an alert that would have been."""
    names = ("stories", "negative", "baseline_share", "statistic", "threshold")
    return {name: alert.evidence.get(name) for name in names} | {
        "detector": alert.detector,
        "onset_at": alert.onset_at,
        "started_at": alert.started_at,
        "resolved_at": alert.resolved_at,
    }


def delay_hours(budget: Budget) -> float | None:
    """Mean of the hours from where the evidence began to gather to the alert."""
    delays = [hour_of(a.started_at) - hour_of(a.onset_at) for a in budget.alerts]
    return sum(delays) / len(delays) if delays else None


def from_until(result: Result) -> tuple[datetime, datetime]:
    """The stretch of the history."""
    return moment_of(result.first_hour), moment_of(result.end_hour)
