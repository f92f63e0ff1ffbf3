"""How does the shop read, change and try its rules?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from core.web import Caller, requires
from services.recommender.api import Given, check_count
from services.recommender.recommend import recommend
from services.recommender.rule_store import RuleVersion
from services.recommender.rules import parse_rules
from services.recommender.schemas import (
    RecommendationOut,
    RecommendationsIn,
    recommendation_out,
)

router = APIRouter(prefix="/v1/rules")
Ruling = Annotated[Caller, requires("rules")]
_LARGEST = 2**53

# What a rule is: rules.py, which names the path of what is wrong.
RuleList = list[dict[str, Any]]
Note = Annotated[str, Field(max_length=1_000)]


class RulesIn(BaseModel):
    """All the rules; what is not in the list is no rule any more. `based_on`: the version that was
    changed, so that nobody's change is lost."""

    rules: RuleList
    note: Note = ""
    based_on: Annotated[int, Field(ge=0, le=_LARGEST)] | None = None


class RollbackIn(BaseModel):
    """Back to this version; 0 is no rules."""

    version: Annotated[int, Field(ge=0, le=_LARGEST)]
    note: Note = ""


class PreviewIn(RecommendationsIn):
    """A recommendation request, and the rules to try."""

    rules: RuleList


class RuleVersionOut(BaseModel):
    version: int
    rules: RuleList
    author: str
    note: str
    created_at: datetime | None
    restored: int | None


class RuleVersionsOut(BaseModel):
    versions: list[RuleVersionOut]
    cursor: str | None


class PreviewOut(BaseModel):
    """The two lists; `came` and `went` are the items that only the one or the other has."""

    version: int
    now: list[RecommendationOut]
    then: list[RecommendationOut]
    came: list[str]
    went: list[str]


@router.get("", response_model=RuleVersionOut, dependencies=[requires("rules")])
def read_rules(parts: Given) -> Any:
    """The rules in force."""
    return _version_out(parts.rules.current())


@router.put("", response_model=RuleVersionOut)
def put_rules(body: RulesIn, parts: Given, caller: Ruling) -> Any:
    """Replace all rules by these; they are in force in the next answer of every process."""
    made = parts.rules.put(body.rules, caller.name, body.note, parts.seconds(), body.based_on)
    return _version_out(made)


@router.get("/versions", response_model=RuleVersionsOut, dependencies=[requires("rules")])
def list_versions(
    parts: Given,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[int | None, Query(ge=1, le=_LARGEST)] = None,
) -> Any:
    """Every version, the newest first."""
    found = parts.rules.versions(limit + 1, cursor)
    return RuleVersionsOut(
        versions=[_version_out(one) for one in found[:limit]],
        cursor=str(found[limit - 1].version) if len(found) > limit else None,
    )


@router.post("/rollback", response_model=RuleVersionOut)
def roll_back(body: RollbackIn, parts: Given, caller: Ruling) -> Any:
    """Make an older version's rules those in force, as a version of their own."""
    made = parts.rules.roll_back(body.version, caller.name, body.note, parts.seconds())
    return _version_out(made)


@router.post("/preview", response_model=PreviewOut, dependencies=[requires("rules")])
def preview(body: PreviewIn, parts: Given) -> Any:
    """What these rules would change for somebody; nothing is stored."""
    check_count(body.n, parts.settings.max_recommendations)
    request, tried = body.request(), parse_rules(body.rules)
    live = parts.models.current()
    shelf, book = live.shelf(), parts.rules.in_force()
    history = parts.events.history(body.user_id, body.session_id, live.encoder_id)
    now, then = (
        # The same draw on both sides, so that what differs comes from the rules.
        recommend(
            live.model,
            shelf,
            history,
            request,
            parts.seconds(),
            rules.of(body.scenario),
            np.random.default_rng(0),
            live.retriever,
        )
        for rules in (book, tried)
    )
    before, after = {one.item_id for one in now}, {one.item_id for one in then}
    return PreviewOut(
        version=book.version,
        now=[recommendation_out(one) for one in now],
        then=[recommendation_out(one) for one in then],
        came=[one.item_id for one in then if one.item_id not in before],
        went=[one.item_id for one in now if one.item_id not in after],
    )


def _version_out(made: RuleVersion | None) -> RuleVersionOut:
    if made is None:
        nothing: dict[str, Any] = {"author": "", "note": "", "created_at": None, "restored": None}
        return RuleVersionOut(version=0, rules=[], **nothing)
    created = datetime.fromtimestamp(made.created_at, UTC)
    return RuleVersionOut(**{**vars(made), "created_at": created})
