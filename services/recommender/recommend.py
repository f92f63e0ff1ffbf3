"""One request, top to bottom: what does this user see?

    who may stand there → history → interests → which items are worth scoring → their signals
        → score → boosts → which item stands in which place → the answer → why

Pure: the history was fetched before, the shelf and the model are in memory, no transformer runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.recommender.candidates import allowed, without_taken
from services.recommender.catalogue import NO_GROUP, Shelf
from services.recommender.diversity import STRANGER_DIVERSITY, best_first
from services.recommender.explain import Explanation, Standing, explain, told
from services.recommender.filters import Condition, check_attributes
from services.recommender.filters import mask as condition_mask
from services.recommender.interests import Interaction, Interests, comments_of, interests_of
from services.recommender.model import Model
from services.recommender.places import Placed, Wish, place
from services.recommender.retrieval import Retriever
from services.recommender.rules import NO_RULES, Boost, Rules, added_to
from services.recommender.signals import of_items, of_user

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.uint32]
IntArray = npt.NDArray[np.int64]

# Below every score; finite, so that sums and probabilities of it are numbers.
NOT_SCORED = np.float32(-1e9)


@dataclass(frozen=True)
class Request:
    """What is asked. `item_ids` None ranks the whole shop, else only those (stock, earlier clicks,
    groups, pins and caps then do not matter: the caller has chosen). `diversity` 0 to 1, None for
    what suits the user; `freshness` and `exploration` are shares of the places, see places.py.
    `passed` are marks of the items on earlier pages, and `first_place` how many there were."""

    n: int = 10
    item_ids: Collection[str] | None = None
    exclude: Collection[str] = ()
    allow_repeats: bool = False
    include_out_of_stock: bool = False
    explain: bool = True
    filter: Condition | None = None
    boosts: Sequence[Boost] = ()
    diversity: float | None = None
    freshness: float = 0.0
    exploration: float = 0.0
    passed: Marks | None = None
    first_place: int = 0


@dataclass(frozen=True)
class Recommendation:
    """One place of an answer; `explanation` None where none was asked for. `p_interest` is of the
    item as it is: a boost changes its place, not the user. `propensity` is the chance with which
    an item that is shown to be learnt about was drawn, None for the others."""

    item_id: str
    rank: int
    score: float
    p_interest: float
    source: str
    explanation: Explanation | None
    propensity: float | None = None


@dataclass(frozen=True)
class Scored:
    """The items for one user: `scores` (n,) of the whole shelf, NOT_SCORED for what was not worth
    it; `signals` (rows, signals) of the `rows`, ascending, that were (None: all)."""

    interests: Interests
    signals: FloatArray
    scores: FloatArray
    rows: IntArray | None = None

    def signals_of(self, rows: IntArray) -> FloatArray:
        """(rows, signals) of rows that were scored."""
        return self.signals[rows if self.rows is None else np.searchsorted(self.rows, rows)]


def score_shelf(model: Model, shelf: Shelf, history: Sequence[Interaction], now: float) -> Scored:
    """Score every item for a user with this history, at the moment `now` (Unix seconds)."""
    return score(model, shelf, understood(model, shelf, history, now), now)


def understood(model: Model, shelf: Shelf, history: Sequence[Interaction], now: float) -> Interests:
    """The user's interests by what they did and wrote."""
    did = interests_of(history, shelf.row, now, model.half_life_days)
    said = comments_of(history, shelf.row, now, model.half_life_days)
    return model.tower.hear(did, said)


def score(
    model: Model, shelf: Shelf, interests: Interests, now: float, rows: IntArray | None = None
) -> Scored:
    """Score `rows` (ascending; None: all) of the shelf."""
    signals = of_user(of_items(shelf, now, rows), shelf, model.tower, model.neighbours, interests)
    found = model.ranker.score(signals)
    if rows is None:
        return Scored(interests, signals, found)
    scores = np.full(len(shelf), NOT_SCORED, dtype=np.float32)
    scores[rows] = found
    return Scored(interests, signals, scores, rows)


def recommend(
    model: Model,
    shelf: Shelf,
    history: Sequence[Interaction],
    request: Request,
    now: float,
    rules: Rules = NO_RULES,
    rng: np.random.Generator | None = None,
    retriever: Retriever | None = None,
) -> list[Recommendation]:
    """The answer, the best first; fewer than `n` where fewer may stand there. `rng` draws what is
    explored; without one it is always the same. Without a `retriever` every item is scored."""
    mask = may_stand(shelf, request, rules)
    fresh_to_user = mask if _repeats(request) else without_taken(mask, shelf, history)
    interests = understood(model, shelf, history, now)
    rows = None
    if retriever is not None:
        preferred = _preferred(shelf, mask, request, rules)
        rows = retriever.worth_scoring(shelf, interests, mask, now, preferred)
        mask, fresh_to_user = _only(rows, mask), _only(rows, fresh_to_user)
    scored = score(model, shelf, interests, now, rows)
    boost = added_to([*rules.boosts, *request.boosts], shelf)
    placed = arrange(
        shelf,
        scored.scores + boost,
        fresh_to_user,
        mask,
        request,
        rules,
        now,
        rng or np.random.default_rng(0),
        known=len(interests) > 0 or interests.words is not None,
    )
    return _answer(model, shelf, scored, boost, placed, request, history)


def _preferred(shelf: Shelf, mask: BoolArray, request: Request, rules: Rules) -> list[BoolArray]:
    """Masks of what pins and boosts want to see, each to be among what is scored."""
    wanted = [pin.condition for pin in rules.pins]
    wanted += [b.condition for b in [*rules.boosts, *request.boosts] if b.added > 0]
    return [mask & condition_mask(condition, shelf) for condition in wanted]


def _only(rows: IntArray, mask: BoolArray) -> BoolArray:
    result = np.zeros_like(mask)
    result[rows] = mask[rows]
    return result


def may_stand(shelf: Shelf, request: Request, rules: Rules) -> BoolArray:
    """(n,) what stock, filters, rules and earlier pages leave, whoever asks. InvalidInput where the
    request asks for an attribute that no item has."""
    for condition in [request.filter, *(boost.condition for boost in request.boosts)]:
        if condition is not None:
            check_attributes(condition, shelf)
    hidden = rules.hide_out_of_stock
    out_of_stock = request.include_out_of_stock if hidden is None else not hidden
    return allowed(
        shelf,
        item_ids=request.item_ids,
        exclude=request.exclude,
        include_out_of_stock=out_of_stock,
        wanted=request.filter,
        blocks=rules.blocks,
        passed=request.passed,
    )


def arrange(
    shelf: Shelf,
    scores: FloatArray,
    mask: BoolArray,
    may_be_pinned: BoolArray,
    request: Request,
    rules: Rules,
    now: float,
    rng: np.random.Generator,
    *,
    known: bool,
) -> Placed:
    """Which item stands where. Named items go by their scores alone; where nothing is `known` of
    the user the answer is spread over the shop unless the request says otherwise."""
    if request.item_ids is not None:
        return Placed(best_first(scores, mask)[: request.n])
    usual = 0.0 if known else STRANGER_DIVERSITY
    wish = Wish(
        request.n,
        usual if request.diversity is None else request.diversity,
        request.freshness,
        request.exploration,
        request.first_place,
    )
    return place(shelf, scores, mask, may_be_pinned, rules, wish, now, rng)


def similar(
    model: Model,
    shelf: Shelf,
    row: int,
    request: Request,
    now: float,
    rules: Rules = NO_RULES,
    retriever: Retriever | None = None,
) -> list[Recommendation]:
    """Items like the one in `row`, by text and by behaviour alone."""
    mask = may_stand(shelf, request, rules)
    mask[row] = False
    if shelf.group[row] != NO_GROUP:
        mask &= shelf.group != shelf.group[row]
    interests = Interests(np.array([row]), np.array([1.0]))
    alike = replace(model, ranker=model.ranker.only("text", "behaviour"))
    rows = None
    if retriever is not None:
        preferred = _preferred(shelf, mask, request, rules)
        rows = retriever.worth_scoring(shelf, interests, mask, now, preferred)
        mask = _only(rows, mask)
    scored = score(alike, shelf, interests, now, rows)
    boost = added_to([*rules.boosts, *request.boosts], shelf)
    rng = np.random.default_rng(0)
    placed = arrange(shelf, scored.scores + boost, mask, mask, request, rules, now, rng, known=True)
    return _answer(model, shelf, scored, boost, placed, request, [])


def _repeats(request: Request) -> bool:
    return request.allow_repeats or request.item_ids is not None


def _answer(
    model: Model,
    shelf: Shelf,
    scored: Scored,
    boost: FloatArray,
    placed: Placed,
    request: Request,
    history: Sequence[Interaction],
) -> list[Recommendation]:
    rows = placed.rows
    probabilities = model.ranker.probability(scored.scores[rows])
    explanations = explain(
        model,
        shelf,
        rows,
        scored.signals_of(rows),
        scored.interests,
        history if request.explain else [],
    )
    answer = []
    places = zip(rows.tolist(), probabilities.tolist(), explanations, strict=True)
    for rank, (row, probability, explanation) in enumerate(places, 1 + request.first_place):
        standing = Standing(
            float(boost[row]),
            row in placed.pinned,
            row in placed.explored,
            placed.instead_of.get(row),
        )
        why = told(explanation, standing, shelf)
        answer.append(
            Recommendation(
                item_id=shelf.ids[row],
                rank=rank,
                score=float(scored.scores[row] + boost[row]),
                p_interest=probability,
                source=why.source,
                explanation=why if request.explain else None,
                propensity=placed.explored.get(row),
            )
        )
    return answer
