"""One request on a model made by hand: no database, no encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.recommender.catalogue import Catalogue, Shelf, entry_of
from services.recommender.interests import Interaction
from services.recommender.learning.log import EventLog
from services.recommender.learning.parts import Choices, Effort, learn
from services.recommender.learning.shop import Shop, shelf_at
from services.recommender.model import Model, Prepared
from services.recommender.rankers import PARTS, prior
from services.recommender.recommend import Request, recommend, score_shelf, similar
from tests.recommender.shop import DAY, START

NOW = START + 31 * DAY
NOTHING = Prepared([], np.empty((0, 16), np.float16), np.empty(0, np.float32))


@pytest.fixture(scope="module")
def model(shop: Shop, log: EventLog) -> Model:
    parts = learn(shop, log, Choices(behaviour="ease"), Effort(threads=1))
    return Model("v", parts.tower, parts.neighbours, [], prior(), None, NOTHING)


@pytest.fixture(scope="module")
def shelf(shop: Shop, log: EventLog, model: Model) -> Shelf:
    return shelf_at(shop, model.tower, model.model_rows, log, NOW)


def did(*item_ids: str, kind: str = "click") -> list[Interaction]:
    return [Interaction(i, kind, NOW - DAY) for i in item_ids]  # type: ignore[arg-type]


HIKER = did("hiking-rain-tent", "hiking-sun-map")


def test_a_hiker_is_shown_hiking_things(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(n=8), NOW)
    assert all(one.item_id.startswith("hiking") for one in found)


def test_ranks_count_from_one_and_scores_never_rise(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(n=20), NOW)
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= one.p_interest <= 1 for one in found)


def test_what_was_taken_before_does_not_stand_there(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(n=40), NOW)
    assert not {one.item_id for one in found} & {"hiking-rain-tent", "hiking-sun-map"}


def test_what_was_only_viewed_still_may(model: Model, shelf: Shelf) -> None:
    history = [*HIKER, *did("hiking-sun-rope", kind="view")]
    assert "hiking-sun-rope" in {
        one.item_id for one in recommend(model, shelf, history, Request(n=40), NOW)
    }


def test_repeats_come_when_they_are_asked_for(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(n=40, allow_repeats=True), NOW)
    assert "hiking-rain-tent" in {one.item_id for one in found}


def test_one_more_click_changes_the_answer(model: Model, shelf: Shelf) -> None:
    before = recommend(model, shelf, HIKER, Request(n=10), NOW)
    after = recommend(model, shelf, [*HIKER, *did("baking-sun-oven")], Request(n=10), NOW)
    assert [one.item_id for one in before] != [one.item_id for one in after]
    assert any(one.item_id.startswith("baking") for one in after)


def test_a_group_stands_there_once(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(n=40), NOW)
    boots = [one for one in found if one.item_id.endswith("boots")]
    assert len(boots) == 1


def test_named_items_are_all_ranked_and_unknown_ones_passed_over(
    model: Model, shelf: Shelf
) -> None:
    named = frozenset({"hiking-rain-tent", "hiking-rain-boots", "hiking-sun-boots", "no-such"})
    found = recommend(model, shelf, HIKER, Request(n=10, item_ids=named), NOW)
    assert {one.item_id for one in found} == named - {"no-such"}


def test_excluded_items_never_stand_there(model: Model, shelf: Shelf) -> None:
    best = recommend(model, shelf, HIKER, Request(n=1), NOW)[0].item_id
    found = recommend(model, shelf, HIKER, Request(n=40, exclude={best}), NOW)
    assert best not in {one.item_id for one in found}


def test_what_is_out_of_stock_waits_unless_asked_for(model: Model, shelf: Shelf) -> None:
    best = recommend(model, shelf, HIKER, Request(n=1), NOW)[0].item_id
    in_stock = shelf.in_stock.copy()
    in_stock[shelf.row_of[best]] = False
    sold_out = replace(shelf, in_stock=in_stock)
    assert best not in {o.item_id for o in recommend(model, sold_out, HIKER, Request(n=40), NOW)}
    asked = Request(n=1, include_out_of_stock=True)
    assert recommend(model, sold_out, HIKER, asked, NOW)[0].item_id == best


def test_a_stranger_gets_a_shelf_of_both_kinds(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, [], Request(n=8), NOW)
    kinds = {one.item_id.split("-")[0] for one in found}
    assert len(found) == 8 and kinds == {"hiking", "baking"}


def test_a_new_item_lives_from_its_text(model: Model, shelf: Shelf) -> None:
    named = frozenset({"hiking-sun-pack", "baking-sun-rack"})  # nobody ever took either
    found = recommend(model, shelf, HIKER, Request(item_ids=named), NOW)
    assert [one.item_id for one in found] == ["hiking-sun-pack", "baking-sun-rack"]


def test_an_empty_shop_gives_an_empty_answer(model: Model) -> None:
    empty = Catalogue(model.tower, {}).shelf()
    assert recommend(model, empty, HIKER, Request(), NOW) == []


def test_an_item_without_a_vector_is_ranked_without_its_text(model: Model, shop: Shop) -> None:
    catalogue = Catalogue(model.tower, model.model_rows)
    catalogue.put([entry_of(shop.items[0], shop.texts[0], None, False, NOW)])
    shelf = catalogue.shelf()
    assert not shelf.has_text.any()
    found = recommend(model, shelf, HIKER, Request(), NOW)
    assert [one.item_id for one in found] == [shop.items[0].item_id]


# --- why ---------------------------------------------------------------------------------------


def test_the_signals_add_up_to_the_score(model: Model, shelf: Shelf) -> None:
    for one in recommend(model, shelf, HIKER, Request(n=5), NOW):
        assert one.explanation is not None
        assert list(one.explanation.signals) == list(PARTS)
        assert sum(one.explanation.signals.values()) == pytest.approx(one.score, abs=1e-4)


def test_a_reason_names_the_item_of_the_history_and_what_was_done(
    model: Model, shelf: Shelf
) -> None:
    history = [*did("hiking-rain-tent", kind="purchase"), *did("baking-sun-oven")]
    found = recommend(
        model, shelf, history, Request(item_ids={"hiking-sun-tent", "baking-rain-oven"}), NOW
    )
    reasons = {one.item_id: one.explanation.reasons[0] for one in found if one.explanation}
    tent, oven = reasons["hiking-sun-tent"], reasons["baking-rain-oven"]
    assert (tent.item_id, tent.event) == ("hiking-rain-tent", "purchase")
    assert tent.text == "because you bought tent for hiking in the rain"
    assert (oven.item_id, oven.event) == ("baking-sun-oven", "click")
    assert tent.share is not None and 0 < tent.share <= 1


def test_without_the_named_item_the_part_it_made_is_smaller(model: Model, shelf: Shelf) -> None:
    history = did("hiking-rain-tent", "baking-sun-oven", "baking-rain-flour")
    wanted = Request(item_ids={"hiking-sun-tent"})
    first = recommend(model, shelf, history, wanted, NOW)[0].explanation
    assert first is not None and first.reasons[0].item_id == "hiking-rain-tent"
    part = first.reasons[0].part
    without = recommend(model, shelf, history[1:], wanted, NOW)[0].explanation
    assert without is not None and without.signals[part] < first.signals[part]


def test_no_reasons_where_none_are_asked_for(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, HIKER, Request(explain=False), NOW)
    assert all(one.explanation is None for one in found)


def test_similar_items_are_of_the_same_kind_and_of_another_group(
    model: Model, shelf: Shelf
) -> None:
    row = shelf.row_of["hiking-rain-boots"]
    found = [one.item_id for one in similar(model, shelf, row, Request(n=6), NOW)]
    assert len(found) == 6 and all(item_id.startswith("hiking") for item_id in found)
    assert "hiking-rain-boots" not in found and "hiking-sun-boots" not in found


def test_scoring_the_shelf_is_what_the_answer_is_made_of(model: Model, shelf: Shelf) -> None:
    scored = score_shelf(model, shelf, HIKER, NOW)
    for one in recommend(model, shelf, HIKER, Request(n=5), NOW):
        assert one.score == pytest.approx(float(scored.scores[shelf.row_of[one.item_id]]))
