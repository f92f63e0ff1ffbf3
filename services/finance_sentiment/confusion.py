"""What share of the stories is negative, given that the model takes some for what they are not?

The share that the model says is s·p + f·(1−p), where p is the true one, s the share of negative
stories that it finds and f that of others which it takes for negative. So p = (said − f) / (s − f)
(Rogan and Gladen 1978). s and f were counted on held-out rows when the model was trained and stand
in its manifest; what they leave open is part of the interval (delta method). It corrects a share
over many stories, never the label of one; detectors compare what the model says with what it
usually says and need no correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

NEGATIVE = "negative"
# A model that finds negative stories hardly better than chance corrects nothing.
_LEAST_SKILL = 0.2
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Held-out rows: `found` of `negative` ones were said to be negative, and `mistaken` of
    `other` ones."""

    negative: int
    found: int
    other: int
    mistaken: int

    @classmethod
    def count(cls, truth: Sequence[str], said: Sequence[str]) -> Confusion:
        """From labels, as many of the one as of the other."""
        pairs = list(zip(truth, said, strict=True))
        negative = [s for t, s in pairs if t == NEGATIVE]
        other = [s for t, s in pairs if t != NEGATIVE]
        return cls(len(negative), negative.count(NEGATIVE), len(other), other.count(NEGATIVE))

    def to_json(self) -> dict[str, int]:
        """Fit for a manifest and for `from_json`."""
        return {name: getattr(self, name) for name in ("negative", "found", "other", "mistaken")}

    @classmethod
    def from_json(cls, said: Mapping[str, Any] | None) -> Confusion | None:
        """What `to_json` gave; None where a manifest has nothing of the kind."""
        return None if not said else cls(**{name: int(value) for name, value in said.items()})

    def corrected(self, stories: int, negative: int) -> tuple[float, tuple[float, float]] | None:
        """(share, its 95 % interval), both from 0 to 1; None without stories, without held-out
        rows of both kinds, and where the model tells the kinds apart too badly."""
        if not stories or not self.negative or not self.other:
            return None
        # One half of a row each way keeps a perfect score from looking certain.
        sees = (self.found + 0.5) / (self.negative + 1)
        mistakes = (self.mistaken + 0.5) / (self.other + 1)
        skill = sees - mistakes
        if skill < _LEAST_SKILL:
            return None
        said = negative / stories
        share = (said - mistakes) / skill
        smoothed = (negative + 0.5) / (stories + 1)
        variance = (
            smoothed * (1 - smoothed) / stories
            + (share**2) * sees * (1 - sees) / self.negative
            + ((1 - share) ** 2) * mistakes * (1 - mistakes) / self.other
        ) / skill**2
        reach = _Z * math.sqrt(variance)
        low, middle, high = (min(max(x, 0.0), 1.0) for x in (share - reach, share, share + reach))
        return middle, (low, high)
