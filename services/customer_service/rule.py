"""How sure is the service of an answer, given what the model says?

The part of risk.py that serving needs: the fitted numbers and how they are used. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_LARGEST_LOG_ODDS: Final = 12.0


class Weights(NamedTuple):
    """Of the logistic regression, in the order of `features_of`."""

    log_odds: float
    in_scope: float
    unreadable: float
    constant: float


# The calibrated probability itself.
PLAIN: Final = Weights(1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class DecisionRule:
    """What serving needs. `weights`: of the log-odds, of the in-scope score, of a text being
    unreadable, and the constant.

    An answer is sure when its score is at least `threshold`, in [0, 1], and its in-scope score at
    least `in_scope_floor` (None: no floor). `pair_weights` give the chance that one of the best
    two intents is right, from the sum of their probabilities: for asking back.
    """

    weights: Weights
    threshold: float
    in_scope_floor: float | None = None
    pair_weights: Weights = PLAIN

    def score(
        self, probability: npt.ArrayLike, in_scope: npt.ArrayLike, readable: npt.ArrayLike
    ) -> Floats:
        """(n,) chance that the answer is right; the arguments (n,) are those of `HeldOut`."""
        odds = features_of(probability, in_scope, readable) @ np.array(self.weights)
        return sigmoid(odds)

    def pair_score(
        self, probability: npt.ArrayLike, in_scope: npt.ArrayLike, readable: npt.ArrayLike
    ) -> Floats:
        """(n,) chance that one of the best two is right; `probability`: their sum."""
        odds = features_of(probability, in_scope, readable) @ np.array(self.pair_weights)
        return sigmoid(odds)

    def sure(
        self, probability: npt.ArrayLike, in_scope: npt.ArrayLike, readable: npt.ArrayLike
    ) -> Booleans:
        """(n,) whether the answer may be given automatically."""
        passed = self.score(probability, in_scope, readable) >= self.threshold
        if self.in_scope_floor is not None:
            passed &= _floats(in_scope) >= self.in_scope_floor
        return np.asarray(passed)

    @classmethod
    def from_settings(cls, said: Mapping[str, Any]) -> DecisionRule:
        """From the manifest's `settings["decision"]`."""
        floor = said.get("in_scope_floor")
        one, two = said["weights"], said["pair_weights"]
        return cls(
            Weights(**{name: float(one[name]) for name in Weights._fields}),
            float(said["threshold"]),
            None if floor is None else float(floor),
            Weights(**{name: float(two[name]) for name in Weights._fields}),
        )


def log_odds(probability: npt.ArrayLike) -> Floats:
    """log(p / (1 - p)), within ±12."""
    p = np.clip(_floats(probability), 1e-9, 1 - 1e-9)
    odds: Floats = np.clip(np.log(p) - np.log1p(-p), -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return odds


def features_of(
    probability: npt.ArrayLike, in_scope: npt.ArrayLike, readable: npt.ArrayLike
) -> Floats:
    """(n, 4), columns as in `Weights`."""
    odds = log_odds(probability)
    unreadable = 1.0 - _floats(readable)
    return np.stack([odds, _floats(in_scope), unreadable, np.ones_like(odds)], axis=-1)


def sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -500, 500))))


def _floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
