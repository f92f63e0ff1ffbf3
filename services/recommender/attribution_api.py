"""How does a shop ask what came of the answers?"""

from __future__ import annotations

from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator
from starlette.requests import Request

from core.errors import InvalidInput
from core.evaluation.intervals import Interval
from core.web import requires
from services.recommender.api import Given
from services.recommender.attribution import Outcome
from services.recommender.attribution_store import AttributionStore
from services.recommender.domain import DAY
from services.recommender.schemas import Moment

router = APIRouter(prefix="/v1")


def _number(value: Any) -> Any:
    """In an address everything is text, Unix seconds too."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


When = Annotated[Moment, BeforeValidator(_number)]
_DEFAULT_DAYS: Final = 30
_MOST_DAYS: Final = 366


class MoneyOut(BaseModel):
    currency: str
    revenue: float
    refunds: float
    net: float
    net_per_answer: float
    net_per_answer_ci: Interval


class OutcomeOut(BaseModel):
    """`click_through_rate` and `conversion_rate` are shares of answers."""

    model_version: str
    scenario: str
    answers: int
    items_shown: int
    impressions: int
    clicks: int
    answers_clicked: int
    click_through_rate: float
    click_through_rate_ci: Interval
    answers_converted: int
    conversion_rate: float
    conversion_rate_ci: Interval
    purchases: int
    purchases_refunded: int
    money: list[MoneyOut]


class AttributionOut(BaseModel):
    since: float
    until: float
    window_days: float
    groups: list[OutcomeOut]


@router.get("/attribution", response_model=AttributionOut, dependencies=[requires("attribution")])
def attribution(
    request: Request,
    parts: Given,
    since: Annotated[When | None, Query(alias="from")] = None,
    until: Annotated[When | None, Query(alias="to")] = None,
    window_days: Annotated[float, Query(gt=0, le=90)] = 7.0,
) -> Any:
    """Click-through, conversion and revenue of the answers of a period, by model and scenario."""
    store: AttributionStore = request.app.state.attribution
    until = parts.seconds() if until is None else until
    since = until - _DEFAULT_DAYS * DAY if since is None else since
    if not 0 < until - since <= _MOST_DAYS * DAY:
        raise InvalidInput(
            f"a period is more than nothing and at most {_MOST_DAYS} days",
            mend="Move `from` and `to`.",
        )
    # Seeded, so that the same question has the same answer.
    found = store.outcomes(since, until, window_days * DAY, np.random.default_rng(0))
    return AttributionOut(
        since=since, until=until, window_days=window_days, groups=[_out(one) for one in found]
    )


def _out(one: Outcome) -> OutcomeOut:
    return OutcomeOut(
        model_version=one.group[0],
        scenario=one.group[1],
        answers=one.answers,
        items_shown=one.shown,
        impressions=one.impressions,
        clicks=one.clicks,
        answers_clicked=one.clicked,
        click_through_rate=one.clicked / one.answers,
        click_through_rate_ci=one.click_through,
        answers_converted=one.converted,
        conversion_rate=one.converted / one.answers,
        conversion_rate_ci=one.conversion,
        purchases=one.sales,
        purchases_refunded=one.refunded,
        money=[
            MoneyOut(
                currency=money.currency,
                revenue=money.revenue,
                refunds=money.refunds,
                net=money.net,
                net_per_answer=money.net / one.answers,
                net_per_answer_ci=money.interval,
            )
            for money in one.money
        ],
    )
