"""Conditions over item fields: what they mean, and what is refused."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.records import Item
from core.errors import InvalidInput
from services.recommender.catalogue import Catalogue, Shelf, entry_of
from services.recommender.filters import check_attributes, mask, parse
from services.recommender.learning.adapter import plain_tower

TOWER = plain_tower(np.eye(3, 4, dtype=np.float32), np.ones(3, bool), ["a", "b", "c"])
RANGES = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def shelf_of(*items: Item) -> Shelf:
    catalogue = Catalogue(TOWER, {})
    catalogue.put([entry_of(item, item.title, None, False, 0.0) for item in items])
    return catalogue.shelf()


def item(item_id: str, **values: Any) -> Item:
    return Item(item_id=item_id, title=item_id, **values)


SHOP = shelf_of(
    item("coat", category="Jackets", brand="Alder", price=90.0, currency="EUR", tags=("wool",)),
    item(
        "parka",
        category="Jackets",
        price=140.0,
        tags=("warm", "waterproof"),
        attributes={"size": "42", "fits": ["men", "women"], "sale": True},
    ),
    item("mug", category="Camping", brand="Northwind", price=9.0, attributes={"size": 42}),
    item("map", availability="out_of_stock", created_at=1_700_000_000.0, item_group_id="maps"),
)


def chosen(raw: object, shelf: Shelf = SHOP) -> list[str]:
    return [shelf.ids[row] for row in np.flatnonzero(mask(parse(raw), shelf))]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, ["coat", "parka", "mug", "map"]),
        ({"category": "Jackets"}, ["coat", "parka"]),
        ({"category": "Jackets", "price": {"lte": 100}}, ["coat"]),
        ({"brand": ["Alder", "Northwind", "Nobody"]}, ["coat", "mug"]),
        ({"brand": {"ne": "Alder"}}, ["parka", "mug", "map"]),
        ({"brand": None}, ["parka", "map"]),
        ({"price": {"gt": 9, "lt": 140}}, ["coat"]),
        ({"price": None}, ["map"]),
        ({"not": {"price": {"lte": 100}}}, ["parka", "map"]),
        ({"or": [{"tags": "wool"}, {"tags": {"contains": ["warm", "waterproof"]}}]},
         ["coat", "parka"]),
        ({"tags": {"contains": ["warm", "wool"]}}, []),
        ({"tags": {"ne": "warm"}}, ["coat", "mug", "map"]),
        ({"item_id": ["mug", "nothing"]}, ["mug"]),
        ({"availability": "out_of_stock"}, ["map"]),
        ({"created_at": {"gte": "2023-11-14T00:00:00Z"}}, ["map"]),
        ({"item_group_id": "maps"}, ["map"]),
        ({"attributes.size": 42}, ["parka", "mug"]),
        ({"attributes.size": "42"}, ["parka", "mug"]),
        ({"attributes.size": {"gte": 40}}, ["parka", "mug"]),
        ({"attributes.size": {"ne": 42}}, ["coat", "map"]),
        ({"attributes.sale": True}, ["parka"]),
        ({"attributes.fits": {"contains": "women"}}, ["parka"]),
        ({"attributes.sale": None}, ["coat", "mug", "map"]),
        ({"attributes.unheard": "x"}, []),
        ({"and": []}, ["coat", "parka", "mug", "map"]),
        ({"or": []}, []),
    ],
)  # fmt: skip
def test_a_condition_means_these_items(raw: object, expected: list[str]) -> None:
    assert chosen(raw) == expected


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "filter: expected an object"),
        ({"prize": 3}, "filter.prize: there is no such field. Known are item_id, category"),
        ({"price": {"less": 3}}, "filter.price.less: there is no such operator. Known are eq"),
        ({"price": {}}, "filter.price: expected one of eq"),
        ({"price": "cheap"}, "filter.price: expected a number, was: 'cheap'"),
        ({"price": {"gte": True}}, "filter.price.gte: expected a number"),
        ({"price": {"lt": 10**400}}, "expected a finite number"),
        ({"brand": {"gte": "a"}}, "filter.brand.gte: a range is for numbers"),
        ({"brand": {"contains": "a"}}, "contains is for lists"),
        ({"brand": {"in": "a"}}, "filter.brand.in: expected a list"),
        ({"brand": {"eq": ["a"]}}, "filter.brand.eq: expected one value"),
        ({"brand": 3}, "filter.brand: expected a text"),
        ({"created_at": "soon"}, "expected a time"),
        ({"and": {"price": 3}}, "filter.and: expected a list"),
        ({"or": [{"price": 3}, {"and": [{"colour": 1}]}]}, "filter.or[1].and[0].colour"),
        ({"attributes.": 3}, "no such field"),
        ({"brand": "x" * 501}, "at most 500 characters"),
        ({"item_id": ["x"] * 1_001}, "1001 values"),
        ({"and": [{"price": 1}] * 101}, "101 conditions"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(raw: object, says: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(raw)
    assert says in str(raised.value)


def test_nesting_has_an_end() -> None:
    raw: dict[str, Any] = {"price": 1}
    for _ in range(8):
        raw = {"not": raw}
    with pytest.raises(InvalidInput, match="nested deeper than 8"):
        parse(raw)


def test_a_slip_in_an_attribute_names_the_known_ones() -> None:
    check_attributes(parse({"attributes.size": 1}), SHOP)
    with pytest.raises(InvalidInput, match=r"filter.not.attributes.siez: .*attributes.size"):
        check_attributes(parse({"not": {"attributes.siez": 1}}), SHOP)


def test_a_column_follows_its_items() -> None:
    catalogue = Catalogue(TOWER, {})

    def put(item_id: str, **attributes: Any) -> None:
        new = item(item_id, attributes=attributes)
        catalogue.put([entry_of(new, item_id, None, False, 0.0)])

    put("a", colour="red")
    assert chosen({"attributes.colour": "red"}, catalogue.shelf()) == ["a"]
    put("b", colour="red")
    put("a", colour="blue")
    for number in range(200):
        put(f"c{number}")
    assert chosen({"attributes.colour": "red"}, catalogue.shelf()) == ["b"]


# --- against a plain evaluator -----------------------------------------------------------------

WORDS = st.sampled_from(["", "a", "b", "1", "true"])
NUMBERS = st.sampled_from([0.0, 1.0, 2.5])
ITEMS = st.builds(
    Item,
    item_id=st.uuids().map(str),
    title=st.just("t"),
    category=WORDS,
    brand=WORDS,
    price=st.none() | NUMBERS,
    tags=st.lists(WORDS.filter(bool), max_size=3).map(tuple),
    attributes=st.dictionaries(
        st.sampled_from(["x", "y"]), WORDS | NUMBERS | st.booleans() | st.lists(WORDS, max_size=2)
    ),
)
TEXT_TESTS = WORDS.filter(bool) | st.none()
TESTS = st.one_of(
    st.fixed_dictionaries({"category": TEXT_TESTS | st.lists(TEXT_TESTS)}),
    st.fixed_dictionaries({"brand": st.fixed_dictionaries({"ne": TEXT_TESTS})}),
    st.fixed_dictionaries({"price": st.dictionaries(st.sampled_from([*RANGES]), NUMBERS)}).filter(
        lambda raw: raw["price"]
    ),
    st.fixed_dictionaries({"price": st.fixed_dictionaries({"ne": NUMBERS | st.none()})}),
    st.fixed_dictionaries({"tags": st.fixed_dictionaries({"contains": WORDS.filter(bool)})}),
    st.fixed_dictionaries({"attributes.x": TEXT_TESTS | NUMBERS | st.booleans()}),
    st.fixed_dictionaries({"attributes.y": st.fixed_dictionaries({"ne": TEXT_TESTS | NUMBERS})}),
    st.fixed_dictionaries({"attributes.x": st.dictionaries(st.just("gte"), NUMBERS, min_size=1)}),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda below: st.one_of(
        st.fixed_dictionaries({"and": st.lists(below, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(below, max_size=3)}),
        st.fixed_dictionaries({"not": below}),
    ),
    max_leaves=6,
)


def holds(raw: dict[str, Any], one: Item) -> bool:
    """The same in plain Python, an item at a time."""
    for key, value in raw.items():
        if key == "and":
            good = all(holds(part, one) for part in value)
        elif key == "or":
            good = any(holds(part, one) for part in value)
        elif key == "not":
            good = not holds(value, one)
        else:
            tests = value if isinstance(value, dict) else {"any": value}
            good = all(holds_for(key, name, asked, one) for name, asked in tests.items())
        if not good:
            return False
    return True


def holds_for(field: str, name: str, asked: Any, one: Item) -> bool:
    if field.startswith("attributes."):
        own = one.attributes.get(field.removeprefix("attributes."))
    else:
        own = getattr(one, field)
    if name in RANGES:
        number = as_float(own)
        return number is not None and RANGES[name](number, asked)
    found = any(same(own, value) for value in (asked if isinstance(asked, list) else [asked]))
    return not found if name == "ne" else found


def same(own: Any, asked: Any) -> bool:
    if isinstance(own, list | tuple):
        parts = [part for part in own if part != ""]
        return not parts if asked is None else any(same(part, asked) for part in parts)
    if asked is None:
        return own in (None, "")
    if isinstance(asked, float):
        return as_float(own) == asked
    if isinstance(own, float):
        return asked == (str(int(own)) if own == int(own) else str(own))
    return own is not None and str(own).lower() == str(asked).lower()


def as_float(own: Any) -> float | None:
    if isinstance(own, bool) or own is None or isinstance(own, list | tuple):
        return None
    try:
        return float(own)
    except ValueError:
        return None


@settings(max_examples=150, deadline=None)
@given(st.lists(ITEMS, max_size=8, unique_by=lambda one: one.item_id), CONDITIONS)
def test_the_columns_say_what_the_items_say(items: list[Item], raw: dict[str, Any]) -> None:
    if not items:
        return
    found = mask(parse(raw), shelf_of(*items))
    assert found.tolist() == [holds(raw, one) for one in items]
