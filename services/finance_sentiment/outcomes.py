"""What can come of sending one message?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Came = Literal["arrived", "later", "never"]
ARRIVED: Final[Came] = "arrived"
LATER: Final[Came] = "later"
NEVER: Final[Came] = "never"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came, and why, in words without secrets. `wait`: seconds for which the receiver asked to
    be left alone, it and all that goes to the same channel."""

    came: Came
    said: str
    wait: float = 0.0
