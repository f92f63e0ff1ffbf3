"""What a process holds in memory of the shop."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.records import Item
from services.recommender.catalogue import Catalogue, Entry, entry_of
from services.recommender.learning.adapter import plain_tower
from services.recommender.popularity import Popularity

NOW = 1_800_000_000.0


@pytest.fixture
def catalogue() -> Catalogue:
    tower = plain_tower(np.eye(3, 4, dtype=np.float32), np.ones(3, bool), ["a", "b", "c"])
    return Catalogue(tower, {"known": 7})


def entry(item_id: str, **values: object) -> Entry:
    item = Item(item_id=item_id, title=item_id, **values)  # type: ignore[arg-type]
    return entry_of(item, item_id, np.ones(4, np.float32) / 2, True, NOW)


def test_items_are_found_by_their_id(catalogue: Catalogue) -> None:
    catalogue.put([entry("a"), entry("known")])
    shelf = catalogue.shelf()
    assert (shelf.row("a"), shelf.row("known"), shelf.row("other")) == (0, 1, None)
    assert shelf.model_row.tolist() == [-1, 7]


def test_a_removed_item_is_not_found_until_it_comes_again(catalogue: Catalogue) -> None:
    catalogue.put([entry("a")])
    catalogue.remove("a")
    assert catalogue.shelf().row("a") is None
    catalogue.put([entry("a")])
    assert catalogue.shelf().row("a") == 0


def test_an_older_shelf_does_not_see_what_came_later(catalogue: Catalogue) -> None:
    catalogue.put([entry("a")])
    shelf = catalogue.shelf()
    catalogue.put([entry(f"new-{n}") for n in range(500)])
    assert len(shelf) == 1 and shelf.row("new-3") is None
    assert len(catalogue.shelf()) == 501


def test_popularity_survives_an_update_of_the_item(catalogue: Catalogue) -> None:
    catalogue.put([entry("a")])
    catalogue.add_popularity({"a": Popularity(2.0, 5.0, NOW), "gone": Popularity(1.0, 1.0, NOW)})
    catalogue.put([entry("a", category="new")])
    shelf = catalogue.shelf()
    assert shelf.positives.tolist() == [2.0] and shelf.recent_log2.tolist() == [5.0]


def test_items_of_one_group_share_a_number_and_no_group_is_no_number(catalogue: Catalogue) -> None:
    catalogue.put([entry("a", item_group_id="g"), entry("b", item_group_id="g"), entry("c")])
    assert catalogue.shelf().group.tolist() == [0, 0, -1]


def test_an_item_is_as_old_as_the_shop_says_else_as_its_first_sign(catalogue: Catalogue) -> None:
    catalogue.put([entry("said", created_at=NOW - 500), entry("seen"), entry("fresh")])
    catalogue.add_popularity({"seen": Popularity(0.0, -np.inf, NOW - 90)})
    assert catalogue.shelf().first_seen.tolist() == [NOW - 500, NOW - 90, NOW]


def test_behaviour_is_believed_the_more_there_is_of_it(catalogue: Catalogue) -> None:
    catalogue.put([entry("a"), entry("b")])
    catalogue.add_popularity({"b": Popularity(10.0, 1.0, NOW)})
    assert catalogue.shelf().evidence.tolist() == [0.0, 0.5]
