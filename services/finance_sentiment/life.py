"""How does an alert live? inactive → pending → firing → resolved, and what no news may change.

A pure machine, one step an hour, the same for the surge detector and for every rule:

    inactive   the condition is not met
    pending    it is, but not yet for `for_hours` hours in a row
    firing     it was, and has not since been unmet for more than `keep_firing_hours`
    resolved   over; for `cool_down_hours` nothing fires anew, then inactive

What is known of the news is a state beside these. `no_data`: feeds are dead or silent far beyond
what the topic has known; nothing changes, since nothing is known. `degraded`: a part of the feeds
or of the labels is missing; what speaks for an alert still counts, what speaks against it does not.
So dead feeds never read as calm: they end no alert, and break no `for`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Phase = Literal["inactive", "pending", "firing", "resolved"]
News = Literal["ok", "no_data", "degraded"]
Happened = Literal["pending", "fired", "resolved", "cleared"]

INACTIVE: Phase = "inactive"
PENDING: Phase = "pending"
FIRING: Phase = "firing"
RESOLVED: Phase = "resolved"
OK: News = "ok"
NO_DATA: News = "no_data"
DEGRADED: News = "degraded"


@dataclass(frozen=True, slots=True)
class Policy:
    """Whole hours. `for_hours` 1 fires in the first hour that meets the condition."""

    for_hours: int = 1
    keep_firing_hours: int = 0
    cool_down_hours: int = 0


AT_ONCE = Policy()


@dataclass(frozen=True, slots=True)
class Life:
    """Where one watch of one topic stands after an hour. `met`: hours in a row that met the
    condition; `unmet`: hours in a row that did not, while firing; `fired`, `resolved`: the hours
    in which the present or last alert did so; `rest`: hours of cool-down left."""

    phase: Phase = INACTIVE
    news: News = OK
    met: int = 0
    unmet: int = 0
    fired: int | None = None
    resolved: int | None = None
    rest: int = 0

    @property
    def shown(self) -> str:
        """One word for a page: what is wrong with the news where no alert is open."""
        return self.phase if self.news == OK or self.phase in (PENDING, FIRING) else self.news


BORN = Life()


def step(
    life: Life, hour: int, condition: bool, news: News, policy: Policy
) -> tuple[Life, Happened | None]:
    """The life after one more hour, and what happened in it."""
    life = replace(life, news=news)
    if news == NO_DATA or (news == DEGRADED and not condition):
        return life, None
    if life.phase == FIRING:
        return _firing(life, hour, condition, policy)
    return _met(life, hour, policy) if condition else _calm(life)


def _met(life: Life, hour: int, policy: Policy) -> tuple[Life, Happened | None]:
    life = replace(life, met=life.met + 1)
    if life.rest > 0:
        return replace(life, rest=life.rest - 1), None
    if life.met >= policy.for_hours:
        return replace(life, phase=FIRING, fired=hour, resolved=None, unmet=0), "fired"
    happened: Happened | None = None if life.phase == PENDING else "pending"
    return replace(life, phase=PENDING), happened


def _firing(life: Life, hour: int, condition: bool, policy: Policy) -> tuple[Life, Happened | None]:
    if condition:
        return replace(life, met=life.met + 1, unmet=0), None
    if life.unmet < policy.keep_firing_hours:
        return replace(life, unmet=life.unmet + 1), None
    over = replace(life, phase=RESOLVED, met=0, unmet=0, resolved=hour, rest=policy.cool_down_hours)
    return over, "resolved"


def _calm(life: Life) -> tuple[Life, Happened | None]:
    if life.phase == PENDING:
        return replace(life, phase=INACTIVE, met=0), "cleared"
    if life.rest > 0:
        return replace(life, met=0, rest=life.rest - 1), None
    return replace(life, phase=INACTIVE, met=0), None
