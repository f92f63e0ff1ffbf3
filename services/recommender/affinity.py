"""How well do an item's price, category and brand suit what the user was interested in, and how
often did they pass it by? Pure.

All are 0 where nothing is known, of the item or of the user.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.recommender.catalogue import Shelf
from services.recommender.columns import NOTHING
from services.recommender.interests import Glimpsed, Interests

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rows = IntArray | slice

# Log prices that differ by less are the same price.
_SMALLEST_SPREAD = 1e-6


def price(shelf: Shelf, interests: Interests, rows: Rows, sample: IntArray) -> FloatArray:
    """(rows,) how much nearer the item's price is to those of the interests than a usual item's: of
    log prices, from the interests' weighted mean, in standard deviations of the `sample`'s."""
    usual, liked = _log(shelf.price[sample]), _log(shelf.price[interests.rows])
    usual, known = usual[~np.isnan(usual)], ~np.isnan(liked)
    spread = float(usual.std()) if len(usual) else 0.0
    if spread < _SMALLEST_SPREAD or not known.any():
        return np.zeros(len(shelf.price[rows]))
    centre = float(np.average(liked[known], weights=interests.weights[known]))
    nearer = np.abs(usual - centre).mean() - np.abs(_log(shelf.price[rows]) - centre)
    return np.asarray(np.nan_to_num(nearer / spread))


def share(codes: npt.NDArray[np.integer], interests: Interests, rows: Rows) -> FloatArray:
    """(rows,) 0 to 1: the share of the interests' weight that lies on items with the same code as
    the row's; `codes` (n,) are of the whole shelf."""
    asked = codes[rows]
    if len(interests) == 0:
        return np.zeros(len(asked))
    own, place = np.unique(codes[interests.rows], return_inverse=True)
    shares = np.bincount(place, weights=interests.weights) / interests.weights.sum()
    shares[own == NOTHING] = 0.0
    return _looked_up(own, shares, asked)


def seen(glimpsed: Glimpsed | None, rows: IntArray) -> FloatArray:
    """(rows,) log(1 + times that the user had the item before their eyes and did not take it)."""
    if glimpsed is None:
        return np.zeros(len(rows))
    return _looked_up(glimpsed.rows, np.log1p(glimpsed.times), rows)


def _looked_up(
    keys: npt.NDArray[np.integer], values: FloatArray, asked: npt.NDArray[np.integer]
) -> FloatArray:
    """(asked,) the value of each key asked for, 0 for others; `keys` are sorted, at least one."""
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], 0.0)


def _log(prices: FloatArray) -> FloatArray:
    return np.log(np.where(prices > 0, prices, np.nan))
