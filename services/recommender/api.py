"""Which endpoints are there? They translate between HTTP and the service, and decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from core.errors import InvalidInput, NotFound, NotReady
from core.inference.slot import ModelSlot
from core.web import Caller, requires
from services.recommender import filters, scroll
from services.recommender.answer_log import Answer, AnswerLog
from services.recommender.catalogue import Shelf
from services.recommender.event_store import EventStore
from services.recommender.live import Live
from services.recommender.recommend import Recommendation, recommend, similar
from services.recommender.recommend import Request as Ranking
from services.recommender.rule_store import RuleStore
from services.recommender.schemas import (
    AnyAnswer,
    Identifier,
    RecommendationsIn,
    RecommendationsOut,
    SimilarItemOut,
    SimilarOut,
    recommendation_out,
)
from services.recommender.sessions import SESSION, check_own_session
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import SCENARIO_CHARS
from services.recommender.uploads import UploadStore

# What stands in a web page may call these too, for its own session.
bound = APIRouter(prefix="/v1")


@dataclass(frozen=True)
class Parts:
    """What the endpoints work with."""

    settings: Settings
    items: ItemStore
    events: EventStore
    uploads: UploadStore
    models: ModelSlot[Live]
    answers: AnswerLog
    rules: RuleStore
    now: Callable[[], datetime]

    def seconds(self) -> float:
        """The present moment in Unix seconds."""
        return self.now().timestamp()

    def answered(self, scenario: str | None, answer: AnyAnswer) -> AnyAnswer:
        """The answer, remembered for attribution."""
        ids = [item.item_id for item in answer.items]
        said = (answer.recommendation_id, answer.model_version, scenario or "")
        self.answers.put(Answer(*said, self.seconds(), ids))
        return answer

    def live(self) -> Live | None:
        """The live model, None before the first."""
        try:
            return self.models.current()
        except NotReady:
            return None


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(_parts)]
Recommending = Annotated[Caller, requires("recommend", SESSION)]
ItemId = Annotated[Identifier, Path()]
# A filter in an address: the JSON of filters.py.
FilterText = Annotated[str | None, Query(max_length=4_000)]
# Where a list stands on the page; each has its own name by default.
Scenario = Annotated[str, Query(max_length=SCENARIO_CHARS)]


@bound.post("/recommendations", response_model=RecommendationsOut)
def recommendations(body: RecommendationsIn, parts: Given, caller: Recommending) -> Any:
    """The items that interest a user most, by what is known at this moment."""
    check_own_session(caller, body.user_id, body.session_id)
    check_count(body.n, parts.settings.max_recommendations)
    live = parts.models.current()
    shelf = live.shelf()
    request, rules = body.request(), parts.rules.in_force().of(body.scenario)
    history = parts.events.history(body.user_id, body.session_id, live.encoder_id)
    answer_id, rng = new_answer()
    found = recommend(
        live.model, shelf, history, request, parts.seconds(), rules, rng, live.retriever
    )
    return parts.answered(
        body.scenario,
        RecommendationsOut(
            recommendation_id=answer_id,
            model_version=live.model.version,
            items=[recommendation_out(one) for one in found],
            cursor=next_page(request, shelf, found),
        ),
    )


@bound.get(
    "/similar/{item_id:path}",
    response_model=SimilarOut,
    dependencies=[requires("recommend", SESSION)],
)
def similar_items(
    item_id: ItemId,
    parts: Given,
    n: Annotated[int, Query(ge=1, le=1_000)] = 10,
    scenario: Scenario = "similar",
    filter: FilterText = None,
) -> Any:
    """Items like this one, by text and by who took both."""
    check_count(n, parts.settings.max_recommendations)
    live = parts.models.current()
    shelf = live.shelf()
    row = shelf.row(item_id)
    if row is None:
        raise no_such_item(item_id)
    request = Ranking(n=n, filter=filters.read(filter), explain=False)
    rules = parts.rules.in_force().of(scenario).without_pins()
    found = similar(live.model, shelf, row, request, parts.seconds(), rules, live.retriever)
    return parts.answered(
        scenario,
        SimilarOut(
            recommendation_id=new_answer()[0],
            item_id=item_id,
            model_version=live.model.version,
            items=[
                SimilarItemOut(item_id=one.item_id, rank=one.rank, score=one.score) for one in found
            ],
        ),
    )


def new_answer() -> tuple[str, np.random.Generator]:
    """The id of an answer, and the generator that draws what it explores: with the id, which is
    logged, the draw can be made again."""
    answer_id = uuid4()
    return answer_id.hex, np.random.default_rng(answer_id.int)


def next_page(request: Ranking, shelf: Shelf, found: Sequence[Recommendation]) -> str | None:
    """The cursor behind an answer, None where none was asked for or the list ends here."""
    if request.passed is None or len(found) < request.n:
        return None
    rows = [shelf.row_of[one.item_id] for one in found]
    return scroll.encode(request.passed, shelf.mark[rows].tolist())


def check_count(n: int, most: int) -> None:
    """InvalidInput for more than the setting allows."""
    if n > most:
        raise InvalidInput(f"n must be at most {most}, was: {n}", mend="Ask for fewer.")


def no_such_item(item_id: str) -> NotFound:
    """What asking for an item that is not there is answered with."""
    return NotFound(f"there is no item {item_id!r}", mend="Add it with PUT /v1/items.")
