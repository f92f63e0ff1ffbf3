"""Which alerts is nobody to be told of?

A silence holds from one moment to another for alerts whose labels meet all of its matchers, as an
Alertmanager's does. It changes what is told, never what is found: a silenced alert is raised, kept
and shown. Matchers compare plainly (=, !=) or by the start of a value (^=); there are no regular
expressions, since silences come from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.errors import InvalidInput
from services.finance_sentiment.series import series_labels

OPERATORS = ("=", "!=", "^=")
LABELS = ("topic", "company", "detector", "test")
MAX_MATCHERS = 20
MAX_VALUE = 200
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label. A label that an alert lacks has the value ""."""

    name: str
    operator: str
    value: str

    def meets(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it."""
        said = labels.get(self.name, "")
        if self.operator == "^=":
            return said.startswith(self.value)
        return (said == self.value) == (self.operator == "=")


@dataclass(frozen=True, slots=True)
class Silence:
    """From `starts_at` to `ends_at` (exclusive)."""

    id: int
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime

    def holds(self, labels: Mapping[str, str], now: datetime) -> bool:
        """Whether an alert with these labels is silenced now."""
        return self.starts_at <= now < self.ends_at and all(
            matcher.meets(labels) for matcher in self.matchers
        )


def silenced_by(labels: Mapping[str, str], silences: Iterable[Silence], now: datetime) -> list[int]:
    """The ids of the silences that hold for these labels."""
    return [silence.id for silence in silences if silence.holds(labels, now)]


def alert_labels(series: str, detector: str, *, test: bool) -> dict[str, str]:
    """What silences and receivers may match an alert by; `topic` or `company` is ""."""
    watched = {name: value or "" for name, value in series_labels(series).items()}
    return {**watched, "detector": detector, "test": "true" if test else "false"}


def checked_matchers(said: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """The matchers of a request; InvalidInput names what is wrong. One that would silence every
    alert, all empty, is refused."""
    if not 1 <= len(said) <= MAX_MATCHERS:
        raise InvalidInput(f"expected 1 to {MAX_MATCHERS} matchers, found {len(said)}")
    found = tuple(_matcher(entry) for entry in said)
    if all(m.operator == "^=" and not m.value for m in found):
        raise InvalidInput(
            "these matchers meet every alert", mend="Name a topic or a detector to be silent about."
        )
    return found


def _matcher(entry: Mapping[str, Any]) -> Matcher:
    name, operator, value = (entry.get(key) for key in ("name", "operator", "value"))
    if name not in LABELS:
        raise InvalidInput(f"`name`: expected one of {', '.join(LABELS)}, was {name!r:.50}")
    if operator not in OPERATORS:
        raise InvalidInput(
            f"`operator`: expected one of {', '.join(OPERATORS)}, was {operator!r:.50}"
        )
    if not isinstance(value, str) or len(value) > MAX_VALUE:
        raise InvalidInput(f"`value`: expected a text of at most {MAX_VALUE} characters")
    return Matcher(str(name), str(operator), value)


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """InvalidInput where the end is not after the start, or too far from it."""
    if ends_at <= starts_at:
        raise InvalidInput("a silence must end after it starts")
    if ends_at - starts_at > LONGEST:
        raise InvalidInput(
            f"a silence holds for at most {LONGEST.days} days",
            mend="Raise the accepted false alarms, or take the topic out of the feeds.",
        )
