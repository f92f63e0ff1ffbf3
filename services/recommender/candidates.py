"""Which items may stand in this answer at all? Pure: masks over the rows of the shelf, made before
anything is scored.

By default: items that the shop shows and has in stock, without those the user has already clicked
on or more. A caller who names the items wants just those ranked, whatever the user did with them;
what a rule of the shop blocks stands nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from services.recommender import filters
from services.recommender.catalogue import NO_GROUP, Shelf
from services.recommender.domain import is_positive
from services.recommender.filters import Condition
from services.recommender.interests import Interaction

BoolArray = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.uint32]
_LOW_BITS = 0xFFFF


def allowed(
    shelf: Shelf,
    *,
    item_ids: Collection[str] | None = None,
    exclude: Collection[str] = (),
    include_out_of_stock: bool = False,
    wanted: Condition | None = None,
    blocks: Sequence[Condition] = (),
    passed: Marks | None = None,
) -> BoolArray:
    """(n,) whether each item of the shelf may stand there, whoever asks; unknown ids are passed
    over. `passed` are marks of items that stood on earlier pages: neither they nor their groups
    come again."""
    mask = shelf.shown.copy()
    if item_ids is not None:
        named = np.zeros_like(mask)
        named[_rows(shelf, item_ids)] = True
        mask &= named
    elif not include_out_of_stock:
        mask &= shelf.in_stock
    if wanted is not None:
        mask &= filters.mask(wanted, shelf)
    for block in blocks:
        mask &= ~filters.mask(block, shelf)
    mask[_rows(shelf, exclude)] = False
    if passed is not None and len(passed):
        mask &= ~_passed(shelf, passed)
    return mask


def without_taken(mask: BoolArray, shelf: Shelf, history: Sequence[Interaction]) -> BoolArray:
    """The mask without what the user has clicked on or more."""
    result = mask.copy()
    result[_rows(shelf, taken(history))] = False
    return result


def taken(history: Sequence[Interaction]) -> set[str]:
    """Items that the user clicked on or more; what was given back counts too."""
    return {event.item_id for event in history if is_positive(event.kind, event.value)}


def _passed(shelf: Shelf, marks: Marks) -> BoolArray:
    # Few rows share their low bits with a mark, so the search among the marks is short.
    flags = np.zeros(_LOW_BITS + 1, dtype=np.bool_)
    flags[marks & _LOW_BITS] = True
    rows = np.flatnonzero(flags[shelf.mark & _LOW_BITS])
    rows = rows[np.isin(shelf.mark[rows], marks)]
    found = np.zeros(len(shelf), dtype=np.bool_)
    found[rows] = True
    groups = np.unique(shelf.group[rows])
    groups = groups[groups != NO_GROUP]
    return found | np.isin(shelf.group, groups) if len(groups) else found


def _rows(shelf: Shelf, item_ids: Collection[str]) -> list[int]:
    found = (shelf.row(item_id) for item_id in item_ids)
    return [row for row in found if row is not None]
