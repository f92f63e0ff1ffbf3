"""Who took what in a later part of the log, and what was known of them until then?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.recommender.domain import DAY, HISTORY_EVENTS
from services.recommender.figures import SHORT_HISTORY, Task
from services.recommender.interests import Interests, passed_by, weigh
from services.recommender.learning.log import EventLog
from services.recommender.learning.shop import Shop

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Window:
    """The log from `start` on, by the users who did something there.

    Lists have one entry a user: `users` numbers; `relevant` item numbers of what they took and had
    not known, `refused` of what they had before their eyes for the first time and did not take,
    `known` of all they had met before, `glimpsed` of those that they had seen and done nothing
    with, `again` of these that they took then; `history` positions of their events in `before`.
    `present` (items,): those that were in the shop before the window ended.
    """

    start: float
    before: EventLog
    users: IntArray
    relevant: Sequence[IntArray]
    refused: Sequence[IntArray]
    known: Sequence[IntArray]
    glimpsed: Sequence[IntArray]
    again: Sequence[IntArray]
    history: Sequence[IntArray]
    present: BoolArray

    def __len__(self) -> int:
        return len(self.users)

    def interests(self, half_life_days: float | None) -> list[Interests]:
        """Of each user at the start of the window."""
        half_life = None if half_life_days is None else half_life_days * DAY
        log, found = self.before, []
        for own in self.history:
            last = own[-HISTORY_EVENTS:]
            items, ages = log.item[last], self.start - log.time[last]
            own_interests = weigh(items, log.strength[last], ages, half_life)
            glimpsed = passed_by(items, log.shown[last], log.positive[last], ages, half_life)
            found.append(replace(own_interests, glimpsed=glimpsed))
        return found

    def takers(self, at_most: int | None = None) -> Window:
        """The users who took something; `at_most` as many."""
        return self.select([n for n, took in enumerate(self.relevant) if len(took)][:at_most])

    def first(self, count: int) -> Window:
        """The first `count` users."""
        return self.select(list(range(min(count, len(self)))))

    def rivals(self) -> BoolArray:
        """(users, items): what each user could have taken: all they had done nothing with."""
        mask = np.tile(self.present, (len(self), 1))
        for row, known in enumerate(self.known):
            mask[row, known] = False
            mask[row, self.glimpsed[row]] = True
        for row, took in enumerate(self.taken()):
            mask[row, took] = True
        return mask

    def taken(self) -> list[IntArray]:
        """Of each user, all they took and had not taken before, whether they had seen it or not."""
        return [np.union1d(*both) for both in zip(self.relevant, self.again, strict=True)]

    def select(self, places: Sequence[int]) -> Window:
        """The users at these places."""
        return replace(
            self,
            users=self.users[list(places)],
            relevant=[self.relevant[n] for n in places],
            refused=[self.refused[n] for n in places],
            known=[self.known[n] for n in places],
            glimpsed=[self.glimpsed[n] for n in places],
            again=[self.again[n] for n in places],
            history=[self.history[n] for n in places],
        )

    def task(self, shop: Shop) -> Task:
        """What a method is judged on. Items that came later are not ranked."""
        absent = np.flatnonzero(~self.present)
        return Task(
            relevant=self.relevant,
            known=[np.union1d(known, absent) for known in self.known],
            short=np.array([len(own) <= SHORT_HISTORY for own in self.history], dtype=np.bool_),
            trained=np.bincount(self.before.item, minlength=len(shop)) > 0,
            embeddings=shop.embeddings,
        )


def open_window(
    shop: Shop, log: EventLog, start: float, end: float, rng: np.random.Generator
) -> Window:
    """The window of `log` from `start` on and before `end`, its users in random order."""
    before, inside = log.before(start), log.between(start, end)
    histories = dict(before.of_users())
    users = [user for user, _ in inside.of_users()]
    users = [users[place] for place in rng.permutation(len(users))]
    events = dict(inside.of_users())
    known = [np.unique(before.item[histories.get(user, NONE)]) for user in users]
    past = [(histories.get(user, NONE), had) for user, had in zip(users, known, strict=True)]
    met = list(zip((events[user] for user in users), known, strict=True))
    relevant = [np.setdiff1d(inside.item[own][inside.positive[own]], had) for own, had in met]
    saw = [np.setdiff1d(inside.item[own][inside.shown[own]], had) for own, had in met]
    glimpsed = [np.setdiff1d(had, before.item[own][~before.shown[own]]) for own, had in past]
    all_taken = [inside.item[own][inside.positive[own]] for own, _ in met]
    return Window(
        start=start,
        before=before,
        users=np.array(users, dtype=np.int64),
        relevant=relevant,
        refused=[np.setdiff1d(s, took) for s, took in zip(saw, relevant, strict=True)],
        known=known,
        glimpsed=glimpsed,
        again=[np.intersect1d(*both) for both in zip(all_taken, glimpsed, strict=True)],
        history=[histories.get(user, NONE) for user in users],
        present=_present(shop, log, end),
    )


def _present(shop: Shop, log: EventLog, end: float) -> BoolArray:
    """Items that the shop had before `end`: by its own word, else by their first event; one
    without either may have been there all the time."""
    first = np.full(len(shop), np.inf)
    np.minimum.at(first, log.item, log.time)
    said = np.array([np.nan if i.created_at is None else i.created_at for i in shop.items])
    since = np.where(np.isnan(said), first, np.minimum(said, first))
    return (since < end) | ~np.isfinite(since)
