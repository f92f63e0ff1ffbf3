"""Rules, boosts, variety, freshness and exploration in one answer, on a model made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from services.recommender import filters
from services.recommender.catalogue import Shelf
from services.recommender.interests import Interests
from services.recommender.model import Model
from services.recommender.recommend import Recommendation, Request, recommend, similar
from services.recommender.rules import NO_RULES, Rules, parse_boost, parse_rules
from services.recommender.signals import behaviour_interests
from tests.recommender.shop import DAY
from tests.recommender.test_recommend import HIKER, NOW, did, model, shelf

__all__ = ["model", "shelf"]


def rules(*raw: dict[str, Any], scenario: str | None = None) -> Rules:
    return parse_rules(list(raw)).of(scenario)


def ask(
    model: Model, shelf: Shelf, request: Request, asked: Rules = NO_RULES, seed: int = 0
) -> list[Recommendation]:
    return recommend(model, shelf, HIKER, request, NOW, asked, np.random.default_rng(seed))


def ids(found: list[Recommendation]) -> list[str]:
    return [one.item_id for one in found]


def check_sums(found: list[Recommendation]) -> None:
    for one in found:
        assert one.explanation is not None
        assert sum(one.explanation.signals.values()) == pytest.approx(one.score, abs=1e-3)


def test_a_filter_bounds_the_answer(model: Model, shelf: Shelf) -> None:
    wanted = filters.parse({"category": "baking", "price": {"lt": 13}})
    found = ask(model, shelf, Request(n=40, filter=wanted))
    assert found and all(one.item_id.startswith("baking") for one in found)
    assert all(shelf.price[shelf.row_of[one.item_id]] < 13 for one in found)


def test_a_slip_in_an_attribute_is_told(model: Model, shelf: Shelf) -> None:
    wanted = filters.parse({"attributes.colour": "red"})
    with pytest.raises(InvalidInput, match=r"filter.attributes.colour: no item has"):
        ask(model, shelf, Request(filter=wanted))
    ask(model, shelf, Request(), Rules(blocks=[wanted]))


def test_a_boost_is_a_part_of_the_score_and_leaves_the_interest(model: Model, shelf: Shelf) -> None:
    plain = {one.item_id: one for one in ask(model, shelf, Request(n=40))}
    boost = parse_boost({"filter": {"category": "baking"}, "factor": 500}, "boost[0]")
    found = ask(model, shelf, Request(n=40, boosts=[boost]))
    assert found[0].item_id.startswith("baking")
    check_sums(found)
    first = found[0]
    assert first.explanation is not None
    assert first.explanation.signals["boost"] == pytest.approx(np.log(500), abs=1e-4)
    assert first.explanation.reasons[0].part == "boost"
    before = plain[first.item_id]
    assert first.p_interest == before.p_interest
    assert first.score == pytest.approx(before.score + np.log(500), abs=1e-4)


def test_a_pin_stands_where_it_was_put_though_it_was_taken(model: Model, shelf: Shelf) -> None:
    pins = rules(
        {"kind": "pin", "item_id": "hiking-rain-tent", "position": 2},
        {"kind": "pin", "filter": {"category": "baking"}, "position": 4},
        {"kind": "pin", "item_id": "no-such", "position": 1},
    )
    found = ask(model, shelf, Request(n=5), pins)
    assert found[1].item_id == "hiking-rain-tent" and found[1].source == "pinned"
    assert found[3].item_id.startswith("baking")
    assert len(found) == 5 and len(set(ids(found))) == 5
    assert found[1].explanation is not None and found[1].explanation.reasons[0].part == "pin"
    check_sums(found)


def test_a_pin_gives_way_to_filters_and_blocks(model: Model, shelf: Shelf) -> None:
    pin = {"kind": "pin", "item_id": "hiking-sun-rope", "position": 1}
    block = {"kind": "block", "filter": {"item_id": "hiking-sun-rope"}}
    assert "hiking-sun-rope" not in ids(ask(model, shelf, Request(n=40), rules(pin, block)))
    baking = Request(n=40, filter=filters.parse({"category": "baking"}))
    assert "hiking-sun-rope" not in ids(ask(model, shelf, baking, rules(pin)))


def test_a_cap_holds_and_pins_count_in_it(model: Model, shelf: Shelf) -> None:
    cap = {"kind": "cap", "field": "category", "most": 3}
    pin = {"kind": "pin", "item_id": "hiking-sun-rope", "position": 1}
    found = ids(ask(model, shelf, Request(n=10), rules(cap, pin)))
    assert len(found) == 6 and found[0] == "hiking-sun-rope"
    assert sum(item_id.startswith("hiking") for item_id in found) == 3


def test_stock_is_as_the_rule_says(model: Model, shelf: Shelf) -> None:
    sold_out = replace(shelf, in_stock=np.zeros(len(shelf), bool))
    show = rules({"kind": "stock", "hide_out_of_stock": False})
    hide = rules({"kind": "stock", "hide_out_of_stock": True})
    assert ask(model, sold_out, Request()) == []
    assert len(ask(model, sold_out, Request(), show)) == 10
    assert ask(model, sold_out, Request(include_out_of_stock=True), hide) == []


def test_named_items_are_boosted_and_blocked_but_not_capped(model: Model, shelf: Shelf) -> None:
    named = frozenset({"hiking-rain-tent", "hiking-sun-tent", "baking-sun-tin"})
    cap = {"kind": "cap", "field": "category", "most": 1}
    block = {"kind": "block", "filter": {"item_id": "hiking-sun-tent"}}
    boost = {"kind": "boost", "filter": {"category": "baking"}, "factor": 1000}
    found = ask(model, shelf, Request(item_ids=named), rules(cap, block, boost))
    assert ids(found) == ["baking-sun-tin", "hiking-rain-tent"]


# --- variety, freshness, exploration -----------------------------------------------------------


def test_variety_trades_and_says_what_for_what(model: Model, shelf: Shelf) -> None:
    plain = ids(ask(model, shelf, Request(n=6)))
    varied = ask(model, shelf, Request(n=6, diversity=0.7))
    came = [one for one in varied if one.item_id not in plain]
    assert came and varied[0].item_id == plain[0]
    told = [r for one in came if one.explanation for r in one.explanation.reasons]
    instead = {reason.item_id for reason in told if reason.part == "variety"}
    assert instead == set(plain) - set(ids(varied))


def test_a_stranger_may_ask_for_no_variety(model: Model, shelf: Shelf) -> None:
    found = recommend(model, shelf, [], Request(n=8, diversity=0.0), NOW)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_new_items_get_their_share_and_the_rest_stays_in_order(model: Model, shelf: Shelf) -> None:
    created = np.where(np.arange(len(shelf)) % 5 == 0, NOW - DAY, NOW - 400 * DAY)
    some_new = replace(shelf, created_at=created)
    new = {shelf.ids[row] for row in range(0, len(shelf), 5)}
    none = ask(model, some_new, Request(n=10, filter=filters.parse({"category": "hiking"})))
    found = ask(model, some_new, Request(n=10, freshness=0.5))
    assert sum(item_id in new for item_id in ids(found)) >= 5
    assert sum(one.item_id in new for one in none) < 5
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_a_share_of_places_is_for_items_of_which_little_is_known(
    model: Model, shelf: Shelf
) -> None:
    little = replace(shelf, positives=np.where(np.arange(len(shelf)) % 2 == 0, 50.0, 1.0))
    plain = ids(ask(model, little, Request(n=10)))
    found = ask(model, little, Request(n=10, exploration=0.3))
    drawn = [one for one in found if one.source == "exploration"]
    assert len(drawn) == 3 and found[0].item_id == plain[0]
    assert not {one.item_id for one in drawn} & set(plain)
    for one in drawn:
        assert little.positives[shelf.row_of[one.item_id]] < 10
        assert one.propensity is not None and 0 < one.propensity < 1
        assert one.explanation is not None and one.explanation.reasons[0].part == "exploration"
    assert all(one.propensity is None for one in found if one.source != "exploration")
    kept = [one.item_id for one in found if one.source != "exploration"]
    assert kept == plain[:7]
    check_sums(found)
    assert ids(ask(model, little, Request(n=10, exploration=0.3))) == ids(found)
    others = {
        tuple(ids(ask(model, little, Request(n=10, exploration=0.3), seed=s))) for s in (1, 2)
    }
    assert len(others | {tuple(ids(found))}) > 1


def test_a_later_page_repeats_neither_items_nor_their_groups(model: Model, shelf: Shelf) -> None:
    first = ask(model, shelf, Request(n=15))
    passed = shelf.mark[[shelf.row_of[one.item_id] for one in first]]
    second = ask(model, shelf, Request(n=40, passed=passed, first_place=15))
    groups = {int(shelf.group[shelf.row_of[one.item_id]]) for one in first} - {-1}
    assert groups and not set(ids(first)) & set(ids(second))
    assert not groups & {int(shelf.group[shelf.row_of[one.item_id]]) for one in second}
    assert second[0].rank == 16
    everything = ask(model, shelf, Request(n=100))
    assert ids(first) + ids(second) == ids(everything)


def test_similar_items_keep_to_filters_and_rules(model: Model, shelf: Shelf) -> None:
    row = shelf.row_of["hiking-rain-boots"]
    block = rules({"kind": "block", "filter": {"item_id": "hiking-sun-rope"}})
    cheap = Request(n=40, filter=filters.parse({"price": {"lt": 13}}))
    found = ids(similar(model, shelf, row, cheap, NOW, block))
    assert found and all(shelf.price[shelf.row_of[item_id]] < 13 for item_id in found)
    assert "hiking-sun-rope" not in ids(similar(model, shelf, row, Request(n=40), NOW, block))


# --- what is said is so ------------------------------------------------------------------------

HISTORY = did("hiking-rain-tent", "baking-sun-oven", "baking-rain-flour", "hiking-sun-map")


def test_without_the_named_item_the_match_of_the_text_is_less_by_its_share(
    model: Model, shelf: Shelf
) -> None:
    rows = np.array([shelf.row_of[event.item_id] for event in HISTORY])
    interests = Interests(rows, np.array([1.0, 0.7, 0.5, 0.4]))
    target = np.array([shelf.row_of["hiking-sun-tent"]])
    share = model.tower.learnt.shares(shelf.learnt, target, interests)[0]
    best = int(np.argmax(share))
    assert shelf.ids[rows[best]] == "hiking-rain-tent"
    kept = np.arange(len(rows)) != best
    without = Interests(rows[kept], interests.weights[kept])
    # The match is the logarithm of a weighted mean; compared is the sum behind it.
    whole = (
        np.exp(model.tower.learnt.match(shelf.learnt, interests)[target]) * interests.weights.sum()
    )
    rest = np.exp(model.tower.learnt.match(shelf.learnt, without)[target]) * without.weights.sum()
    assert rest / whole == pytest.approx(1 - share[best], abs=2e-3)


def test_without_the_named_item_the_behaviour_is_less_by_its_part(
    model: Model, shelf: Shelf
) -> None:
    rows = np.array([shelf.row_of[event.item_id] for event in HISTORY])
    interests = Interests(rows, np.array([1.0, 0.7, 0.5, 0.4]))
    target = shelf.model_row[[shelf.row_of["hiking-sun-tent"]]]
    known, model_rows = behaviour_interests(shelf, interests)
    parts = model.neighbours.parts(model_rows, interests.weights[known], target)[0]
    whole = float(model.neighbours.score(model_rows, interests.weights[known])[target][0])
    assert sum(parts) == pytest.approx(whole, rel=1e-4)
    for one, part in enumerate(parts):
        kept = np.arange(len(model_rows)) != one
        rest = model.neighbours.score(model_rows[kept], interests.weights[known][kept])[target]
        assert whole - float(rest[0]) == pytest.approx(float(part), abs=1e-4)


def test_the_parts_change_by_what_the_answer_changes_when_the_named_item_goes(
    model: Model, shelf: Shelf
) -> None:
    wanted = Request(item_ids={"hiking-sun-tent"})
    first = recommend(model, shelf, HISTORY, wanted, NOW)[0]
    assert first.explanation is not None
    named = next(r for r in first.explanation.reasons if r.item_id is not None)
    left = [event for event in HISTORY if event.item_id != named.item_id]
    without = recommend(model, shelf, left, wanted, NOW)[0]
    assert without.explanation is not None
    lost = {
        part: value - without.explanation.signals[part]
        for part, value in first.explanation.signals.items()
    }
    assert first.score - without.score == pytest.approx(sum(lost.values()), abs=1e-3)
    assert lost[named.part] > 0
    assert all(lost[part] == 0 for part in ("recency", "freshness"))
