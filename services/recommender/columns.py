"""How are words of the shop (brands, tags, attributes, titles) kept so that a whole shelf can be
asked at once?

    Values       a number for each distinct value, so that a column of an item's field is numbers
    Attributes   what the shop calls its own; a field becomes a column when it is first asked for
    Words        which rows hold a word, for search

One writer at a time, any number of readers. What a reader was given stays valid; values that came
since may or may not be in it.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.text import word_tokens

CodeArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Value = str | tuple[str, ...]

# The code of an item that has no value there.
NOTHING = -1
# Columns of attributes that are kept; beyond, the one made first goes.
_MOST_COLUMNS = 64


class Values:
    """Distinct values of a field, numbered from 0 in the order they came. A value is a text, or
    several, as tags are."""

    def __init__(self) -> None:
        self._code: dict[Value, int] = {}
        self._values: list[Value] = []
        self._holding: dict[str, array[int]] = {}

    def __getitem__(self, code: int) -> Value:
        return "" if code == NOTHING else self._values[code]

    def put(self, value: Value) -> int:
        """The code of a value, the same each time; NOTHING for an empty one."""
        if not value:
            return NOTHING
        code = self._code.get(value)
        if code is None:
            code = len(self._values)
            self._values.append(value)
            self._code[value] = code
            if isinstance(value, tuple):
                for member in set(value):
                    self._holding.setdefault(member, array("i")).append(code)
        return code

    def holding(self, member: str) -> CodeArray:
        """Codes of the values that are this text, or have it among several."""
        found = self._holding.get(member)
        # Through bytes: while an array lends its memory, the writer could not append to it.
        codes = np.frombuffer(b"" if found is None else found.tobytes(), dtype=np.int32)
        alone = self._code.get(member) if member else NOTHING
        return codes if alone is None else np.append(codes, np.int32(alone))

    def among(self, codes: npt.NDArray[np.integer], wanted: npt.ArrayLike) -> BoolArray:
        """(n,) whether each of `codes` (n,) is one of `wanted`."""
        flags = np.zeros(len(self._values) + 2, dtype=np.bool_)
        flags[np.asarray(wanted, dtype=np.int64) + 1] = True
        flags[-1] = False
        # A code that came since lies beyond the flags, and is none of the wanted.
        return np.asarray(flags.take(codes + 1, mode="clip"))


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute over n rows: `codes` (n,) into `values`, and `numbers` (n,) where the value is
    a number or a text that reads as one, else NaN."""

    values: Values
    codes: CodeArray
    numbers: FloatArray


class Attributes:
    """What the shop calls its own, by row."""

    def __init__(self) -> None:
        self._of_row: list[Mapping[str, object] | None] = []
        self._columns: dict[str, Column] = {}
        self._names: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, row: int, attributes: Mapping[str, object]) -> None:
        """Replace those of a row; rows are put in their order, or again."""
        with self._lock:
            while len(self._of_row) <= row:
                self._of_row.append(None)
            self._of_row[row] = dict(attributes) or None
            for name in attributes:
                self._names[name] = self._names.get(name, 0) + 1
            for name, column in self._columns.items():
                if row < len(column.codes):
                    _fill(column, row, attributes.get(name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def names(self, at_most: int) -> list[str]:
        """The most usual ones."""
        with self._lock:
            return sorted(self._names, key=lambda name: (-self._names[name], name))[:at_most]

    def column(self, name: str, count: int) -> Column:
        """One of them over the first `count` rows; made when it is asked for first."""
        with self._lock:
            column = self._columns.get(name)
            if column is None or len(column.codes) < count:
                column = self._longer(name, column, count)
                if name not in self._columns and len(self._columns) >= _MOST_COLUMNS:
                    del self._columns[next(iter(self._columns))]
                self._columns[name] = column
            return Column(column.values, column.codes[:count], column.numbers[:count])

    def _longer(self, name: str, old: Column | None, count: int) -> Column:
        # Room for as many again, so that a growing shop does not copy the column each time.
        filled = 0 if old is None else len(old.codes)
        column = Column(
            Values() if old is None else old.values,
            np.full(max(count, 2 * filled), NOTHING, dtype=np.int32),
            np.full(max(count, 2 * filled), np.nan),
        )
        if old is not None:
            column.codes[:filled], column.numbers[:filled] = old.codes, old.numbers
        for row, attributes in enumerate(self._of_row[filled : len(column.codes)], start=filled):
            if attributes is not None and name in attributes:
                _fill(column, row, attributes[name])
        return column


class Words:
    """Which rows hold a word in what they are called (title, brand, category, tags)."""

    def __init__(self) -> None:
        self._rows: dict[str, array[int]] = {}

    def put(self, row: int, before: str, now: str) -> None:
        """The row's text was `before` and is `now`."""
        if before == now:
            return
        old, new = set(word_tokens(before) if before else ()), set(word_tokens(now))
        for word in old - new:
            self._rows[word].remove(row)
        for word in new - old:
            self._rows.setdefault(word, array("i")).append(row)

    def coverage(self, words: Collection[str], count: int) -> FloatArray:
        """(count,) how much of the query's words each of the first `count` rows holds, 0 to 1,
        each word counted by how rare it is: ln(1 + rows / rows with it)."""
        found = np.zeros(count)
        total = 0.0
        for word in sorted(set(words)):
            held = self._rows.get(word)
            rows = np.frombuffer(b"" if held is None else held.tobytes(), dtype=np.int32)
            rows = rows[rows < count]
            rarity = math.log1p(count / max(len(rows), 1))
            total += rarity
            found[rows] += rarity
        return found / total if total else found


def as_word(value: object) -> Value:
    """A value of an attribute as it is compared with a text: true and false as these words, a whole
    number without a point, a list as its parts; "" for what cannot be compared."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        whole = math.isfinite(value) and value == int(value)
        return str(int(value)) if whole else repr(value)
    if isinstance(value, list | tuple):
        parts = (as_word(part) for part in value)
        return tuple(part for part in parts if isinstance(part, str) and part)
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float:
    """A value of an attribute as it is compared with a number; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _fill(column: Column, row: int, value: object) -> None:
    column.codes[row] = column.values.put(as_word(value))
    column.numbers[row] = as_number(value)
