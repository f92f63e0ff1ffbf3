"""What do requests and answers look like on the wire?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    model_validator,
)

from services.recommender import filters, scroll
from services.recommender.recommend import Recommendation, Request
from services.recommender.rules import parse_boost
from services.recommender.tables import ID_CHARS

# The moments that a calendar of four-digit years can name, in Unix seconds.
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0
_MOST_NAMED = 1_000


def _moment(value: Any) -> float:
    """Unix seconds, from a number or ISO 8601; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("expected a time in ISO 8601, such as 2026-03-01T09:30:00Z") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        try:
            return moment.timestamp()
        except OverflowError:
            raise ValueError("the time is out of range") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a time in ISO 8601 or Unix seconds")
    if not math.isfinite(value) or not EARLIEST <= value <= LATEST:
        raise ValueError("expected Unix seconds of the years 1 to 9999; not milliseconds")
    return float(value)


Identifier = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ID_CHARS)
]
Moment = Annotated[float, BeforeValidator(_moment)]
Short = Annotated[str, Field(max_length=500)]
Amount = Annotated[FiniteFloat, Field(ge=0)]
Identifiers = Annotated[list[Identifier], Field(max_length=_MOST_NAMED)]


Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


def _nothing(value: object) -> bool:
    return value is None


class _In(BaseModel):
    # What a shop sends beside these is left alone.
    model_config = ConfigDict(extra="ignore")


class RankingIn(_In):
    """For whom, and what may stand there. `scenario` names the place on the page ("home", "cart"):
    the shop's rules may be for some of them alone."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    scenario: Annotated[str, Field(max_length=100)] | None = None
    n: Annotated[int, Field(ge=1, le=1_000)] = 10
    exclude: Identifiers = []
    include_out_of_stock: bool = False
    explain: bool = True
    # What these two mean is said by filters.py and rules.py, with the path of what is wrong.
    filter: dict[str, Any] | None = None
    boost: Annotated[list[dict[str, Any]], Field(max_length=20)] = []
    diversity: Share | None = None
    freshness: Share = 0.0
    exploration: Share = 0.0
    # "" begins a list that goes on, and each answer has the cursor for the next page.
    cursor: str | None = None

    def request(self) -> Request:
        """As the service knows it. InvalidInput where filter, boost or cursor is wrong."""
        passed = None if self.cursor is None else scroll.decode(self.cursor)
        boosts = [parse_boost(raw, f"boost[{n}]") for n, raw in enumerate(self.boost)]
        return Request(
            n=self.n,
            exclude=frozenset(self.exclude),
            include_out_of_stock=self.include_out_of_stock,
            explain=self.explain,
            filter=None if self.filter is None else filters.parse(self.filter),
            boosts=boosts,
            diversity=self.diversity,
            freshness=self.freshness,
            exploration=self.exploration,
            passed=passed,
            first_place=0 if passed is None else len(passed),
        )


class RecommendationsIn(RankingIn):
    """`item_ids`: rank only these; `allow_repeats`: what the user clicked on may come again."""

    item_ids: Identifiers | None = None
    allow_repeats: bool = False

    @model_validator(mode="after")
    def _somebody(self) -> RecommendationsIn:
        if self.user_id is None and self.session_id is None:
            raise ValueError("expected user_id or session_id")
        return self

    def request(self) -> Request:
        """As the service knows it."""
        return replace(
            super().request(),
            item_ids=None if self.item_ids is None else frozenset(self.item_ids),
            allow_repeats=self.allow_repeats,
        )


class ReasonOut(BaseModel):
    part: str
    contribution: float
    text: str
    item_id: str | None
    title: str | None
    event: str | None
    share: float | None


class RecommendationOut(BaseModel):
    item_id: str
    rank: int
    score: float
    p_interest: float
    source: str
    reasons: list[ReasonOut]
    signals: dict[str, float]
    # Of an item that stands there to be learnt about: the chance with which it was drawn.
    propensity: float | None = Field(default=None, exclude_if=_nothing)


class RecommendationsOut(BaseModel):
    recommendation_id: str
    model_version: str
    items: list[RecommendationOut]
    # Where one was asked for and the list goes on.
    cursor: str | None = Field(default=None, exclude_if=_nothing)


class SimilarItemOut(BaseModel):
    item_id: str
    rank: int
    score: float


class SimilarOut(BaseModel):
    recommendation_id: str
    item_id: str
    model_version: str
    items: list[SimilarItemOut]


class _Placed(Protocol):
    item_id: str


class _Answer(Protocol):
    recommendation_id: str
    model_version: str

    @property
    def items(self) -> Sequence[_Placed]: ...


# An answer whose items events may name.
AnyAnswer = TypeVar("AnyAnswer", bound=_Answer)


def recommendation_out(found: Recommendation) -> RecommendationOut:
    """One place of an answer; reasons and signals are empty where none were asked for."""
    why = found.explanation
    return RecommendationOut(
        item_id=found.item_id,
        rank=found.rank,
        score=found.score,
        p_interest=found.p_interest,
        source=found.source,
        reasons=[] if why is None else [ReasonOut(**vars(reason)) for reason in why.reasons],
        signals={} if why is None else dict(why.signals),
        propensity=found.propensity,
    )
