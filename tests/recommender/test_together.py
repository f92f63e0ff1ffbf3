"""What is bought together: baskets, counts, and how strongly two items belong together."""

from __future__ import annotations

import pytest

from services.recommender.event_store import NewEvent
from services.recommender.together import Baskets, log_likelihood_ratio, ranked
from tests.recommender.conftest import Database

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2


def buy(number: int, user: str, item: str, at: float = NOON, **more: object) -> NewEvent:
    kind = more.pop("kind", "purchase")
    session = more.pop("session_id", None)
    who = (None, session) if session else (user, None)
    return NewEvent(f"e{number}", *who, item, kind, None, at, **more)  # type: ignore[arg-type]


def fill(database: Database, *events: NewEvent) -> Baskets:
    database.events.add(events, NOON)
    baskets = Baskets(database.sessions, database.readers)
    while baskets.fold(at_most=3):
        pass
    return baskets


def pairs(baskets: Baskets, item: str, least: int = 1) -> dict[str, int]:
    return {one.item_id: one.baskets for one in baskets.partners(item, least)}


def test_what_one_user_bought_on_one_day_is_a_basket(database: Database) -> None:
    baskets = fill(
        database,
        buy(1, "a", "tent"),
        buy(2, "a", "pegs", NOON + 60),
        buy(3, "a", "lamp", NOON + 2 * DAY),
        buy(4, "b", "tent"),
        buy(5, "b", "tent"),
        buy(6, "b", "pegs"),
        buy(7, "c", "oven"),
        buy(8, "c", "pegs", kind="view"),
    )
    assert pairs(baskets, "tent") == {"pegs": 2}
    assert pairs(baskets, "pegs") == {"tent": 2}
    assert pairs(baskets, "lamp") == {} and pairs(baskets, "tent", least=3) == {}
    assert baskets.fold() == 0


def test_an_order_is_a_basket_and_so_is_a_session(sqlite: Database) -> None:
    baskets = fill(
        sqlite,
        buy(1, "a", "tent", order_id="o1"),
        buy(2, "a", "oven", order_id="o2"),
        buy(3, "a", "pegs", NOON + DAY, order_id="o1"),
        buy(4, "", "cup", session_id="s"),
        buy(5, "", "pot", session_id="s"),
        buy(6, "b", "mug"),
    )
    assert pairs(baskets, "tent") == {"pegs": 1}
    assert pairs(baskets, "oven") == {} and pairs(baskets, "cup") == {"pot": 1}


def test_what_is_bought_with_everything_comes_after_what_belongs_to_the_item() -> None:
    found = ranked([("bag", 50, 500), ("pegs", 30, 32), ("rare", 1, 900)], 60, 1_000)
    assert [one.item_id for one in found] == ["pegs", "bag"]
    assert found[0].lift == pytest.approx(30 * 1_000 / (60 * 32))


def test_the_ratio_is_nothing_for_independent_items_and_known_otherwise() -> None:
    assert log_likelihood_ratio(10, 100, 100, 1_000) == pytest.approx(0.0, abs=1e-9)
    # Cells 110, 2442, 111, 29114 ("the swiss" in Dunning 1993, table 1): 270.72.
    total = 110 + 2442 + 111 + 29114
    found = log_likelihood_ratio(110, 110 + 2442, 110 + 111, total)
    assert found == pytest.approx(270.72, abs=0.01)


def test_without_a_count_there_is_nothing(sqlite: Database) -> None:
    assert pairs(fill(sqlite), "tent") == {}
