"""What would a server have had in memory at a moment of the log?

The same `Catalogue` that serves, filled from files instead of the database, so that training and
evaluation see the signals that serving sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.records import Item
from services.recommender.catalogue import Catalogue, Shelf, entry_of
from services.recommender.domain import item_text
from services.recommender.learning.log import EventLog
from services.recommender.model import Embedding
from services.recommender.popularity import NEVER, Popularity, exponent
from services.recommender.vectors import TextTower

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shop:
    """n items with what the encoder says of them: `embeddings` (n, width), `unknown_share` (n,) of
    tokens it could not read, `readable` (n,) whether it is believed."""

    items: Sequence[Item]
    texts: list[str]
    embeddings: FloatArray
    unknown_share: FloatArray
    readable: BoolArray

    def __len__(self) -> int:
        return len(self.items)

    @property
    def item_ids(self) -> list[str]:
        """The item ids in order."""
        return [item.item_id for item in self.items]


def open_shop(items: Sequence[Item], embeddings: Sequence[Embedding]) -> Shop:
    """The shop of these items; one embedding each."""
    return Shop(
        items,
        [item_text(item) for item in items],
        np.stack([e.values for e in embeddings]).astype(np.float32),
        np.array([e.unknown_share for e in embeddings], dtype=np.float32),
        np.array([e.readable for e in embeddings], dtype=np.bool_),
    )


def shelf_at(
    shop: Shop, tower: TextTower, model_rows: dict[str, int], log: EventLog, now: float
) -> Shelf:
    """The shelf at the moment `now`, after the events of `log`."""
    catalogue = Catalogue(tower, model_rows)
    catalogue.put(
        [
            entry_of(item, text, embedding, bool(readable), now)
            for item, text, embedding, readable in zip(
                shop.items, shop.texts, shop.embeddings, shop.readable, strict=True
            )
        ]
    )
    catalogue.add_popularity(popularity_of(shop, log))
    return catalogue.shelf()


def popularity_of(shop: Shop, log: EventLog) -> dict[str, Popularity]:
    """Popularity of each item that has events in the log."""
    positives = log.positives_of_items()
    first = np.full(len(shop), np.inf)
    np.minimum.at(first, log.item, log.time)
    recent = np.full(len(shop), NEVER)
    np.logaddexp2.at(recent, log.item[log.positive], exponent(log.time[log.positive]))
    return {
        shop.items[n].item_id: Popularity(float(positives[n]), float(recent[n]), float(first[n]))
        for n in np.flatnonzero(np.isfinite(first)).tolist()
    }
