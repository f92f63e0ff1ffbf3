"""Price, category, brand and what was passed by, in cases small enough for a pencil."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.data.records import Item
from services.recommender import affinity
from services.recommender.catalogue import Catalogue, Shelf, entry_of
from services.recommender.collaborative import Neighbours
from services.recommender.factors import Factors
from services.recommender.interests import Glimpsed, Interaction, Interests, interests_of
from services.recommender.learning.adapter import plain_tower
from services.recommender.learning.shop import Shop
from services.recommender.rankers import SIGNALS
from services.recommender.signals import of_items, of_user
from services.recommender.vectors import TextTower

DAY = 86_400.0
ALL = slice(None)


@pytest.fixture(scope="module")
def tower(shop: Shop) -> TextTower:
    return plain_tower(shop.embeddings, shop.readable, shop.texts)


@pytest.fixture(scope="module")
def shelf(tower: TextTower, shop: Shop) -> Shelf:
    items = [
        Item("a", "mug", category="cups", brand="Alvik", price=10.0),
        Item("b", "jug", category="cups", brand="Brimo", price=10.0),
        Item("c", "vase", category="vases", brand="Alvik", price=1_000.0),
        Item("d", "bowl", category="bowls", price=1_000.0),
        Item("e", "secret"),
    ]
    catalogue = Catalogue(tower, {"a": 0, "b": 1, "c": 2})
    embedding = shop.embeddings[0]
    catalogue.put([entry_of(item, item.title, embedding, True, 0.0) for item in items])
    return catalogue.shelf()


def liking(*rows: int, weights: list[float] | None = None) -> Interests:
    return Interests(np.array(rows, dtype=np.int64), np.array(weights or [1.0] * len(rows)))


def test_a_price_near_those_of_the_interests_speaks_for_an_item(shelf: Shelf) -> None:
    found = affinity.price(shelf, liking(0), ALL, np.arange(5))
    # Half the priced items are at distance 0, half at two standard deviations; the mean is one.
    assert found == pytest.approx([1.0, 1.0, -1.0, -1.0, 0.0])


def test_without_known_prices_all_are_alike(shelf: Shelf) -> None:
    assert not affinity.price(shelf, liking(4), ALL, np.arange(5)).any()
    assert not affinity.price(shelf, liking(), ALL, np.arange(5)).any()
    assert not affinity.price(shelf, liking(0), ALL, np.array([0, 1])).any(), "one price for all"


def test_the_share_of_the_interests_that_is_of_the_same_brand(shelf: Shelf) -> None:
    of_brand = affinity.share(shelf.brand, liking(0, 1, weights=[3.0, 1.0]), ALL)
    assert of_brand == pytest.approx([0.75, 0.25, 0.75, 0.0, 0.0])
    of_category = affinity.share(shelf.category, liking(0, 1), ALL)
    assert of_category == pytest.approx([1.0, 1.0, 0.0, 0.0, 0.0])


def test_items_without_a_brand_are_not_of_one_brand(shelf: Shelf) -> None:
    assert not affinity.share(shelf.brand, liking(3, 4), ALL).any()


def test_what_was_passed_by_fades_and_what_was_taken_does_not_count() -> None:
    rows = {"a": 0, "b": 1, "c": 2}
    history = [
        Interaction("a", "impression", 0.0),
        Interaction("a", "impression", 10 * DAY),
        Interaction("b", "view", 10 * DAY),
        Interaction("b", "click", 10 * DAY),
        Interaction("c", "purchase", 10 * DAY),
    ]
    glimpsed = interests_of(history, rows.get, 10 * DAY, 10.0).glimpsed
    assert glimpsed is not None
    assert glimpsed.rows.tolist() == [0] and glimpsed.times == pytest.approx([1.5])
    found = affinity.seen(glimpsed, np.array([1, 0, 2]))
    assert found == pytest.approx([0.0, np.log(2.5), 0.0])
    assert interests_of(history[-1:], rows.get, 10 * DAY, None).glimpsed is None


@pytest.fixture(scope="module")
def factors() -> Factors:
    items = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    return Factors.of(items, 0.1, 0.01)


def test_what_each_item_taken_adds_sums_to_the_score(factors: Factors) -> None:
    rows, targets = np.array([0, 2]), np.array([1, -1, 2])
    score = factors.score(factors.user(rows), targets)
    assert factors.parts(rows, targets).sum(axis=1) == pytest.approx(score, abs=1e-5)
    assert score[1] == 0.0
    assert factors.parts(rows[:0], targets).shape == (3, 0)


def test_the_spread_is_that_of_all_scores(factors: Factors) -> None:
    user = factors.user(np.array([1]))
    scores = np.append(factors.score(user, np.arange(3)), [0.0, 0.0])
    assert factors.spread(user, 5) == pytest.approx((scores.mean(), scores.std()), abs=1e-5)


def test_the_signals_of_some_rows_are_those_of_all(
    shelf: Shelf, tower: TextTower, factors: Factors
) -> None:
    others = np.array([[1], [2], [0]], dtype=np.int32)
    neighbours = Neighbours(["a", "b", "c"], others, np.ones((3, 1), np.float32), factors=factors)
    interests = replace(liking(0, 3), glimpsed=Glimpsed(np.array([1]), np.array([2.0])))
    rows = np.array([1, 2, 4])
    every = of_user(of_items(shelf, DAY), shelf, tower, neighbours, interests)
    some = of_user(of_items(shelf, DAY, rows), shelf, tower, neighbours, interests)
    assert some == pytest.approx(every[rows], abs=1e-5)
    spoken = [name for name, column in zip(SIGNALS, some.T, strict=True) if np.ptp(column) > 0]
    assert {"ials", "price", "category", "brand", "seen"} <= set(spoken)
