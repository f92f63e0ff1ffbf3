"""How do the caller's ids (texts) meet the row numbers of an index?

An index only ever appends rows. So numbers count up from 0, an id that is stored again gets a new
number, and the old number is dead: it names nothing until the index is rebuilt without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput


class Hit(NamedTuple):
    """One answer to a query. Scores compare within a query, larger is better."""

    id: str
    score: float


class IdMap:
    """External id (text) ↔ row number (int64), both ways in constant time."""

    def __init__(self, externals: Iterable[str | None] = ()) -> None:
        """`externals[n]` is the id of row n, None for a dead row."""
        self._externals: list[str | None] = list(externals)
        self._numbers = {e: n for n, e in enumerate(self._externals) if e is not None}
        if len(self._numbers) != sum(e is not None for e in self._externals):
            raise InvalidInput("an id stands for two live rows")

    def __len__(self) -> int:
        """How many ids are live."""
        return len(self._numbers)

    def __contains__(self, external: object) -> bool:
        return external in self._numbers

    @property
    def rows(self) -> int:
        """How many rows there are, dead ones too."""
        return len(self._externals)

    @property
    def dead(self) -> int:
        """How many rows are dead."""
        return self.rows - len(self)

    def assign(self, external: str) -> int:
        """The next row number for `external`; the row it had until now is dead."""
        self.release(external)
        number = len(self._externals)
        self._externals.append(external)
        self._numbers[external] = number
        return number

    def release(self, external: str) -> bool:
        """Kill the row of `external`; False when there is none."""
        number = self._numbers.pop(external, None)
        if number is None:
            return False
        self._externals[number] = None
        return True

    def number(self, external: str) -> int | None:
        """The row of `external`, or None."""
        return self._numbers.get(external)

    def external(self, number: int) -> str | None:
        """The id of a row, or None for a dead row."""
        return self._externals[number]

    def externals(self) -> list[str | None]:
        """The ids in order of rows, None for dead ones: what the constructor takes."""
        return list(self._externals)

    def live_ids(self) -> list[str]:
        """The live ids in order of rows."""
        return [e for e in self._externals if e is not None]

    def live_mask(self) -> NDArray[np.bool_]:
        """Shape (rows,): which rows are live."""
        return np.array([e is not None for e in self._externals], dtype=bool)


def check_ids(ids: Iterable[str], count: int) -> list[str]:
    """`ids` as a list of `count` texts that are not empty, or InvalidInput."""
    checked = list(ids)
    if len(checked) != count:
        raise InvalidInput(f"expected one id a row, found {len(checked)} ids for {count} rows")
    bad = next((e for e in checked if not isinstance(e, str) or not e), None)
    if bad is not None:
        raise InvalidInput(f"ids must be texts that are not empty, one was: {bad!r}")
    return checked


def check_top_k(top_k: int) -> None:
    """Refuse a `top_k` below 1."""
    if top_k < 1:
        raise InvalidInput(f"top_k must be at least 1, was: {top_k}")
