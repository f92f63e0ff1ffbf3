"""What is wanted more than usual."""

from __future__ import annotations

import numpy as np

from core.data.records import Item
from services.recommender.event_store import NewEvent
from services.recommender.trending import KEPT_SECONDS, Tally, Trends, trend
from tests.recommender.conftest import Database
from tests.recommender.test_filters import shelf_of

DAY = 86_400.0
NOW = 1_800_000_000.0
SHELF = shelf_of(*(Item(item_id=name, title=name) for name in ("steady", "rising", "small", "old")))


def test_more_than_usual_comes_before_more() -> None:
    scores = trend(
        SHELF,
        [
            Tally("steady", 100, 400),
            Tally("rising", 60, 80),
            Tally("small", 2, 0),
            Tally("old", 0, 40),
            Tally("unknown", 9, 9),
        ],
    )
    order = [SHELF.ids[row] for row in np.argsort(-scores, kind="stable")]
    assert order == ["rising", "small", "steady", "old"]
    assert scores[SHELF.row_of["old"]] == -np.inf


def test_a_busy_week_of_the_whole_shop_is_no_trend() -> None:
    scores = trend(SHELF, [Tally("steady", 200, 400), Tally("rising", 200, 400)])
    assert np.abs(scores[:2]).max() < 1e-5


def test_a_shop_of_yesterday_ranks_by_what_happened() -> None:
    scores = trend(SHELF, [Tally("steady", 3, 0), Tally("rising", 5, 0)])
    assert scores[1] > scores[0] > 0


def test_events_are_weighed_and_sorted_into_windows(database: Database) -> None:
    def event(number: int, kind: str, days: float, value: float | None = None) -> NewEvent:
        return NewEvent(f"e{number}", "u", None, "a", kind, value, NOW - days * DAY)  # type: ignore[arg-type]

    database.events.add(
        [
            event(1, "click", 1),
            event(2, "purchase", 6.9),
            event(3, "click", 7.1),
            event(4, "rating", 8, 1.0),
            event(5, "click", 36),
            event(6, "click", -1),
        ],
        NOW,
    )
    trends = Trends(database.readers)
    assert trends.tallies(7, NOW) == [Tally("a", 6.0, 1.0)]
    database.events.add([event(7, "click", 1)], NOW)
    assert trends.tallies(7, NOW + KEPT_SECONDS - 1) == [Tally("a", 6.0, 1.0)]
    assert trends.tallies(7, NOW + KEPT_SECONDS) == [Tally("a", 7.0, 1.0)]
