"""What came of the answers: touches, sales, refunds, intervals; then out of either database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from services.recommender.answer_log import Answer, AnswerLog, forget_answers
from services.recommender.attribution import (
    Given,
    Order,
    Outcome,
    Reaction,
    mean_interval,
    outcomes,
)
from services.recommender.attribution_store import AttributionStore
from services.recommender.event_store import NewEvent
from services.recommender.tables import answers
from tests.recommender.conftest import Database

GROUP = ("m1", "home")
HOUR = 3_600.0
WEEK = 7 * 24 * HOUR


def touch(at: float = 0.0, **values: Any) -> Reaction:
    given = {"group": GROUP, "recommendation_id": "r1", "item_id": "a", "kind": "click"}
    given |= {"user_id": "u", "session_id": None, "occurred_at": at}
    return Reaction(**(given | values))


def order(at: float = HOUR, value: float | None = 10.0, **values: Any) -> Order:
    given = {"item_id": "a", "kind": "purchase", "user_id": "u", "session_id": None}
    given |= {"occurred_at": at, "value": value, "currency": "EUR"}
    return Order(**(given | values))


def refund(at: float = 2 * HOUR, value: float | None = None, **values: Any) -> Order:
    return order(at, value, kind="refund", **values)


def of_home(reactions: list[Reaction], orders: list[Order], shown: int = 10) -> Outcome:
    given = [Given(GROUP, shown, shown * 5)]
    [found] = outcomes(given, reactions, orders, WEEK, np.random.default_rng(0))
    return found


def net(found: Outcome) -> list[tuple[str, float, float]]:
    return [(money.currency, money.revenue, money.refunds) for money in found.money]


# --- touches -------------------------------------------------------------------------------------


def test_clicks_are_items_each_once_an_answer_and_rates_are_of_answers() -> None:
    twice = [touch(), touch(5), touch(6, item_id="b"), touch(7, recommendation_id="r2")]
    seen = [touch(kind="impression"), touch(kind="impression", item_id="b")]
    found = of_home(twice + seen, [])
    assert (found.impressions, found.clicks, found.clicked) == (2, 3, 2)
    low, high = found.click_through
    assert 0 < low < 0.2 < high < 1


@pytest.mark.parametrize("kind", ["impression", "remove_from_cart", "refund"])
def test_what_takes_back_or_merely_shows_is_no_touch(kind: str) -> None:
    found = of_home([touch(kind=kind)], [order()])
    assert (found.clicks, found.sales) == (0, 0)


# --- sales ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reactions", "bought", "sales"),
    [
        ([touch()], order(), 1),
        ([touch()], order(item_id="b"), 0),
        ([touch()], order(user_id="v"), 0),
        ([touch(HOUR + 1)], order(HOUR), 0),  # clicked on afterwards
        ([touch(HOUR)], order(HOUR), 1),
        ([touch(0)], order(WEEK), 1),
        ([touch(0)], order(WEEK + 1), 0),
        ([touch(user_id=None, session_id="s")], order(session_id="s"), 1),
        ([touch(session_id="s")], order(user_id=None, session_id="s"), 1),
        ([touch(kind="purchase", occurred_at=HOUR)], order(HOUR), 1),  # it names its answer itself
    ],
)
def test_a_sale_belongs_to_a_touch_of_that_item_by_that_person_before_it(
    reactions: list[Reaction], bought: Order, sales: int
) -> None:
    assert of_home(reactions, [bought]).sales == sales


def test_the_last_touch_has_the_sale() -> None:
    other = ("m2", "cart")
    given = [Given(GROUP, 5, 5), Given(other, 5, 5)]
    reactions = [touch(10, group=other, recommendation_id="r2"), touch(0)]
    found = outcomes(given, reactions, [order()], WEEK, np.random.default_rng(0))
    assert [(one.group, one.sales) for one in found] == [(GROUP, 0), (other, 1)]


def test_money_is_told_by_currency() -> None:
    bought = [order(), order(value=4.0, currency="USD"), order(value=None)]
    assert net(of_home([touch()], bought)) == [("EUR", 10.0, 0.0), ("USD", 4.0, 0.0)]


# --- refunds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "money", "converted"),
    [
        ([order(), refund()], ("EUR", 10.0, 10.0), 0),
        ([order(), refund(value=4.0)], ("EUR", 10.0, 4.0), 1),
        ([order(), refund(value=-4.0)], ("EUR", 10.0, 4.0), 1),
        ([order(), refund(value=4.0), refund(value=4.0)], ("EUR", 10.0, 8.0), 1),
        ([order(), refund(value=7.0), refund(value=7.0)], ("EUR", 10.0, 10.0), 0),
        ([order(), refund(), refund()], ("EUR", 10.0, 10.0), 0),
        ([order(), order(HOUR + 5, 6.0), refund()], ("EUR", 16.0, 6.0), 1),  # the latest of them
        ([refund(), order()], ("EUR", 10.0, 10.0), 0),  # told of in the wrong order
        ([order(), refund(0)], ("EUR", 10.0, 0.0), 1),  # before it was bought
        ([order(), refund(item_id="b")], ("EUR", 10.0, 0.0), 1),
        ([order(), refund(user_id="v")], ("EUR", 10.0, 0.0), 1),
        ([order(), refund(HOUR)], ("EUR", 10.0, 10.0), 0),  # in the same moment
    ],
)
def test_a_refund_takes_its_money_off(
    orders: list[Order], money: tuple[str, float, float], converted: int
) -> None:
    found = of_home([touch()], orders)
    assert net(found) == [money] and found.converted == converted


def test_a_refund_of_what_no_answer_brought_leaves_the_others_alone() -> None:
    later = order(30 * 24 * HOUR, 8.0)  # outside of the window
    found = of_home([touch()], [order(), later, refund(31 * 24 * HOUR)])
    assert net(found) == [("EUR", 10.0, 0.0)] and found.converted == 1


# --- the interval of revenue ---------------------------------------------------------------------


def test_the_interval_of_revenue_agrees_with_the_bootstrap_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    sold = rng.gamma(2.0, 10.0, 60)
    rows = np.concatenate([sold, np.zeros(940)])
    usual = np.quantile([rng.choice(rows, 1_000).mean() for _ in range(1_000)], [0.025, 0.975])
    assert mean_interval(sold.tolist(), 1_000, rng) == pytest.approx(usual, rel=0.1)


# --- in the database -----------------------------------------------------------------------------


def written(database: Database, *some: Answer) -> None:
    log = AnswerLog(database.sessions, CollectorRegistry())
    for one in some:
        log.put(one)
    assert log.write() == len(some)


def event(event_id: str, kind: str, at: float, **values: Any) -> NewEvent:
    return NewEvent(event_id, "u", None, "a", kind, values.pop("value", None), at, **values)  # type: ignore[arg-type]


def test_outcomes_are_read_from_answers_and_events(database: Database) -> None:
    written(
        database,
        Answer("r1", "m1", "home", 100.0, ["a", "b"]),
        Answer("r2", "m1", "home", 110.0, ["b"]),
        Answer("r3", "m1", "", 110.0, []),
        Answer("old", "m1", "home", 10.0, ["a"]),
    )
    named = {"recommendation_id": "r1", "position": 1}
    database.events.add(
        [
            event("1", "click", 120.0, **named),
            event("2", "click", 120.0, recommendation_id="r2"),  # "a" did not stand in it
            event("3", "purchase", 130.0, value=9.0, currency="EUR"),
            event("4", "refund", 140.0, value=2.0, currency="EUR"),
        ],
        150.0,
    )
    store = AttributionStore(database.readers)
    nowhere, home = store.outcomes(100.0, 200.0, WEEK, np.random.default_rng(0))
    assert (nowhere.group, nowhere.answers, nowhere.shown) == (("m1", ""), 1, 0)
    assert (home.answers, home.shown, home.clicked, home.converted) == (2, 3, 1, 1)
    assert net(home) == [("EUR", 9.0, 2.0)]
    assert store.outcomes(500.0, 600.0, WEEK, np.random.default_rng(0)) == []


def test_old_answers_are_forgotten(database: Database) -> None:
    written(database, *(Answer(f"r{n}", "m", "", float(n), ["a"]) for n in range(5)))
    assert forget_answers(database.sessions, 3.0, at_most=2) == 2
    assert forget_answers(database.sessions, 3.0) == 1
    with database.readers() as session:
        assert session.execute(select(func.count()).select_from(answers)).scalar_one() == 2


def test_what_waits_is_bounded_written_at_the_end_and_what_is_dropped_is_counted(
    sqlite: Database,
) -> None:
    registry = CollectorRegistry()
    log = AnswerLog(sqlite.sessions, registry, queue=3)
    for n in range(5):
        log.put(Answer(f"r{n}", "m", "", 0.0, ["a"]))
    assert registry.get_sample_value("trefoil_recommender_answers_dropped_total") == 2
    log.start()
    log.stop()
    with sqlite.readers() as session:
        assert session.execute(select(func.count()).select_from(answers)).scalar_one() == 3
