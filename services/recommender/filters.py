"""Which items does a condition of the shop mean? Pure: JSON into a tree, the tree over the columns.

    {"category": "Jackets", "price": {"lte": 100}, "tags": {"contains": "waterproof"}}
    {"or": [{"brand": ["Northwind", "Alder"]}, {"not": {"attributes.fit": "slim"}}]}

Several fields of one object must all hold. A plain value means `eq`, a list `in`. Of a field with
several values (tags, lists among the attributes) `eq` and `in` ask whether one of them is there,
`contains` whether all are. `null` is "has no value": no range holds for it, and `ne` holds for
everything else than it names, missing or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import InvalidInput
from services.recommender.catalogue import Shelf
from services.recommender.columns import NOTHING, Column, Values, as_word

BoolArray = npt.NDArray[np.bool_]
Scalar = str | float | bool | None

_TEXTS: Final = ("category", "brand", "currency", "availability", "item_group_id")
_NUMBERS: Final = ("price", "created_at")
FIELDS: Final = ("item_id", *_TEXTS, "tags", *_NUMBERS)
ATTRIBUTE: Final = "attributes."
_RANGE: Final = ("gt", "gte", "lt", "lte")
OPERATORS: Final = ("eq", "ne", "in", *_RANGE, "contains")
MOST_DEPTH: Final = 8
MOST_CONDITIONS: Final = 100
_MOST_VALUES: Final = 1_000
_MOST_CHARS: Final = 500
_NAMES_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Is:
    """One field against `values`: one, or for `in` and `contains` any number. `path` is where it
    stands in the JSON."""

    field: str
    operator: str
    values: tuple[Scalar, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Every:
    """Every one of them; with none, every item."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of them; with none, no item."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The others."""

    part: Condition


Condition = Is | Every | Some | Not


# --- JSON → tree -------------------------------------------------------------------------------


def parse(raw: object, path: str = "filter") -> Condition:
    """The condition that `raw` (parsed JSON) writes. InvalidInput names the path at which it is
    wrong and what is known there; so it does beyond MOST_DEPTH levels or MOST_CONDITIONS tests."""
    condition = _object(raw, path, MOST_DEPTH)
    count = _count(condition)
    if count > MOST_CONDITIONS:
        raise InvalidInput(
            f"{path}: {count} conditions, at most {MOST_CONDITIONS} are taken",
            mend='Give several values in one list, such as {"brand": ["a", "b"]}.',
        )
    return condition


def read(text: str | None, path: str = "filter") -> Condition | None:
    """The condition in a text of JSON, as an address carries it; None for None."""
    if text is None:
        return None
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput(
            f"{path}: expected JSON", mend='Such as {"price": {"lte": 100}}, percent-encoded.'
        ) from None
    return parse(raw, path)


def _object(raw: object, path: str, depth: int) -> Condition:
    if not isinstance(raw, Mapping):
        raise _expected(path, 'an object such as {"price": {"lte": 100}}', raw)
    if depth == 0:
        raise InvalidInput(f"{path}: nested deeper than {MOST_DEPTH} levels", mend="Flatten it.")
    parts = [_entry(str(key), value, f"{path}.{key}", depth) for key, value in raw.items()]
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _entry(key: str, value: object, path: str, depth: int) -> Condition:
    if key in ("and", "or"):
        if not isinstance(value, list):
            raise _expected(path, "a list of conditions", value)
        below = (_object(one, f"{path}[{n}]", depth - 1) for n, one in enumerate(value))
        return Every(tuple(below)) if key == "and" else Some(tuple(below))
    if key == "not":
        return Not(_object(value, path, depth - 1))
    _check_field(key, path)
    if isinstance(value, Mapping):
        tests = [_test(key, str(op), given, f"{path}.{op}") for op, given in value.items()]
        if not tests:
            raise _expected(path, f"one of {', '.join(OPERATORS)}", value)
        return tests[0] if len(tests) == 1 else Every(tuple(tests))
    return _test(key, "in" if isinstance(value, list) else "eq", value, path)


def _check_field(name: str, path: str) -> None:
    if name not in FIELDS and not (name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)):
        raise InvalidInput(
            f"{path[:_MOST_CHARS]}: there is no such field",
            mend=f"Known are {', '.join(FIELDS)}, {ATTRIBUTE}<name>, and, or, not.",
        )


def _test(field: str, operator: str, value: object, path: str) -> Is:
    if operator not in OPERATORS:
        raise InvalidInput(
            f"{path[:_MOST_CHARS]}: there is no such operator",
            mend=f"Known are {', '.join(OPERATORS)}.",
        )
    if operator in _RANGE:
        if field not in _NUMBERS and not field.startswith(ATTRIBUTE):
            raise InvalidInput(
                f"{path}: a range is for numbers, {field} is none",
                mend=f"Ranges go with {', '.join(_NUMBERS)} and {ATTRIBUTE}<name>.",
            )
        return Is(field, operator, (_number(field, value, path),), path)
    if operator == "contains":
        if field != "tags" and not field.startswith(ATTRIBUTE):
            raise InvalidInput(
                f"{path}: contains is for lists, {field} is none",
                mend=f"It goes with tags and {ATTRIBUTE}<name>.",
            )
        values = value if isinstance(value, list) else [value]
        return Is(field, operator, _values("", values, path), path)
    if operator == "in":
        if not isinstance(value, list):
            raise _expected(path, "a list", value)
        return Is(field, operator, _values(field, value, path), path)
    if isinstance(value, list):
        raise _expected(path, "one value", value)
    return Is(field, operator, _values(field, [value], path), path)


def _values(field: str, given: Sequence[object], path: str) -> tuple[Scalar, ...]:
    if len(given) > _MOST_VALUES:
        raise InvalidInput(
            f"{path}: {len(given)} values, at most {_MOST_VALUES} are taken", mend="Give fewer."
        )
    return tuple(_value(field, value, path) for value in given)


def _value(field: str, value: object, path: str) -> Scalar:
    if value is None and field not in ("", "item_id"):
        return None
    if field in _NUMBERS:
        return _number(field, value, path)
    if isinstance(value, str):
        if len(value) > _MOST_CHARS:
            raise _expected(path, f"at most {_MOST_CHARS} characters", value)
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and (field.startswith(ATTRIBUTE) or not field):
        return _number(field, value, path)
    raise _expected(path, "a text", value)


def _number(field: str, value: object, path: str) -> float:
    if field == "created_at" and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise _expected(path, "a time in ISO 8601 or Unix seconds", value) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _expected(path, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _expected(path, "a finite number", value)
    return number


def _expected(path: str, what: str, value: object) -> InvalidInput:
    came = repr(value)
    came = came if len(came) <= 60 else f"{came[:60]}…"
    return InvalidInput(f"{path[:_MOST_CHARS]}: expected {what}, was: {came}")


def _count(condition: Condition) -> int:
    if isinstance(condition, Is):
        return 1
    if isinstance(condition, Not):
        return _count(condition.part)
    # An empty list of conditions costs its place too.
    return max(1, sum(map(_count, condition.parts)))


# --- tree → mask -------------------------------------------------------------------------------


def mask(condition: Condition, shelf: Shelf) -> BoolArray:
    """(n,) for which items of the shelf it holds. An attribute that no item has is missing."""
    if isinstance(condition, Is):
        evaluate = _TEST_OF.get(condition.field, _attribute)
        return evaluate(condition, shelf)
    if isinstance(condition, Not):
        return ~mask(condition.part, shelf)
    result = np.full(len(shelf), isinstance(condition, Every))
    for part in condition.parts:
        if isinstance(condition, Every):
            result &= mask(part, shelf)
        else:
            result |= mask(part, shelf)
    return result


def check_attributes(condition: Condition, shelf: Shelf) -> None:
    """InvalidInput where it asks for an attribute that no item of the shop has ever had: of a
    request that is a slip; a rule may wait for its items."""
    if isinstance(condition, Is):
        name = condition.field.removeprefix(ATTRIBUTE)
        attributes = shelf.fields.attributes
        if condition.field.startswith(ATTRIBUTE) and name not in attributes:
            known = ", ".join(ATTRIBUTE + one for one in attributes.names(_NAMES_TOLD))
            raise InvalidInput(
                f"{condition.path[:_MOST_CHARS]}: no item has this attribute",
                mend=f"Known are {known or 'none yet'}.",
            )
        return
    for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
        check_attributes(part, shelf)


def _item_ids(test: Is, shelf: Shelf) -> BoolArray:
    found = np.zeros(len(shelf), dtype=np.bool_)
    rows = (shelf.row_of.get(str(value)) for value in test.values)
    found[[row for row in rows if row is not None and row < len(shelf)]] = True
    return ~found if test.operator == "ne" else found


def _text(test: Is, shelf: Shelf) -> BoolArray:
    name = "group" if test.field == "item_group_id" else test.field
    return _codes(test, getattr(shelf.fields, name), getattr(shelf, name))


def _numeric(test: Is, shelf: Shelf) -> BoolArray:
    return _floats(test, shelf.price if test.field == "price" else shelf.created_at)


def _attribute(test: Is, shelf: Shelf) -> BoolArray:
    name = test.field.removeprefix(ATTRIBUTE)
    if name in shelf.fields.attributes:
        column = shelf.fields.attributes.column(name, len(shelf))
    else:
        nothing = np.full(len(shelf), NOTHING, dtype=np.int32)
        column = Column(Values(), nothing, np.full(len(shelf), np.nan))
    if test.operator in _RANGE:
        return _floats(test, column.numbers)
    if test.operator == "contains":
        return _codes(test, column.values, column.codes)
    found = _codes(test, column.values, column.codes)
    numbers = tuple(value for value in test.values if isinstance(value, float))
    if not numbers:
        return found
    # A number is compared as one too, whatever way the shop wrote it.
    same = _floats(replace(test, values=numbers), column.numbers)
    return found & same if test.operator == "ne" else found | same


def _codes(test: Is, values: Values, codes: npt.NDArray[np.integer]) -> BoolArray:
    asked = [values.holding(str(as_word(value))) for value in test.values if value is not None]
    if test.operator == "contains":
        found = np.ones(len(codes), dtype=np.bool_)
        for wanted in asked:
            found &= values.among(codes, wanted)
        return found
    if None in test.values:
        asked.append(np.array([NOTHING], dtype=np.int32))
    wanted = np.concatenate(asked) if asked else np.empty(0, dtype=np.int32)
    if len(wanted) == 1:
        return np.asarray(codes != wanted[0] if test.operator == "ne" else codes == wanted[0])
    found = values.among(codes, wanted)
    return ~found if test.operator == "ne" else found


def _floats(test: Is, numbers: npt.NDArray[np.float64]) -> BoolArray:
    if test.operator in _RANGE:
        bound = test.values[0]
        assert isinstance(bound, float)
        compare = _COMPARE[test.operator]
        return np.asarray(compare(numbers, bound))
    found = np.isin(numbers, [v for v in test.values if v is not None])
    if None in test.values:
        found |= np.isnan(numbers)
    return ~found if test.operator == "ne" else found


_COMPARE: Final[Mapping[str, np.ufunc]] = {
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
}
_TEST_OF: Final[Mapping[str, Callable[[Is, Shelf], BoolArray]]] = {
    "item_id": _item_ids,
    "tags": _text,
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _numeric),
}
