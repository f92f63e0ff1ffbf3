"""What came of the answers: seen, clicked on, bought, given back? Pure.

A *touch* is an event that names an answer (recommendation_id) and an item that stood in it: a
click, or anything stronger, or the view of the item's page. A *sale* is a purchase; it belongs to
the last touch of the same item by the same person within `window` seconds before it (last touch;
a purchase that names its answer is a touch itself). A refund takes its money off the latest sale
of that item to that person before it that was not refunded yet, at most what the sale brought.

All of it is counted for the answers of the period asked about, whenever the sale was. Rates are
shares of answers, with Wilson's interval; revenue an answer has a Poisson bootstrap's (each answer
weighs 0, 1, 2, … times; Hanley and MacGibbon 2006), which costs nothing for answers that sold
nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from core.data.records import EventKind
from core.evaluation.intervals import Interval, wilson_interval

NO_TOUCH: Final[frozenset[EventKind]] = frozenset({"impression", "remove_from_cart", "refund"})
_RESAMPLES: Final = 1_000
_CELLS: Final = 2_000_000
_LEVEL: Final = 0.95

# (model_version, scenario)
Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """Answers of a group, and the places in them."""

    group: Group
    answers: int
    shown: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """An event that names an answer of `group`, on an item that stood in it."""

    group: Group
    recommendation_id: str
    item_id: str
    kind: EventKind
    user_id: str | None
    session_id: str | None
    occurred_at: float


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase or a refund, whoever it was and wherever it came from."""

    item_id: str
    kind: EventKind
    user_id: str | None
    session_id: str | None
    occurred_at: float
    value: float | None
    currency: str


@dataclass(frozen=True)
class Money:
    """In one currency; `net` is `revenue` less `refunds`, `interval` of the net an answer."""

    currency: str
    revenue: float
    refunds: float
    interval: Interval

    @property
    def net(self) -> float:
        """What was kept."""
        return self.revenue - self.refunds


@dataclass(frozen=True)
class Outcome:
    """Of one group. `impressions` are items of answers that were told to have been seen, `clicks`
    items that were touched, both each once an answer; `clicked` and `converted` are answers."""

    group: Group
    answers: int
    shown: int
    impressions: int
    clicks: int
    clicked: int
    click_through: Interval
    converted: int
    conversion: Interval
    sales: int
    refunded: int
    money: Sequence[Money]


@dataclass
class _Sale:
    """A purchase; `touch` is the last one before it, None where it belongs to no answer."""

    touch: tuple[float, str, Group] | None
    value: float
    currency: str
    back: float = 0.0
    refunded: bool = False

    @property
    def kept(self) -> bool:
        """Whether something of it was not given back."""
        return not self.refunded or self.back < self.value


@dataclass
class _Tally:
    seen: set[tuple[str, str]] = field(default_factory=set)
    touched: set[tuple[str, str]] = field(default_factory=set)
    sales: list[_Sale] = field(default_factory=list)


def outcomes(
    given: Iterable[Given],
    reactions: Iterable[Reaction],
    orders: Iterable[Order],
    window: float,
    rng: np.random.Generator,
) -> list[Outcome]:
    """One outcome a group, in order of their names. `window` in seconds."""
    tallies: dict[Group, _Tally] = defaultdict(_Tally)
    touches: dict[tuple[str, str, str], list[tuple[float, str, Group]]] = defaultdict(list)
    for event in reactions:
        place = (event.recommendation_id, event.item_id)
        if event.kind == "impression":
            tallies[event.group].seen.add(place)
        if event.kind in NO_TOUCH:
            continue
        tallies[event.group].touched.add(place)
        for person in _person(event):
            touch = (event.occurred_at, event.recommendation_id, event.group)
            touches[(*person, event.item_id)].append(touch)
    for told in touches.values():
        told.sort()
    for sale in sales_of(touches, orders, window):
        if sale.touch is not None:
            tallies[sale.touch[2]].sales.append(sale)
    return [_outcome(one, tallies[one.group], rng) for one in sorted(given, key=_group)]


def sales_of(
    touches: Mapping[tuple[str, str, str], Sequence[tuple[float, str, Group]]],
    orders: Iterable[Order],
    window: float,
) -> list[_Sale]:
    """Every purchase with its last touch and what of it was given back. `touches`: (user or
    session, its id, item) → (moment, answer, group), in order of time."""
    found: list[_Sale] = []
    bought: dict[tuple[str, str, str], list[_Sale]] = defaultdict(list)
    # What is given back in the moment it was bought was bought before.
    for order in sorted(orders, key=lambda o: (o.occurred_at, o.kind == "refund")):
        keys = [(*person, order.item_id) for person in _person(order)]
        if order.kind == "refund":
            _take_back([sale for key in keys for sale in bought[key]], order)
            continue
        last = [_last(touches.get(key, ()), order.occurred_at, window) for key in keys]
        sale = _Sale(
            touch=max((touch for touch in last if touch is not None), default=None),
            value=order.value or 0.0,
            currency=order.currency,
        )
        found.append(sale)
        for key in keys:
            bought[key].append(sale)
    return found


def _last(
    touches: Sequence[tuple[float, str, Group]], moment: float, window: float
) -> tuple[float, str, Group] | None:
    place = bisect_right(touches, moment, key=lambda touch: touch[0])
    if place == 0 or touches[place - 1][0] < moment - window:
        return None
    return touches[place - 1]


def _take_back(bought: Sequence[_Sale], order: Order) -> None:
    """Off the latest purchase of which something is left, attributed or not."""
    sale = next((sale for sale in reversed(bought) if sale.kept), None)
    if sale is not None:
        left = sale.value - sale.back
        sale.refunded = True
        sale.back += left if order.value is None else min(abs(order.value), left)


def _person(event: Reaction | Order) -> list[tuple[str, str]]:
    named = (("user", event.user_id), ("session", event.session_id))
    return [(kind, name) for kind, name in named if name is not None]


def _outcome(given: Given, tally: _Tally, rng: np.random.Generator) -> Outcome:
    clicked = len({answer for answer, _ in tally.touched})
    kept = {sale.touch[1] for sale in tally.sales if sale.touch is not None and sale.kept}
    answers = given.answers
    return Outcome(
        group=given.group,
        answers=answers,
        shown=given.shown,
        impressions=len(tally.seen),
        clicks=len(tally.touched),
        clicked=clicked,
        click_through=wilson_interval(clicked, answers, _LEVEL),
        converted=len(kept),
        conversion=wilson_interval(len(kept), answers, _LEVEL),
        sales=len(tally.sales),
        refunded=sum(sale.refunded for sale in tally.sales),
        money=[_money(c, tally.sales, answers, rng) for c in _currencies(tally.sales)],
    )


def _money(currency: str, sales: Sequence[_Sale], answers: int, rng: np.random.Generator) -> Money:
    own = [sale for sale in sales if sale.currency == currency]
    net: dict[str, float] = defaultdict(float)
    for sale in own:
        if sale.touch is not None:
            net[sale.touch[1]] += sale.value - sale.back
    return Money(
        currency=currency,
        revenue=math.fsum(sale.value for sale in own),
        refunds=math.fsum(sale.back for sale in own),
        interval=mean_interval(list(net.values()), answers, rng),
    )


def mean_interval(values: Sequence[float], rows: int, rng: np.random.Generator) -> Interval:
    """(low, high) at 95 % for the mean of `rows` figures, of which all but `values` are 0."""
    amounts = np.asarray(values, dtype=np.float64)
    step = max(1, _CELLS // max(len(amounts), 1))
    means = []
    for start in range(0, _RESAMPLES, step):
        drawn = rng.poisson(1.0, (min(step, _RESAMPLES - start), len(amounts)))
        means.append(drawn @ amounts / rows)
    low, high = np.quantile(np.concatenate(means), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _currencies(sales: Sequence[_Sale]) -> list[str]:
    return sorted({sale.currency for sale in sales})


def _group(given: Given) -> Group:
    return given.group
