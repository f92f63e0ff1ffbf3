"""How does a page choose a promise by what it would have meant, and try whether alerts arrive?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.backtests import (
    Backtests,
    Budget,
    Result,
    State,
    delay_hours,
    from_until,
    shown_alert,
)
from services.finance_sentiment.counts import HOURS_A_WEEK
from services.finance_sentiment.drill import MAX_HOURS, drill
from services.finance_sentiment.life import Policy
from services.finance_sentiment.schemas import ShortText
from services.finance_sentiment.series import series_labels
from services.finance_sentiment.telling import Teller

# Who asks waits so long for an answer; then it is 202, and to be asked for again.
PATIENCE: Final = 1.0


class PastAlert(BaseModel):
    """An alert that would have been; of a topic or of a company."""

    topic: str | None
    company: str | None
    detector: str
    onset_at: datetime
    started_at: datetime
    resolved_at: datetime | None
    stories: int | None
    negative: int | None
    baseline_share: float | None
    statistic: float | None
    threshold: float | None


class PastBudget(BaseModel):
    """What one accepted number of false alarms would have meant: the alerts of the history, true
    and false ones, at most 500. `simulated`: alerts a week while nothing is wrong, known for the
    number in force."""

    false_alarms_per_week: float
    in_force: bool
    alerts: list[PastAlert]
    alerts_per_week: float
    mean_delay_hours: float | None
    simulated: float | None


class BacktestResult(BaseModel):
    """`budgets` by their number, none where the history is too short to learn from."""

    computed_at: datetime
    since: datetime
    until: datetime
    watched_weeks: float
    stories: int
    topics: list[str]
    companies: list[str]
    budgets: list[PastBudget]


class BacktestResponse(BaseModel):
    """`computing` comes with 202: ask again in a second; `result` is then of before, or null."""

    state: State
    progress: float
    result: BacktestResult | None


class Drill(BaseModel):
    """A made-up surge. Without a topic that with most stories is taken."""

    model_config = ConfigDict(extra="forbid")

    topic: ShortText = ""
    negative_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    hours: Annotated[int, Field(ge=1, le=MAX_HOURS)] = 12


class Drilled(BaseModel):
    """What the surge came to; `alert_id` is null where it was too small to raise an alert."""

    topic: str
    hours: int
    stories: int
    negative: int
    alert_id: int | None
    delay_hours: float | None


@dataclass(frozen=True)
class BacktestParts:
    """What the endpoints call."""

    backtests: Backtests
    write: sessionmaker[Session]
    now: Callable[[], datetime]
    policy: Policy
    teller: Teller


def make_backtest_router(parts: BacktestParts) -> APIRouter:
    """The stored history at several promises; a drill."""
    router = APIRouter(prefix="/v1")

    @router.get("/backtest", dependencies=[requires("read")])
    async def backtest(response: Response) -> BacktestResponse:
        """Which alerts the stored history would have raised, at several numbers of accepted false
        alarms; 202 while that is worked out."""
        look = await asyncio.to_thread(parts.backtests.look)
        if look.pending is not None:
            await asyncio.wait({asyncio.wrap_future(look.pending)}, timeout=PATIENCE)
            look = await asyncio.to_thread(parts.backtests.look)
        if look.state == "computing":
            response.status_code = 202
        shown = None if look.result is None else _result(look.result)
        return BacktestResponse(state=look.state, progress=look.progress, result=shown)

    @router.post("/drill", status_code=201, dependencies=[requires("alerts")])
    def made_up(said: Drill) -> Drilled:
        """Play a made-up surge through the thresholds in force, to an alert marked TEST that is
        told to every channel."""
        done = drill(
            parts.write,
            topic=said.topic,
            negative_share=said.negative_share,
            hours=said.hours,
            policy=parts.policy,
            now=parts.now(),
            rng=np.random.default_rng(),
            teller=parts.teller,
        )
        return Drilled(**asdict(done))

    return router


def _result(found: Result) -> BacktestResult:
    since, until = from_until(found)
    labels = [series_labels(name) for name in found.topics]
    weeks = found.watched_hours / HOURS_A_WEEK
    return BacktestResult(
        computed_at=found.computed_at,
        since=since,
        until=until,
        watched_weeks=weeks,
        stories=found.stories,
        topics=[one["topic"] for one in labels if one["topic"]],
        companies=[one["company"] for one in labels if one["company"]],
        budgets=[_budget(one, weeks) for one in found.budgets],
    )


def _budget(found: Budget, weeks: float) -> PastBudget:
    alerts = [PastAlert(**{**series_labels(a.topic), **shown_alert(a)}) for a in found.alerts]
    return PastBudget(
        false_alarms_per_week=found.false_alarms_per_week,
        in_force=found.in_force,
        alerts=alerts,
        alerts_per_week=len(alerts) / weeks if weeks else 0.0,
        mean_delay_hours=delay_hours(found),
        simulated=found.simulated,
    )
