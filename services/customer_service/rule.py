"""How sure is the service of an answer, given what the model says?

The part of risk.py that serving needs: the fitted numbers and how they are used. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_LARGEST_LOG_ODDS: Final = 12.0


@dataclass(frozen=True)
class Signals:
    """What the model says of n texts, (n,) each.

    `intent`: number of the best one among the trained ones; `probability` of it and
    `pair_probability` of the best two together; the in-scope score, higher is surer; whether the
    encoder could read the text; `nearest_oos`: the cosine to the nearest question that is known to
    be out of scope (0 for unreadable text, or without any).
    """

    intent: Integers
    probability: Floats
    pair_probability: Floats
    in_scope: Floats
    readable: Booleans
    nearest_oos: Floats

    def __len__(self) -> int:
        return len(self.probability)


class Weights(NamedTuple):
    """Of the logistic regression, in the order of `features_of`."""

    log_odds: float
    in_scope: float
    nearest_oos: float
    unreadable: float
    constant: float


# The calibrated probability itself.
PLAIN: Final = Weights(1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class DecisionRule:
    """What serving needs.

    `weights` give the chance that the best intent is right, `pair_weights` that one of the best
    two is. `trust`, number of an intent → [0, 1), lowers the chance of an intent that is right less
    often than the model believes. An answer is sure when its chance is at least `threshold`, in
    [0, 1], and its in-scope score at least `in_scope_floor` (None: no floor).
    """

    weights: Weights
    threshold: float
    in_scope_floor: float | None = None
    pair_weights: Weights = PLAIN
    trust: Mapping[int, float] = field(default_factory=dict)

    def chance(self, signals: Signals) -> Floats:
        """(n,) chance that answering with the best intent is right."""
        features = features_of(signals.probability, signals)
        return sigmoid(features @ np.array(self.weights)) * self.trusted(signals.intent)

    def trusted(self, intent: Integers) -> Floats:
        """(n,) `trust` of these intents, 1 for all but a few."""
        trusted = np.ones(len(intent))
        for number, trust in self.trust.items():
            trusted[intent == number] = trust
        return trusted

    def pair_chance(self, signals: Signals) -> Floats:
        """(n,) chance that the first or the second intent is right."""
        features = features_of(signals.pair_probability, signals)
        either = sigmoid(features @ np.array(self.pair_weights))
        # Fitted apart from each other; one of two is never less likely than the first of them.
        return np.maximum(either, self.chance(signals))

    def sure(self, signals: Signals) -> Booleans:
        """(n,) whether the answer may be given automatically."""
        passed = self.chance(signals) >= self.threshold
        if self.in_scope_floor is not None:
            passed &= signals.in_scope >= self.in_scope_floor
        return np.asarray(passed)

    @classmethod
    def from_settings(cls, said: Mapping[str, Any], intents: Sequence[str]) -> DecisionRule:
        """From the manifest's `settings["decision"]` and the names of the trained intents."""
        floor = said.get("in_scope_floor")
        one, two = said["weights"], said["pair_weights"]
        return cls(
            Weights(**{name: float(one[name]) for name in Weights._fields}),
            float(said["threshold"]),
            None if floor is None else float(floor),
            Weights(**{name: float(two[name]) for name in Weights._fields}),
            {intents.index(name): float(trust) for name, trust in said.get("trust", {}).items()},
        )


def features_of(probability: Floats, signals: Signals) -> Floats:
    """(n, 5), columns as in `Weights`; the constant is the last."""
    columns = (
        log_odds(probability),
        signals.in_scope,
        signals.nearest_oos,
        1.0 - signals.readable,
        np.ones(len(signals)),
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=-1)


def log_odds(probability: npt.ArrayLike) -> Floats:
    """log(p / (1 - p)), within ±12."""
    p = np.clip(np.asarray(probability, dtype=np.float64), 1e-9, 1 - 1e-9)
    odds: Floats = np.clip(np.log(p) - np.log1p(-p), -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return odds


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)), without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -500, 500))))
