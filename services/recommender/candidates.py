"""Which items may stand in this answer at all? Pure.

By default: items that the shop shows and has in stock, without those the user has already clicked
on or more. A caller who names the items wants just those ranked, whatever the user did with them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from services.recommender.catalogue import Shelf
from services.recommender.domain import is_positive
from services.recommender.interests import Interaction

BoolArray = npt.NDArray[np.bool_]


def allowed(
    shelf: Shelf,
    history: Sequence[Interaction],
    *,
    item_ids: Collection[str] | None,
    exclude: Collection[str],
    allow_repeats: bool,
    include_out_of_stock: bool,
) -> BoolArray:
    """(n,) whether each item of the shelf may be recommended; unknown ids are passed over."""
    mask = shelf.shown.copy()
    if item_ids is not None:
        named = np.zeros_like(mask)
        named[_rows(shelf, item_ids)] = True
        mask &= named
    else:
        if not include_out_of_stock:
            mask &= shelf.in_stock
        if not allow_repeats:
            mask[_rows(shelf, taken(history))] = False
    mask[_rows(shelf, exclude)] = False
    return mask


def taken(history: Sequence[Interaction]) -> set[str]:
    """Items that the user clicked on or more; what was given back counts too."""
    return {event.item_id for event in history if is_positive(event.kind, event.value)}


def _rows(shelf: Shelf, item_ids: Collection[str]) -> list[int]:
    found = (shelf.row(item_id) for item_id in item_ids)
    return [row for row in found if row is not None]
