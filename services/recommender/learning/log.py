"""What happened in the shop, as arrays in order of time?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from core.data.records import Event, Item
from services.recommender.domain import SHOWN, is_positive, strength

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EventLog:
    """n events of known items, in order of time. `user` and `item` (n,) are numbers into `users`
    and the catalogue; `strength`, `positive` and `shown` as in domain.py; `time` in Unix seconds.
    `users` counts all users of the whole log, so that parts of it share the numbers."""

    users: Sequence[str]
    items: int
    user: IntArray
    item: IntArray
    strength: FloatArray
    positive: BoolArray
    shown: BoolArray
    time: FloatArray

    def __len__(self) -> int:
        return len(self.user)

    def select(self, mask: BoolArray) -> EventLog:
        """The events for which `mask` (n,) is true."""
        return replace(
            self,
            user=self.user[mask],
            item=self.item[mask],
            strength=self.strength[mask],
            positive=self.positive[mask],
            shown=self.shown[mask],
            time=self.time[mask],
        )

    def before(self, moment: float) -> EventLog:
        """The events earlier than `moment`."""
        return self.select(self.time < moment)

    def between(self, start: float, end: float) -> EventLog:
        """The events from `start` on and earlier than `end`."""
        return self.select((self.time >= start) & (self.time < end))

    def of_users(self) -> Iterator[tuple[int, IntArray]]:
        """(user, positions of their events in order of time), for users who have any."""
        order = np.argsort(self.user, kind="stable")
        cuts = np.flatnonzero(np.diff(self.user[order])) + 1
        for positions in np.split(order, cuts) if len(order) else []:
            yield int(self.user[positions[0]]), positions

    def positives_of_items(self) -> IntArray:
        """(items,) positive events of each item."""
        return np.bincount(self.item[self.positive], minlength=self.items).astype(np.int64)


@dataclass(frozen=True)
class ReadLog:
    """A log, and how many events were left out because their item is not in the catalogue."""

    log: EventLog
    unknown_items: int


def read_log(items: Sequence[Item], events: Sequence[Event]) -> ReadLog:
    """The log of these events over the catalogue `items`."""
    number = {item.item_id: n for n, item in enumerate(items)}
    known = [event for event in events if event.item_id in number]
    known.sort(key=lambda event: event.timestamp)
    users = list(dict.fromkeys(event.user_id for event in known))
    user_number = {user: n for n, user in enumerate(users)}
    log = EventLog(
        users=users,
        items=len(items),
        user=np.array([user_number[e.user_id] for e in known], dtype=np.int64),
        item=np.array([number[e.item_id] for e in known], dtype=np.int64),
        strength=np.array([strength(e.event, e.value) for e in known], dtype=np.float64),
        positive=np.array([is_positive(e.event, e.value) for e in known], dtype=np.bool_),
        shown=np.array([e.event in SHOWN for e in known], dtype=np.bool_),
        time=np.array([e.timestamp for e in known], dtype=np.float64),
    )
    return ReadLog(log, len(events) - len(known))


def moment_of_share(log: EventLog, share: float) -> float:
    """The time before which about `share` of the events lie; they never split a moment."""
    place = min(max(round(share * len(log)), 0), len(log) - 1)
    return float(log.time[place])


def fingerprint(items: Sequence[Item], events: Sequence[Event]) -> str:
    """SHA-256 over both files' rows in order: the manifest's `data_sha256`.

    Every column that is read counts, those that nobody asked for do not.
    """
    digest = hashlib.sha256()
    records: list[Item | Event] = [*items, *events]
    for record in records:
        row = [getattr(record, f.name) for f in fields(record) if f.name not in ("line", "extra")]
        digest.update(f"{row!r}\n".encode("utf-8", "replace"))
    return digest.hexdigest()
