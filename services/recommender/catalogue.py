"""What does a process hold in memory of the shop, so that ranking needs no query an item?

`Catalogue` is filled and kept up to date by one writer at a time (follow.py) and hands out a
`Shelf`: the same columns up to the number of items there were. Rows are only ever appended and
never move, so a shelf stays usable while the catalogue goes on; a value of an item that changed
meanwhile may be the newer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from core.data.records import Item
from services.recommender.columns import (
    NOTHING,
    Attributes,
    CodeArray,
    Values,
    Words,
)
from services.recommender.domain import EVIDENCE_HALF
from services.recommender.popularity import NEVER, Popularity
from services.recommender.vectors import TextTower

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_FIRST_ROWS = 64
NO_GROUP = NOTHING
NOT_IN_MODEL = -1


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue needs of one item. `embedding` (width,) and whether it may be trusted;
    None where the text has not been encoded yet. `arrived_at` is when the service first heard of
    the item, in Unix seconds."""

    item: Item
    text: str
    embedding: FloatArray | None
    readable: bool
    arrived_at: float


def entry_of(
    item: Item, text: str, embedding: FloatArray | None, readable: bool, arrived_at: float
) -> Entry:
    """An item of the shop as the catalogue wants it."""
    return Entry(item, text, embedding, readable, arrived_at)


@dataclass(frozen=True)
class Fields:
    """What the numbers in a shelf's columns stand for, its attributes, and its words."""

    group: Values = field(default_factory=Values)
    category: Values = field(default_factory=Values)
    brand: Values = field(default_factory=Values)
    currency: Values = field(default_factory=Values)
    availability: Values = field(default_factory=Values)
    tags: Values = field(default_factory=Values)
    attributes: Attributes = field(default_factory=Attributes)
    words: Words = field(default_factory=Words)


@dataclass(frozen=True)
class Shelf:
    """n items, one row each. `group` to `tags` are numbers, equal where the names are, which
    `fields` knows; -1 where the item has none. `price` is NaN where it has none. `model_row` is
    the item's row in the model's `Neighbours`, -1 for a newcomer; `mark` a number made of its id,
    the same in every process."""

    ids: Sequence[str]
    titles: Sequence[str]
    plain: FloatArray
    learnt: FloatArray
    has_text: BoolArray
    shown: BoolArray
    in_stock: BoolArray
    group: IntArray
    category: IntArray
    brand: CodeArray
    currency: CodeArray
    availability: CodeArray
    tags: CodeArray
    price: npt.NDArray[np.float64]
    model_row: IntArray
    mark: npt.NDArray[np.uint32]
    created_at: npt.NDArray[np.float64]
    arrived_at: npt.NDArray[np.float64]
    first_event: npt.NDArray[np.float64]
    positives: npt.NDArray[np.float64]
    recent_log2: npt.NDArray[np.float64]
    row_of: Mapping[str, int]
    fields: Fields

    def __len__(self) -> int:
        return len(self.shown)

    def row(self, item_id: str) -> int | None:
        """The item's row; None where it is not on this shelf or was removed."""
        row = self.row_of.get(item_id)
        return None if row is None or row >= len(self) or not self.shown[row] else row

    @property
    def first_seen(self) -> npt.NDArray[np.float64]:
        """(n,) since when each item is in the shop; see the function of this name."""
        return first_seen(self, slice(None))

    @property
    def evidence(self) -> npt.NDArray[np.float64]:
        """(n,) how far behaviour may be believed about each item, 0 to 1."""
        return evidence(self.positives)


def first_seen(shelf: Shelf, rows: IntArray | slice) -> npt.NDArray[np.float64]:
    """(rows,) since when these items are in the shop: what the shop says; else the first sign of
    them, an event or their arrival here."""
    sign = np.minimum(shelf.arrived_at[rows], shelf.first_event[rows])
    said = shelf.created_at[rows]
    return np.where(np.isnan(said), sign, said)


def evidence(positives: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far behaviour may be believed after so many positive events, 0 to 1."""
    return positives / (positives + EVIDENCE_HALF)


class Catalogue:
    """The columns of a `Shelf`, with room to grow. One writer at a time."""

    def __init__(self, tower: TextTower, model_rows: Mapping[str, int]) -> None:
        self._tower = tower
        self._model_rows = model_rows
        self._row_of: dict[str, int] = {}
        self._ids: list[str] = []
        self._titles: list[str] = []
        self._fields = Fields()
        self._columns = {
            "plain": np.zeros((0, tower.width), np.float32),
            "learnt": np.zeros((0, tower.width), np.float32),
            "has_text": np.zeros(0, np.bool_),
            "shown": np.zeros(0, np.bool_),
            "in_stock": np.zeros(0, np.bool_),
            "group": np.zeros(0, np.int64),
            "category": np.zeros(0, np.int64),
            "brand": np.zeros(0, np.int32),
            "currency": np.zeros(0, np.int32),
            "availability": np.zeros(0, np.int32),
            "tags": np.zeros(0, np.int32),
            "price": np.zeros(0, np.float64),
            "model_row": np.zeros(0, np.int64),
            "mark": np.zeros(0, np.uint32),
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
        rows = np.array([self._place(entry.item.item_id) for entry in entries], dtype=np.int64)
        for row, entry in zip(rows.tolist(), entries, strict=True):
            self._put_fields(row, entry.item)
            self._columns["arrived_at"][row] = entry.arrived_at
        self._put_vectors(rows, entries)
        self._columns["shown"][rows] = [not entry.item.hidden for entry in entries]

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

    def set_popularity(self, counted: Mapping[str, Popularity]) -> None:
        """Let this be all that is known of it. Shelves that were handed out keep what they had."""
        for name, nothing in (("positives", 0.0), ("recent_log2", NEVER)):
            self._columns[name] = np.full(len(self._columns[name]), nothing)
        self.add_popularity(counted)

    def shelf(self) -> Shelf:
        """The items there are now."""
        count = len(self._ids)
        columns: dict[str, Any] = {n: column[:count] for n, column in self._columns.items()}
        return Shelf(
            ids=self._ids,
            titles=self._titles,
            row_of=self._row_of,
            fields=self._fields,
            **columns,
        )

    def _put_fields(self, row: int, item: Item) -> None:
        columns, fields = self._columns, self._fields
        before = self._called(row)
        self._titles[row] = item.title
        columns["in_stock"][row] = item.availability != "out_of_stock"
        columns["group"][row] = fields.group.put(item.item_group_id)
        columns["category"][row] = fields.category.put(item.category)
        columns["brand"][row] = fields.brand.put(item.brand)
        columns["currency"][row] = fields.currency.put(item.currency)
        columns["availability"][row] = fields.availability.put(item.availability)
        columns["tags"][row] = fields.tags.put(tuple(item.tags))
        columns["price"][row] = np.nan if item.price is None else item.price
        columns["created_at"][row] = np.nan if item.created_at is None else item.created_at
        fields.attributes.put(row, item.attributes)
        fields.words.put(row, before, self._called(row))

    def _called(self, row: int) -> str:
        """What the item in this row is called; "" for a new one."""
        if not self._titles[row]:
            return ""
        columns, fields = self._columns, self._fields
        category = fields.category[int(columns["category"][row])]
        brand = fields.brand[int(columns["brand"][row])]
        tags = " ".join(fields.tags[int(columns["tags"][row])])
        return f"{self._titles[row]} {category} {brand} {tags}"

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
            for name in ("category", "brand", "tags"):
                self._columns[name][row] = NOTHING
            self._columns["mark"][row] = crc32(item_id.encode("utf-8", "replace"))
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
