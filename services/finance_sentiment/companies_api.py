"""Which companies are followed, and how much news is there of each?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.companies import Company
from services.finance_sentiment.company_store import company_totals
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.linking import CompanyLinker

Busiest = Annotated[int | None, Query(ge=1, le=200)]


class FollowedCompany(BaseModel):
    """A company of the list, with the labelled stories that name it in the last 24 hours and seven
    days, and those of them that are negative towards it."""

    name: str
    ticker: str
    exchange: str
    aliases: list[str]
    stories_day: int
    negative_day: int
    stories_week: int
    negative_week: int


class FollowedCompanies(BaseModel):
    """In the order of the list; none where no list is set."""

    companies: list[FollowedCompany]


@dataclass(frozen=True)
class CompanyParts:
    """What the endpoint calls. `linker`: None where no list is set."""

    read: sessionmaker[Session]
    now: Callable[[], datetime]
    linker: CompanyLinker | None


def make_companies_router(parts: CompanyParts) -> APIRouter:
    """The list of companies."""
    router = APIRouter(prefix="/v1")

    @router.get("/companies", dependencies=[requires("read")])
    def companies(busiest: Busiest = None) -> FollowedCompanies:
        """Every company of the list with its news of late, or so many of the busiest ones."""
        listed = parts.linker.companies if parts.linker else ()
        now = parts.now()
        end = hour_of(now) + 1
        with parts.read() as session:
            day = company_totals(session, hour_of(now - timedelta(days=1)) + 1, end)
            week = company_totals(session, hour_of(now - timedelta(days=7)) + 1, end)
        if busiest is not None:
            named = [one for one in listed if one.name in week]
            named.sort(key=lambda one: (-week[one.name][0], one.name))
            listed = tuple(named[:busiest])
        return FollowedCompanies(
            companies=[
                _shown(one, day.get(one.name, (0, 0)), week.get(one.name, (0, 0))) for one in listed
            ]
        )

    return router


def _shown(company: Company, day: tuple[int, int], week: tuple[int, int]) -> FollowedCompany:
    return FollowedCompany(
        name=company.name,
        ticker=company.ticker,
        exchange=company.exchange,
        aliases=list(company.aliases),
        stories_day=day[0],
        negative_day=day[1],
        stories_week=week[0],
        negative_week=week[1],
    )
