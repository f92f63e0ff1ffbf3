"""Why would this shopper see this item, or not? Pure: one item taken apart for the shop's owner.

What a recommendation tells in a few words is told here in full: every part of the score, every item
of the history with its share of the match and the words that both have, where the item was found,
what the rules did, and what keeps it from the list where something does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from core.data.records import EventKind
from services.recommender.candidates import without_taken
from services.recommender.catalogue import Shelf
from services.recommender.domain import strength
from services.recommender.explain import Explanation, behaviour_shares, explain
from services.recommender.filters import mask as condition_mask
from services.recommender.interests import Interaction, Interests
from services.recommender.model import Model
from services.recommender.recommend import (
    Recommendation,
    Request,
    Scored,
    may_stand,
    recommend,
    score,
    understood,
)
from services.recommender.retrieval import Retriever
from services.recommender.rules import Rules, added_to

BoolArray = npt.NDArray[np.bool_]

# Places of the list that are looked at for the item.
LIST_PLACES: Final = 100
_MOST_PULLS: Final = 12
_MOST_WORDS: Final = 8
_WORD = re.compile(r"\w{3,}")
# Words that say nothing of an item.
_EMPTY = re.compile(
    "and|are|but|for|from|into|its|not|one|out|over|set|that|the|them|this|two|with|without|you|your|"
    "aus|bei|das|den|der|die|ein|für|mit|ohne|und|von"
)

# Why an item is not in the list: see `_kept_out`.
Obstacle = Literal["out_of_stock", "blocked", "taken", "not_found", "too_low"]


@dataclass(frozen=True)
class Pull:
    """An item of the history. `text` and `behaviour`: its share of the match, 0 to 1; `words`: what
    both items are called; `event` is the strongest on it, `at` the last, in Unix seconds."""

    item_id: str
    title: str
    event: EventKind | None
    at: float | None
    weight: float
    text: float
    behaviour: float
    words: Sequence[str]


@dataclass(frozen=True)
class Touch:
    """What a rule did: `kind` of rule and, for a boost, what it added."""

    kind: Literal["boost", "pin", "block", "cap", "stock"]
    added: float = 0.0


@dataclass(frozen=True)
class Inspection:
    """`signals`: part → what it adds; they sum to `score`. `place`: where it stands in the list of
    LIST_PLACES, None where it does not; `place_by_score` among the `scored` items."""

    item_id: str
    title: str
    score: float
    p_interest: float
    explanation: Explanation
    place: int | None
    place_by_score: int
    scored: int
    obstacle: Obstacle | None
    found_by: Sequence[str]
    pulls: Sequence[Pull]
    written: float
    touches: Sequence[Touch] = field(default_factory=list)


def the_list(
    model: Model,
    shelf: Shelf,
    history: Sequence[Interaction],
    now: float,
    rules: Rules,
    retriever: Retriever,
) -> list[Recommendation]:
    """What this shopper is shown, the first LIST_PLACES."""
    request = Request(n=LIST_PLACES)
    return recommend(model, shelf, history, request, now, rules, None, retriever)


def inspect(
    model: Model,
    shelf: Shelf,
    row: int,
    history: Sequence[Interaction],
    shown: Sequence[Recommendation],
    now: float,
    rules: Rules,
    retriever: Retriever,
) -> Inspection:
    """The item in `row` for the user with this history; `shown` is their list."""
    interests = understood(model, shelf, history, now)
    standing = may_stand(shelf, Request(), rules)
    left = without_taken(standing, shelf, history)
    worth = retriever.worth_scoring(shelf, interests, standing, now)
    scored = score(model, shelf, interests, now, np.union1d(worth, [row]))
    boosts = added_to(rules.boosts, shelf)
    rows = np.array([row], dtype=np.int64)
    [bare] = explain(model, shelf, rows, scored.signals_of(rows), interests, history)
    listed = next((one for one in shown if one.item_id == shelf.ids[row]), None)
    explanation = listed.explanation if listed and listed.explanation else bare
    signals = dict(bare.signals) | ({"boost": float(boosts[row])} if boosts[row] else {})
    mine = float(scored.scores[row] + boosts[row])
    rivals = worth[left[worth]]
    higher = int(np.count_nonzero((scored.scores + boosts)[rivals] > mine))
    return Inspection(
        item_id=shelf.ids[row],
        title=shelf.titles[row],
        score=mine,
        p_interest=float(model.ranker.probability(scored.scores[rows])[0]),
        explanation=Explanation(explanation.source, signals, explanation.reasons),
        place=None if listed is None else listed.rank,
        place_by_score=higher + 1,
        scored=len(rivals),
        obstacle=None if listed else _kept_out(shelf, row, standing, left, worth, rules),
        found_by=retriever.found_by(shelf, interests, standing, now, row),
        pulls=_pulls(model, shelf, row, interests, history),
        written=_written(model, shelf, row, scored),
        touches=_touches(shelf, row, explanation, float(boosts[row]), rules),
    )


def _kept_out(
    shelf: Shelf,
    row: int,
    standing: BoolArray,
    left: BoolArray,
    worth: npt.NDArray[np.int64],
    rules: Rules,
) -> Obstacle:
    if any(condition_mask(block, shelf)[row] for block in rules.blocks):
        return "blocked"
    if not standing[row]:
        return "out_of_stock"
    if not left[row]:
        return "taken"
    return "too_low" if row in worth else "not_found"


def _pulls(
    model: Model, shelf: Shelf, row: int, interests: Interests, history: Sequence[Interaction]
) -> list[Pull]:
    """The items of the history that pull most."""
    rows = np.array([row], dtype=np.int64)
    if len(interests) == 0:
        return []
    text = model.tower.learnt.shares(shelf.learnt, rows, interests)[0]
    behaviour = behaviour_shares(model, shelf, rows, interests)[0]
    did = _did(history)
    mine = called(shelf, row)
    order = np.argsort(-(text + behaviour), kind="stable")[:_MOST_PULLS]
    found = []
    for place in order.tolist():
        other = int(interests.rows[place])
        kind, at = did.get(shelf.ids[other], (None, None))
        words = [word for word in called(shelf, other) if word in mine and other != row]
        found.append(
            Pull(
                item_id=shelf.ids[other],
                title=shelf.titles[other],
                event=kind,
                at=at,
                weight=float(interests.weights[place]),
                text=float(text[place]),
                behaviour=float(behaviour[place]),
                words=words[:_MOST_WORDS],
            )
        )
    return found


def _did(history: Sequence[Interaction]) -> dict[str, tuple[EventKind, float]]:
    """Item → the strongest event on it, and the moment of the last."""
    found: dict[str, tuple[float, EventKind, float]] = {}
    for event in history:
        power, _, last = found.get(event.item_id, (-np.inf, event.kind, event.timestamp))
        mine = strength(event.kind, event.value)
        kind = event.kind if mine >= power else found[event.item_id][1]
        found[event.item_id] = (max(mine, power), kind, max(last, event.timestamp))
    return {item_id: (kind, at) for item_id, (_, kind, at) in found.items()}


def called(shelf: Shelf, row: int) -> list[str]:
    """Tags of the item, then the words of its title, small letters, each once."""
    code = int(shelf.tags[row])
    tags = [] if code < 0 else [str(tag).casefold() for tag in shelf.fields.tags[code]]
    words = [word.casefold() for word in _WORD.findall(shelf.titles[row])]
    inside = {part for tag in tags for part in tag.split()}
    return list(
        dict.fromkeys([*tags, *(w for w in words if w not in inside and not _EMPTY.fullmatch(w))])
    )


def _written(model: Model, shelf: Shelf, row: int, scored: Scored) -> float:
    """The share of the match by text that the user's comments make up."""
    if scored.interests.words is None:
        return 0.0
    rows = np.array([row], dtype=np.int64)
    shares = model.tower.learnt.shares(shelf.learnt, rows, scored.interests)
    return float(np.clip(1.0 - shares.sum(), 0.0, 1.0))


def _touches(
    shelf: Shelf, row: int, explanation: Explanation, boost: float, rules: Rules
) -> list[Touch]:
    found = [Touch("boost", boost)] if boost else []
    if explanation.source == "pinned":
        found.append(Touch("pin"))
    if any(condition_mask(block, shelf)[row] for block in rules.blocks):
        found.append(Touch("block"))
    if rules.caps:
        found.append(Touch("cap"))
    if rules.hide_out_of_stock is not None and not shelf.in_stock[row]:
        found.append(Touch("stock"))
    return found
