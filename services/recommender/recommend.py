"""One request, top to bottom: what does this user see?

    history → interests → signals of every item → score → who may stand there → the answer → why

Pure: the history was fetched before, the shelf and the model are in memory, no transformer runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.recommender import rules
from services.recommender.candidates import allowed
from services.recommender.catalogue import NO_GROUP, Shelf
from services.recommender.explain import Explanation, explain
from services.recommender.interests import Interaction, Interests, interests_of
from services.recommender.model import Model
from services.recommender.signals import of_items, of_user

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Request:
    """What is asked. `item_ids` None ranks the whole shop, else only those (stock, earlier clicks
    and groups then do not matter: the caller has chosen)."""

    n: int = 10
    item_ids: Collection[str] | None = None
    exclude: Collection[str] = ()
    allow_repeats: bool = False
    include_out_of_stock: bool = False
    explain: bool = True


@dataclass(frozen=True)
class Recommendation:
    """One place of an answer; `explanation` None where none was asked for."""

    item_id: str
    rank: int
    score: float
    p_interest: float
    source: str
    explanation: Explanation | None


@dataclass(frozen=True)
class Scored:
    """The whole shelf for one user: `signals` (n, signals), `scores` (n,)."""

    interests: Interests
    signals: FloatArray
    scores: FloatArray


def score_shelf(model: Model, shelf: Shelf, history: Sequence[Interaction], now: float) -> Scored:
    """Score every item for a user with this history, at the moment `now` (Unix seconds)."""
    interests = interests_of(history, shelf.row, now, model.half_life_days)
    signals = of_user(of_items(shelf, now), shelf, model.tower, model.neighbours, interests)
    return Scored(interests, signals, model.ranker.score(signals))


def recommend(
    model: Model, shelf: Shelf, history: Sequence[Interaction], request: Request, now: float
) -> list[Recommendation]:
    """The answer, the best first; fewer than `n` where fewer may stand there."""
    scored = score_shelf(model, shelf, history, now)
    mask = allowed(
        shelf,
        history,
        item_ids=request.item_ids,
        exclude=request.exclude,
        allow_repeats=request.allow_repeats,
        include_out_of_stock=request.include_out_of_stock,
    )
    rows = _choose(shelf, scored, rules.best_first(scored.scores, mask), request)
    return _answer(model, shelf, scored, rows, history, with_reasons=request.explain)


def similar(model: Model, shelf: Shelf, row: int, n: int, now: float) -> list[Recommendation]:
    """Items like the one in `row`, by text and by behaviour alone."""
    interests = Interests(np.array([row]), np.array([1.0]))
    signals = of_user(of_items(shelf, now), shelf, model.tower, model.neighbours, interests)
    scores = model.ranker.only("text", "behaviour").score(signals)
    mask = shelf.shown & shelf.in_stock
    mask[row] = False
    if shelf.group[row] != NO_GROUP:
        mask &= shelf.group != shelf.group[row]
    rows = rules.one_per_group(rules.best_first(scores, mask), shelf.group)[:n]
    scored = Scored(interests, signals, scores)
    return _answer(model, shelf, scored, rows, [], with_reasons=False)


def _choose(shelf: Shelf, scored: Scored, rows: IntArray, request: Request) -> IntArray:
    if request.item_ids is not None:
        return rows[: request.n]
    rows = rules.one_per_group(rows, shelf.group)
    if len(scored.interests) == 0:
        return rules.spread(rows, scored.scores, shelf.plain, request.n, rules.STRANGER_DIVERSITY)
    return rows[: request.n]


def _answer(
    model: Model,
    shelf: Shelf,
    scored: Scored,
    rows: IntArray,
    history: Sequence[Interaction],
    *,
    with_reasons: bool,
) -> list[Recommendation]:
    scores = scored.scores[rows]
    probabilities = model.ranker.probability(scores)
    explanations = explain(
        model, shelf, rows, scored.signals[rows], scored.interests, history if with_reasons else []
    )
    return [
        Recommendation(
            item_id=shelf.ids[row],
            rank=rank,
            score=float(score),
            p_interest=float(probability),
            source=explanation.source,
            explanation=explanation if with_reasons else None,
        )
        for rank, (row, score, probability, explanation) in enumerate(
            zip(rows, scores, probabilities, explanations, strict=True), start=1
        )
    ]
