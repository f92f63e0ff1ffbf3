"""Extra columns of items, and prices in every way of writing them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.attributes import MAX_ATTRIBUTES, as_attribute, attributes_of
from core.data.fields import price_field
from core.data.readers import read_items
from core.data.tables import Row
from core.errors import DataError

HERE = Path("items.csv")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (" red ", "red"),
        (True, True),
        (3, 3),
        (2**53 + 1, None),
        (1.5, 1.5),
        (float("nan"), None),
        (Decimal("1.50"), 1.5),
        (date(2026, 1, 2), "2026-01-02"),
        (["a", "b"], ["a", "b"]),
        (["a", 1], None),
        ([], None),
        ({}, None),
        (None, None),
        ("  ", None),
        ("x" * 1_001, None),
        (b"x", None),
    ],
    ids=repr,
)
def test_what_an_attribute_holds(value: object, kept: object) -> None:
    found = as_attribute(value)
    assert found == kept and type(found) is type(kept)


def test_attributes_are_bounded_in_number_and_name() -> None:
    extra = {"x" * 101: 1, " ": 2, **{f"a{n}": n for n in range(99)}}
    assert list(attributes_of(extra)) == [f"a{n}" for n in range(MAX_ATTRIBUTES)]


def test_columns_of_a_csv_are_numbers_or_truth_where_all_of_their_values_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "i.csv"
    path.write_text(
        "item_id,title,kg,gtin,size,new,empty\n"
        "a,Cup,0.5,0012,42,TRUE,\nb,Pot,,4006381333931,XL,false,\nc,Pan,12,7,40,,\n",
        encoding="utf-8",
    )
    assert [dict(item.attributes) for item in read_items(path)] == [
        {"kg": 0.5, "gtin": "0012", "size": "42", "new": True},
        {"gtin": "4006381333931", "size": "XL", "new": False},
        {"kg": 12, "gtin": "7", "size": "40"},
    ]


def test_jsonl_keeps_its_types_and_what_is_no_attribute_stays_extra(tmp_path: Path) -> None:
    path = tmp_path / "i.jsonl"
    path.write_text(
        '{"item_id": "a", "title": "<b>Cup</b>", "description": "a &lt; b", "size": "42",'
        ' "hidden": true, "image": "https://shop.example/a.jpg", "deep": {"x": 1}}\n',
        encoding="utf-8",
    )
    (item,) = read_items(path)
    assert (item.title, item.description, item.hidden) == ("Cup", "a < b", True)
    assert item.attributes == {"size": "42"} and item.extra == {"deep": {"x": 1}}


@pytest.mark.parametrize("column", ["image", "hidden"])
def test_an_image_that_is_no_address_and_a_hidden_that_is_no_truth_are_named(
    tmp_path: Path, column: str
) -> None:
    path = tmp_path / "i.csv"
    path.write_text(f"item_id,title,{column}\na,Cup,\nb,Pot,javascript:1\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"line 3: `{column}`"):
        read_items(path)


def test_bad_rows_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "i.jsonl"
    path.write_text('{"item_id": "a", "title": "A"}\n{\n[]\n{"item_id": "b"}\n', encoding="utf-8")
    told: list[int | None] = []
    kept = read_items(path, skip=lambda error: told.append(error.line))
    assert [item.item_id for item in kept] == ["a"] and told == [2, 3, 4]


_CENTS = st.integers(0, 10**11)
_CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)


@given(cents=_CENTS, code=_CODES, commas=st.booleans(), before=st.booleans(), space=st.booleans())
def test_a_price_is_read_as_it_was_written(
    cents: int, code: str, commas: bool, before: bool, space: bool
) -> None:
    amount = f"{cents // 100:{',' if commas else ''}}.{cents % 100:02}"
    parts = [code, amount] if before else [amount, code]
    written = (" " if space else "").join(parts)
    assert price_field(HERE, Row({"price": f" {written} "}, 2), "price") == (cents / 100, code)


@given(text=st.text(max_size=30) | st.from_regex(r"[\d,. A-Z]{0,12}"))
def test_a_price_is_a_finite_amount_or_refused(text: str) -> None:
    try:
        amount, code = price_field(HERE, Row({"price": text}, 2), "price")
    except DataError as error:
        assert error.line == 2
        return
    assert (amount is None and not text.strip()) or (amount is not None and 0 <= amount < 1e300)
    assert len(code) in (0, 3)


def test_an_amount_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="expected a price"):
        price_field(HERE, Row({"price": "9" * 400 + " USD"}, 2), "price")
