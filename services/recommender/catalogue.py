"""What does a process hold in memory of the shop, so that ranking needs no query an item?

`Catalogue` is filled and kept up to date by one writer at a time (follow.py) and hands out a
`Shelf`: the same columns up to the number of items there were. Rows are only ever appended and
never move, so a shelf stays usable while the catalogue goes on; a value of an item that changed
meanwhile may be the newer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.records import Item
from services.recommender.domain import EVIDENCE_HALF
from services.recommender.popularity import NEVER, Popularity
from services.recommender.vectors import TextTower

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_FIRST_ROWS = 64
NO_GROUP = -1
NOT_IN_MODEL = -1


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue needs of one item. `embedding` (width,) and whether it may be trusted;
    None where the text has not been encoded yet. Times in Unix seconds: `arrived_at` is when the
    service first heard of it, `created_at` what the shop says, if it does."""

    item_id: str
    title: str
    text: str
    category: str
    group: str
    in_stock: bool
    created_at: float | None
    arrived_at: float
    embedding: FloatArray | None
    readable: bool


def entry_of(
    item: Item, text: str, embedding: FloatArray | None, readable: bool, arrived_at: float
) -> Entry:
    """An item of the shop as the catalogue wants it."""
    return Entry(
        item_id=item.item_id,
        title=item.title,
        text=text,
        category=item.category,
        group=item.item_group_id,
        in_stock=item.availability != "out_of_stock",
        created_at=item.created_at,
        arrived_at=arrived_at,
        embedding=embedding,
        readable=readable,
    )


@dataclass(frozen=True)
class Shelf:
    """n items, one row each. `group` and `category` are numbers, equal where the names are;
    `model_row` is the item's row in the model's `Neighbours`, -1 for a newcomer."""

    ids: Sequence[str]
    titles: Sequence[str]
    plain: FloatArray
    learnt: FloatArray
    has_text: BoolArray
    shown: BoolArray
    in_stock: BoolArray
    group: IntArray
    category: IntArray
    model_row: IntArray
    created_at: npt.NDArray[np.float64]
    arrived_at: npt.NDArray[np.float64]
    first_event: npt.NDArray[np.float64]
    positives: npt.NDArray[np.float64]
    recent_log2: npt.NDArray[np.float64]
    row_of: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.shown)

    def row(self, item_id: str) -> int | None:
        """The item's row; None where it is not on this shelf or was removed."""
        row = self.row_of.get(item_id)
        return None if row is None or row >= len(self) or not self.shown[row] else row

    @property
    def first_seen(self) -> npt.NDArray[np.float64]:
        """(n,) since when the item is in the shop: what the shop says; else the first sign of it,
        an event or its arrival here."""
        sign = np.minimum(self.arrived_at, self.first_event)
        return np.where(np.isnan(self.created_at), sign, self.created_at)

    @property
    def evidence(self) -> npt.NDArray[np.float64]:
        """(n,) how far behaviour may be believed about each item, 0 to 1."""
        return self.positives / (self.positives + EVIDENCE_HALF)


class Catalogue:
    """The columns of a `Shelf`, with room to grow. One writer at a time."""

    def __init__(self, tower: TextTower, model_rows: Mapping[str, int]) -> None:
        self._tower = tower
        self._model_rows = model_rows
        self._row_of: dict[str, int] = {}
        self._ids: list[str] = []
        self._titles: list[str] = []
        self._groups: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        self._columns = {
            "plain": np.zeros((0, tower.width), np.float32),
            "learnt": np.zeros((0, tower.width), np.float32),
            "has_text": np.zeros(0, np.bool_),
            "shown": np.zeros(0, np.bool_),
            "in_stock": np.zeros(0, np.bool_),
            "group": np.zeros(0, np.int64),
            "category": np.zeros(0, np.int64),
            "model_row": np.zeros(0, np.int64),
            "created_at": np.zeros(0, np.float64),
            "arrived_at": np.zeros(0, np.float64),
            "first_event": np.zeros(0, np.float64),
            "positives": np.zeros(0, np.float64),
            "recent_log2": np.zeros(0, np.float64),
        }

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._row_of

    def put(self, entries: Sequence[Entry]) -> None:
        """Add the items, or replace what is known of them; their popularity stays."""
        if not entries:
            return
        rows = np.array([self._place(entry.item_id) for entry in entries], dtype=np.int64)
        columns = self._columns
        for row, entry in zip(rows, entries, strict=True):
            self._titles[row] = entry.title
            columns["in_stock"][row] = entry.in_stock
            columns["group"][row] = _number(self._groups, entry.group)
            columns["category"][row] = _number(self._categories, entry.category)
            columns["created_at"][row] = np.nan if entry.created_at is None else entry.created_at
            columns["arrived_at"][row] = entry.arrived_at
        self._put_vectors(rows, entries)
        columns["shown"][rows] = True

    def remove(self, item_id: str) -> None:
        """Show it no more; one that is not there stays so."""
        row = self._row_of.get(item_id)
        if row is not None:
            self._columns["shown"][row] = False

    def add_popularity(self, added: Mapping[str, Popularity]) -> None:
        """Add what events brought; items that are not here are passed over."""
        for item_id, more in added.items():
            row = self._row_of.get(item_id)
            if row is not None:
                recent, first = self._columns["recent_log2"], self._columns["first_event"]
                self._columns["positives"][row] += more.positives
                recent[row] = np.logaddexp2(recent[row], more.recent_log2)
                first[row] = min(first[row], more.first_at)

    def shelf(self) -> Shelf:
        """The items there are now."""
        count = len(self._ids)
        columns: dict[str, Any] = {n: column[:count] for n, column in self._columns.items()}
        return Shelf(ids=self._ids, titles=self._titles, row_of=self._row_of, **columns)

    def _put_vectors(self, rows: IntArray, entries: Sequence[Entry]) -> None:
        width = self._tower.basis.shape[0]
        nothing = np.zeros(width, np.float32)
        encoded = np.array([entry.embedding is not None for entry in entries])
        embeddings = np.stack([nothing if e.embedding is None else e.embedding for e in entries])
        readable = np.array([entry.readable for entry in entries]) & encoded
        vectors = self._tower.vectors(embeddings, readable, [entry.text for entry in entries])
        self._columns["plain"][rows] = vectors.plain
        self._columns["learnt"][rows] = vectors.learnt
        # Words alone speak only for a text that the encoder has seen and could not read.
        self._columns["has_text"][rows] = vectors.known & encoded

    def _place(self, item_id: str) -> int:
        row = self._row_of.get(item_id)
        if row is None:
            row = len(self._ids)
            if row == len(self._columns["shown"]):
                self._grow()
            self._columns["shown"][row] = False
            self._columns["model_row"][row] = self._model_rows.get(item_id, NOT_IN_MODEL)
            self._columns["recent_log2"][row] = NEVER
            self._columns["first_event"][row] = np.inf
            self._ids.append(item_id)
            self._titles.append("")
            self._row_of[item_id] = row
        return row

    def _grow(self) -> None:
        for name, column in self._columns.items():
            more = max(_FIRST_ROWS, len(column))
            room = np.zeros((more, *column.shape[1:]), column.dtype)
            self._columns[name] = np.concatenate([column, room])


def _number(numbers: dict[str, int], name: str) -> int:
    """A number for a name, the same each time; NO_GROUP for the empty one."""
    return numbers.setdefault(name, len(numbers)) if name else NO_GROUP
