"""Which endpoints does the shop's owner look at? What is shown and taken, why an item stands where
it does, who shopped lately, and which versions of the model there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request

from core.artifacts import read_manifest
from core.web import requires
from services.recommender import reach
from services.recommender.api import Given, no_such_item
from services.recommender.domain import DAY
from services.recommender.inspection import Inspection, inspect, the_list
from services.recommender.reach_store import Reached, ReachStore
from services.recommender.recommend import Recommendation
from services.recommender.schemas import Identifier, ReasonOut
from services.recommender.trainings_api import Given as Training

router = APIRouter(prefix="/v1")

_NEW_DAYS: Final = 30
_MOST_VERSIONS: Final = 20


class ItemReachOut(BaseModel):
    item_id: str
    title: str
    shown: int
    seen: int
    clicked: int
    wanted: int
    bought: int


class NewItemOut(ItemReachOut):
    since: float


class DayOut(BaseModel):
    start: float
    answers: int
    clicked: int


class ReachOut(BaseModel):
    """`coverage`: the share of items that stood in an answer; `top_tenth_share`: of all places,
    those of the tenth that is shown most. Lists are cut, `…_count` is not. `cut`: there were more
    answers than are read, and all this is of the newest."""

    days: int
    answers: int
    items: int
    coverage: float | None
    clicked_share: float | None
    top_tenth_share: float | None
    cut: bool
    by_day: list[DayOut]
    top: list[ItemReachOut]
    never_shown_count: int
    never_shown: list[ItemReachOut]
    never_clicked_count: int
    never_clicked: list[ItemReachOut]
    new_count: int
    new: list[NewItemOut]


class ShopperOut(BaseModel):
    user_id: str
    events: int
    last_at: float


class ShoppersOut(BaseModel):
    shoppers: list[ShopperOut]


class InspectionIn(BaseModel):
    """For whom, in which place on the page, and which item; without one the first of the list."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    scenario: Annotated[str, Field(max_length=100)] | None = None
    item_id: Identifier | None = None

    @model_validator(mode="after")
    def _somebody(self) -> InspectionIn:
        if self.user_id is None and self.session_id is None:
            raise ValueError("expected user_id or session_id")
        return self


class ListedOut(BaseModel):
    item_id: str
    title: str
    rank: int
    score: float
    source: str


class PullOut(BaseModel):
    item_id: str
    title: str
    event: str | None
    at: float | None
    weight: float
    text: float
    behaviour: float
    words: list[str]


class TouchOut(BaseModel):
    kind: str
    added: float


class InspectedOut(BaseModel):
    """`signals` sum to `score`. `place` is null where `obstacle` keeps the item out."""

    item_id: str
    title: str
    score: float
    p_interest: float
    source: str
    signals: dict[str, float]
    reasons: list[ReasonOut]
    place: int | None
    place_by_score: int
    scored: int
    obstacle: str | None
    found_by: list[str]
    pulls: list[PullOut]
    written: float
    touches: list[TouchOut]


class InspectionOut(BaseModel):
    """`events` of the shopper that are looked at; `shown` is how their list begins. `item` is null
    where that is empty."""

    model_version: str
    events: int
    shown: list[ListedOut]
    item: InspectedOut | None


class VersionOut(BaseModel):
    number: int
    model_version: str
    created_at: datetime
    live: bool
    rung: str | None
    ndcg: float | None


class VersionsOut(BaseModel):
    models: list[VersionOut]


class WentBackOut(BaseModel):
    model_version: str


@router.get("/reach", response_model=ReachOut, dependencies=[requires("attribution")])
def read_reach(
    request: Request, parts: Given, days: Annotated[int, Query(ge=1, le=90)] = 30
) -> Any:
    """What of the shop was shown and taken in the last days; what never was, and what is new."""
    store: ReachStore = request.app.state.reach
    now = parts.seconds()
    found = store.reached(days * DAY, now - _NEW_DAYS * DAY, now)
    counted, ids = found.tally, found.item_ids
    unseen = reach.never_shown(counted, ids)
    passed = reach.never_clicked(counted, ids)
    rows = {
        "top": reach.top(counted),
        "never_shown": [counted.row(one) for one in unseen[: reach.MOST_LISTED]],
        "never_clicked": passed[: reach.MOST_LISTED],
    }
    new = found.newcomers[: reach.MOST_LISTED]
    named = [one.item_id for some in rows.values() for one in some] + [n.item_id for n in new]
    titles = store.titles(named)
    listed = {
        name: [ItemReachOut(**_fields(one, titles)) for one in some] for name, some in rows.items()
    }
    newest = [
        NewItemOut(**_fields(counted.row(one.item_id), titles), since=one.since) for one in new
    ]
    shares: dict[str, Any] = {**_shares(found, len(ids) - len(unseen)), **listed}
    return ReachOut(
        days=days,
        answers=counted.answers,
        items=len(ids),
        cut=found.cut,
        by_day=[DayOut(start=d.start, answers=d.answers, clicked=d.clicked) for d in counted.days],
        never_shown_count=len(unseen),
        never_clicked_count=len(passed),
        new_count=len(found.newcomers),
        new=newest,
        **shares,
    )


def _shares(found: Reached, shown: int) -> dict[str, float | None]:
    items = len(found.item_ids)
    if items == 0 or found.tally.answers == 0:
        return {"coverage": None, "clicked_share": None, "top_tenth_share": None}
    clicked = len(set(found.item_ids) & set(found.tally.clicked))
    return {
        "coverage": shown / items,
        "clicked_share": clicked / items,
        "top_tenth_share": reach.top_tenth_share(found.tally, items),
    }


def _fields(row: reach.Row, titles: Mapping[str, str]) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in reach.Row.__slots__}
    return {**told, "title": titles.get(row.item_id, row.item_id)}


@router.get("/shoppers", response_model=ShoppersOut, dependencies=[requires("users")])
def recent_shoppers(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Any:
    """Who did something lately, the last first."""
    store: ReachStore = request.app.state.reach
    found = store.recent_shoppers(limit)
    return ShoppersOut(
        shoppers=[ShopperOut(user_id=s.user_id, events=s.events, last_at=s.last_at) for s in found]
    )


@router.post("/inspections", response_model=InspectionOut, dependencies=[requires("users")])
def inspect_item(body: InspectionIn, parts: Given) -> Any:
    """Why this item, for this shopper? Every part of its score, and what stands behind it. Nothing
    is kept: an inspection is no answer that attribution would count."""
    live = parts.models.current()
    shelf, now = live.shelf(), parts.seconds()
    rules = parts.rules.in_force().of(body.scenario)
    history = parts.events.history(body.user_id, body.session_id, live.encoder_id)
    shown = the_list(live.model, shelf, history, now, rules, live.retriever)
    wanted = body.item_id or (shown[0].item_id if shown else None)
    item = None
    if wanted is not None:
        row = shelf.row(wanted)
        if row is None:
            raise no_such_item(wanted)
        found = inspect(live.model, shelf, row, history, shown, now, rules, live.retriever)
        item = _inspected(found)
    return InspectionOut(
        model_version=live.model.version,
        events=len(history),
        shown=[_listed(one, shelf.titles[shelf.row_of[one.item_id]]) for one in shown[:20]],
        item=item,
    )


def _listed(one: Recommendation, title: str) -> ListedOut:
    return ListedOut(
        item_id=one.item_id, title=title, rank=one.rank, score=one.score, source=one.source
    )


def _inspected(found: Inspection) -> InspectedOut:
    return InspectedOut(
        item_id=found.item_id,
        title=found.title,
        score=found.score,
        p_interest=found.p_interest,
        source=found.explanation.source,
        signals=dict(found.explanation.signals),
        reasons=[ReasonOut(**vars(reason)) for reason in found.explanation.reasons],
        place=found.place,
        place_by_score=found.place_by_score,
        scored=found.scored,
        obstacle=found.obstacle,
        found_by=list(found.found_by),
        pulls=[PullOut(**vars(pull)) for pull in found.pulls],
        written=found.written,
        touches=[TouchOut(**vars(touch)) for touch in found.touches],
    )


@router.get("/models", response_model=VersionsOut, dependencies=[requires("trainings")])
def list_models(desk: Training) -> Any:
    """The versions there are, the newest first, and which is live."""
    active = desk.registry.active()
    found = []
    for version in desk.registry.versions()[: -_MOST_VERSIONS - 1 : -1]:
        manifest = read_manifest(version.path)
        found.append(
            VersionOut(
                number=version.number,
                model_version=manifest.identity,
                created_at=datetime.fromisoformat(manifest.created_at),
                live=active is not None and active.number == version.number,
                rung=manifest.settings.get("learnt", {}).get("rung"),
                ndcg=manifest.metrics.get("ndcg@10"),
            )
        )
    return VersionsOut(models=found)


@router.post("/models/rollback", response_model=WentBackOut, dependencies=[requires("trainings")])
def roll_back(desk: Training) -> Any:
    """Make the model live again that was so before; servers take it up within a second."""
    version = desk.registry.rollback()
    return WentBackOut(model_version=read_manifest(version.path).identity)
