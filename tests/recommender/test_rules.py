"""What a shop may decide, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from services.recommender.rules import MOST_ADDED, Boost, added_to, parse_rules
from tests.recommender.test_filters import SHOP

PIN = {"kind": "pin", "item_id": "mug", "position": 1}
CAP = {"kind": "cap", "field": "brand", "most": 2}


def test_every_kind_is_read() -> None:
    rules = parse_rules(
        [
            {"kind": "pin", "filter": {"category": "Jackets"}, "position": 3, "name": "winter"},
            PIN,
            {"kind": "block", "filter": {"brand": "Alder"}},
            {"kind": "boost", "filter": {"tags": "warm"}, "factor": 2},
            {"kind": "boost", "filter": {}, "add": -0.5},
            CAP,
            {"kind": "stock", "hide_out_of_stock": False},
        ]
    ).of(None)
    assert [pin.position for pin in rules.pins] == [1, 3]
    assert [boost.added for boost in rules.boosts] == [math.log(2), -0.5]
    assert len(rules.blocks) == 1 and rules.caps == {"brand": 2}
    assert rules.hide_out_of_stock is False


def test_a_rule_for_a_scenario_holds_there_alone() -> None:
    book = parse_rules([PIN | {"scenarios": ["home", "cart"]}, CAP])
    assert [len(book.of(place).pins) for place in ("home", "cart", "product", None)] == [1, 1, 0, 0]
    assert all(book.of(place).caps for place in ("home", "product", None))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({}, "rules: expected a list"),
        ([3], "rules[0]: expected an object"),
        ([PIN, {"kind": "push"}], "rules[1].kind: expected one of pin, block"),
        ([PIN | {"positon": 1}], "rules[0].positon: a pin has no such field. Known are kind"),
        ([{"kind": "pin", "position": 1}], "rules[0]: expected either item_id or filter"),
        ([PIN | {"position": 0}], "rules[0].position: expected a number from 1 to 100"),
        ([PIN | {"position": 1.5}], "rules[0].position: expected a whole number"),
        ([PIN | {"item_id": ""}], "rules[0].item_id"),
        ([PIN | {"scenarios": "home"}], "rules[0].scenarios: expected a list"),
        ([PIN | {"scenarios": [""]}], "rules[0].scenarios"),
        ([PIN | {"name": 3}], "rules[0].name"),
        ([{"kind": "block"}], "rules[0].filter: expected an object"),
        ([{"kind": "block", "filter": {"or": [{"x": 1}]}}], "rules[0].filter.or[0].x"),
        ([{"kind": "boost", "filter": {}}], "expected either factor or add"),
        ([{"kind": "boost", "filter": {}, "factor": 0}], "rules[0].factor"),
        ([{"kind": "boost", "filter": {}, "add": 1e9}], "rules[0].add"),
        ([{"kind": "boost", "filter": {}, "add": True}], "rules[0].add"),
        ([{"kind": "cap", "field": "price", "most": 1}], "expected one of brand, category"),
        ([{"kind": "cap", "field": ["brand"], "most": 1}], "expected one of brand, category"),
        ([{"kind": "stock", "hide_out_of_stock": 1}], "expected true or false"),
        ([PIN, PIN | {"item_id": "map"}], "rules[1] and rules[0] say different things"),
        ([CAP, CAP | {"scenarios": ["home"]}], "rules[1] and rules[0] say different things"),
        ([PIN | {"position": 1}] * 201, "201 rules"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(raw: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_rules(raw)
    assert says in str(raised.value)


def test_the_same_place_may_have_a_rule_a_scenario() -> None:
    parse_rules([PIN | {"scenarios": ["a"]}, PIN | {"scenarios": ["b"], "item_id": "map"}])


def test_boosts_add_up_within_bounds() -> None:
    book = parse_rules([{"kind": "boost", "filter": {"brand": "Alder"}, "factor": 1_000}] * 2)
    boosts: list[Boost] = [
        *book.of(None).boosts,
        *parse_rules([{"kind": "boost", "filter": {"price": {"lt": 10}}, "add": 1}])
        .of(None)
        .boosts,
    ]
    added = added_to(boosts, SHOP)
    assert added.tolist() == pytest.approx([MOST_ADDED, 0, 1, 0])
    assert np.abs(added).max() <= MOST_ADDED + 1e-6
