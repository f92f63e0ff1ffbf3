"""How are items found otherwise: by a text, as trending, as bought together?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from core.errors import NotReady
from core.web import Caller, requires
from services.recommender import filters
from services.recommender.api import (
    FilterText,
    Given,
    ItemId,
    Parts,
    Recommending,
    Scenario,
    check_count,
    new_answer,
    next_page,
    no_such_item,
)
from services.recommender.catalogue import NO_GROUP, Shelf
from services.recommender.live import Live
from services.recommender.model import Embedding
from services.recommender.recommend import Request as Ranking
from services.recommender.recommend import arrange, may_stand
from services.recommender.rules import added_to
from services.recommender.schemas import (
    Identifier,
    RankingIn,
    RecommendationsOut,
    recommendation_out,
)
from services.recommender.search import MOST_CHARS, both, search, understand
from services.recommender.search import Query as Asked
from services.recommender.sessions import SESSION, check_own_session
from services.recommender.tables import SCENARIO_CHARS
from services.recommender.together import Baskets
from services.recommender.trending import MOST_DAYS, Trends, trend

# What stands in a web page may call these too.
bound = APIRouter(prefix="/v1")

Count = Annotated[int, Query(ge=1, le=1_000)]
Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARS)]


@dataclass(frozen=True)
class Finder:
    """What these endpoints work with beside `Parts`."""

    trends: Trends
    baskets: Baskets


async def _finder(request: Request) -> Finder:
    finder: Finder = request.app.state.finder
    return finder


Finding = Annotated[Finder, Depends(_finder)]


class SearchIn(RankingIn):
    """What is looked for, in words; with `user_id` or `session_id` their interest counts too."""

    q: Text
    scenario: Annotated[str, Field(max_length=SCENARIO_CHARS)] | None = "search"


class UnderstoodOut(BaseModel):
    """`text` is what was looked for, `filter` what phrases such as "under 100" became."""

    text: str
    filter: dict[str, Any]
    phrases: list[str]


class SearchOut(RecommendationsOut):
    understood: UnderstoodOut


class TrendingItemOut(BaseModel):
    item_id: str
    rank: int
    score: float


class TrendingOut(BaseModel):
    recommendation_id: str
    model_version: str
    days: float
    items: list[TrendingItemOut]


class PartnerOut(BaseModel):
    item_id: str
    rank: int
    score: float
    baskets: int
    lift: float


class TogetherOut(BaseModel):
    recommendation_id: str
    model_version: str
    item_id: str
    items: list[PartnerOut]


@bound.get("/search", response_model=SearchOut)
async def search_by_address(
    parts: Given,
    caller: Recommending,
    q: Annotated[str, Query(min_length=1, max_length=MOST_CHARS)],
    n: Count = 10,
    user_id: Annotated[Identifier | None, Query()] = None,
    session_id: Annotated[Identifier | None, Query()] = None,
    scenario: Scenario = "search",
    filter: FilterText = None,
    cursor: Annotated[str | None, Query(max_length=10_000)] = None,
) -> Any:
    """The items that answer a text, the best first."""
    body = SearchIn(
        q=q, n=n, user_id=user_id, session_id=session_id, scenario=scenario, cursor=cursor
    )
    wanted = replace(body.request(), filter=filters.read(filter))
    return await _search(parts, caller, body, wanted)


@bound.post("/search", response_model=SearchOut)
async def search_by_body(body: SearchIn, parts: Given, caller: Recommending) -> Any:
    """The same, with all that a recommendation request may say."""
    return await _search(parts, caller, body, body.request())


async def _search(parts: Parts, caller: Caller, body: SearchIn, wanted: Ranking) -> SearchOut:
    if body.user_id is not None or body.session_id is not None:
        check_own_session(caller, body.user_id, body.session_id)
    check_count(body.n, parts.settings.max_recommendations)
    try:
        return await _search_in(parts.models.current(), parts, body, wanted)
    except NotReady:
        # The model was replaced between our look and its encoder: ask the new one.
        return await _search_in(parts.models.current(), parts, body, wanted)


async def _search_in(live: Live, parts: Parts, body: SearchIn, wanted: Ranking) -> SearchOut:
    shelf = await asyncio.to_thread(live.shelf)
    query = understand(body.q, shelf)
    embedding: Embedding | None = None
    if query.text:
        embedding = next(iter((await live.encode([query.text])).values()))
    return await asyncio.to_thread(_found, live, shelf, query, embedding, parts, body, wanted)


def _found(
    live: Live,
    shelf: Shelf,
    query: Asked,
    embedding: Embedding | None,
    parts: Parts,
    body: SearchIn,
    wanted: Ranking,
) -> SearchOut:
    request = replace(wanted, filter=both(wanted.filter, query.condition()))
    rules = parts.rules.in_force().of(body.scenario).without_pins()
    history = []
    if body.user_id is not None or body.session_id is not None:
        history = parts.events.history(body.user_id, body.session_id, live.encoder_id)
    answer_id, rng = new_answer()
    moment = parts.seconds()
    found = search(live.model, shelf, history, query, embedding, request, moment, rules, rng)
    answer = SearchOut(
        recommendation_id=answer_id,
        model_version=live.model.version,
        items=[recommendation_out(one) for one in found],
        cursor=next_page(request, shelf, found),
        understood=UnderstoodOut(text=query.text, filter=query.filter, phrases=list(query.phrases)),
    )
    parts.answered(body.scenario, answer)
    return answer


@bound.get("/trending", response_model=TrendingOut, dependencies=[requires("recommend", SESSION)])
def trending(
    parts: Given,
    finder: Finding,
    n: Count = 10,
    days: Annotated[float, Query(ge=1 / 24, le=MOST_DAYS)] = 7.0,
    category: Annotated[str | None, Query(max_length=500)] = None,
    scenario: Scenario = "trending",
    filter: FilterText = None,
) -> Any:
    """What is wanted more than usual in the last days, in the whole shop or in one category."""
    check_count(n, parts.settings.max_recommendations)
    wanted = filters.read(filter)
    if category is not None:
        wanted = both(wanted, filters.parse({"category": category}))
    live = parts.models.current()
    shelf = live.shelf()
    rules = parts.rules.in_force().of(scenario).without_pins()
    request, now = Ranking(n=n, filter=wanted, diversity=0.0), parts.seconds()
    scores = trend(shelf, finder.trends.tallies(days, now))
    mask = may_stand(shelf, request, rules) & np.isfinite(scores)
    scores = np.where(mask, scores, 0) + added_to(rules.boosts, shelf)
    rng = np.random.default_rng(0)
    placed = arrange(shelf, scores, mask, mask, request, rules, now, rng, known=True)
    return parts.answered(
        scenario,
        TrendingOut(
            recommendation_id=new_answer()[0],
            model_version=live.model.version,
            days=days,
            items=[
                TrendingItemOut(item_id=shelf.ids[row], rank=rank, score=float(scores[row]))
                for rank, row in enumerate(placed.rows.tolist(), start=1)
            ],
        ),
    )


@bound.get(
    "/bought-together/{item_id:path}",
    response_model=TogetherOut,
    dependencies=[requires("recommend", SESSION)],
)
def bought_together(
    item_id: ItemId,
    parts: Given,
    finder: Finding,
    n: Count = 10,
    support: Annotated[int, Query(ge=1, le=1_000_000)] = 2,
    scenario: Scenario = "bought-together",
    filter: FilterText = None,
) -> Any:
    """What is bought with this item more often than by chance, in `support` baskets or more."""
    check_count(n, parts.settings.max_recommendations)
    live = parts.models.current()
    shelf = live.shelf()
    row = shelf.row(item_id)
    if row is None:
        raise no_such_item(item_id)
    partners = {one.item_id: one for one in finder.baskets.partners(item_id, support)}
    rules = parts.rules.in_force().of(scenario).without_pins()
    request = Ranking(n=n, filter=filters.read(filter), exclude=[item_id], diversity=0.0)
    scores = np.zeros(len(shelf), dtype=np.float32)
    mask = np.zeros(len(shelf), dtype=np.bool_)
    rows = [one for one in map(shelf.row, partners) if one is not None]
    scores[rows], mask[rows] = [partners[shelf.ids[one]].score for one in rows], True
    mask &= may_stand(shelf, request, rules)
    if shelf.group[row] != NO_GROUP:
        mask &= shelf.group != shelf.group[row]
    scores += added_to(rules.boosts, shelf)
    rng, now = np.random.default_rng(0), parts.seconds()
    placed = arrange(shelf, scores, mask, mask, request, rules, now, rng, known=True)
    found = [partners[shelf.ids[one]] for one in placed.rows.tolist()]
    return parts.answered(
        scenario,
        TogetherOut(
            recommendation_id=new_answer()[0],
            model_version=live.model.version,
            item_id=item_id,
            items=[PartnerOut(rank=rank, **asdict(one)) for rank, one in enumerate(found, start=1)],
        ),
    )
