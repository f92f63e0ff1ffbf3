"""In a shop too large to score whole: is the answer the one that scoring everything gives?"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from core.data.records import Item
from services.recommender import filters, retrieval
from services.recommender.catalogue import Catalogue, Entry, Shelf
from services.recommender.domain import item_text
from services.recommender.interests import Interaction
from services.recommender.learning.log import EventLog
from services.recommender.learning.parts import Choices, Effort, learn
from services.recommender.learning.shop import Shop, open_shop, popularity_of
from services.recommender.model import Embedding, Model, Prepared
from services.recommender.rankers import prior
from services.recommender.recommend import (
    Recommendation,
    Request,
    recommend,
    similar,
    understood,
)
from services.recommender.retrieval import Retriever
from services.recommender.rules import NO_RULES, Rules, parse_rules

ITEMS, TOPICS, USERS = 3_000, 30, 300
NOW = 1_760_000_000.0
DAY = 86_400.0


@dataclass(frozen=True)
class Large:
    """A shop with some order in it, and a model of it."""

    shop: Shop
    model: Model
    catalogue: Catalogue
    shelf: Shelf
    topics: np.ndarray


@pytest.fixture(scope="module")
def large() -> Large:
    rng = np.random.default_rng(0)
    topics = rng.integers(0, TOPICS, ITEMS)
    centres = rng.normal(size=(TOPICS, 48))
    vectors = centres[topics] + 0.6 * rng.normal(size=(ITEMS, 48))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = [
        Item(
            f"i{n}", f"topic{t} thing{n % 97} part{n % 13}", price=float(n % 50), brand=f"b{t % 5}"
        )
        for n, t in enumerate(topics)
    ]
    shop = open_shop(items, [Embedding(row.astype(np.float16), 0.0) for row in vectors])
    user = np.repeat(np.arange(USERS), 12)
    of_topic = [np.flatnonzero(topics == t) for t in range(TOPICS)]
    item = np.array([rng.choice(of_topic[u % TOPICS]) for u in user])
    count = len(user)
    log = EventLog(
        [f"u{n}" for n in range(USERS)],
        ITEMS,
        user,
        item,
        np.ones(count),
        np.ones(count, dtype=bool),
        np.zeros(count, dtype=bool),
        NOW - 40 * DAY + np.tile(np.arange(12), USERS) * DAY,
    )
    parts = learn(shop, log, Choices(behaviour="item_knn", sequence=(0.7, 0.8)), Effort(threads=1))
    nothing = Prepared([], np.empty((0, 48), np.float16), np.empty(0, np.float32))
    model = Model("v", parts.tower, parts.neighbours, [], prior(), None, nothing)
    catalogue = Catalogue(model.tower, model.model_rows)
    catalogue.put([entry(one, row) for one, row in zip(items, shop.embeddings, strict=True)])
    catalogue.add_popularity(popularity_of(shop, log))
    return Large(shop, model, catalogue, catalogue.shelf(), topics)


def entry(item: Item, embedding: np.ndarray) -> Entry:
    return Entry(item, item_text(item), embedding, True, NOW - 60 * DAY)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "EXACT", 100)


def user(large: Large, topic: int) -> list[Interaction]:
    rows = np.flatnonzero(large.topics == topic)[:4]
    return [Interaction(f"i{row}", "click", NOW - n * DAY) for n, row in enumerate(rows)]


def ids(found: list[Recommendation]) -> list[str]:
    return [one.item_id for one in found]


def both(
    large: Large, history: list[Interaction], request: Request, rules: Rules = NO_RULES
) -> tuple[list[str], list[str]]:
    """The answer with candidates, and the one with everything scored."""
    retriever = Retriever(large.model, 1)
    few = recommend(large.model, large.shelf, history, request, NOW, rules, None, retriever)
    whole = recommend(large.model, large.shelf, history, request, NOW, rules)
    return ids(few), ids(whole)


@pytest.mark.parametrize("wanted", [{}, {"price": {"lt": 15}}, {"brand": "b3"}])
def test_the_answer_is_that_of_scoring_everything(large: Large, wanted: dict[str, object]) -> None:
    shares = []
    for topic in range(0, TOPICS, 3):
        condition = filters.parse(wanted) if wanted else None
        few, whole = both(large, user(large, topic), Request(n=10, filter=condition))
        shares.append(len(set(few) & set(whole)) / len(whole))
    assert np.mean(shares) >= 0.95


def test_a_stranger_gets_what_everybody_likes(large: Large) -> None:
    few, whole = both(large, [], Request(n=10, diversity=0.0))
    assert set(few) == set(whole)


def test_far_fewer_than_all_are_scored(large: Large) -> None:
    mask = large.shelf.shown.copy()
    interests = understood(large.model, large.shelf, user(large, 4), NOW)
    rows = Retriever(large.model, 1).worth_scoring(large.shelf, interests, mask, NOW)
    assert len(rows) < ITEMS / 2
    assert (np.diff(rows) > 0).all()


def test_what_the_shop_pins_or_prefers_is_among_them(large: Large) -> None:
    pin = {"kind": "pin", "item_id": f"i{ITEMS - 1}", "position": 2}
    rules = parse_rules([pin]).of(None)
    few, whole = both(large, user(large, 1), Request(n=5), rules)
    assert few[1] == whole[1] == f"i{ITEMS - 1}"


def test_an_item_that_came_after_the_index_is_found_at_once(large: Large) -> None:
    catalogue = Catalogue(large.model.tower, large.model.model_rows)
    pairs = zip(large.shop.items, large.shop.embeddings, strict=True)
    catalogue.put([entry(one, row) for one, row in pairs])
    retriever = Retriever(large.model, 1)
    retriever.ready(catalogue.shelf(), NOW)
    like = int(np.flatnonzero(large.topics == 7)[0])
    twin = Item("twin", large.shop.items[like].title, brand="b2")
    catalogue.put([entry(twin, large.shop.embeddings[like])])
    shelf = catalogue.shelf()
    history = [Interaction(f"i{like}", "click", NOW)]
    found = recommend(large.model, shelf, history, Request(n=5), NOW, NO_RULES, None, retriever)
    assert "twin" in ids(found)


def test_items_like_one_are_those_of_scoring_everything(large: Large) -> None:
    retriever = Retriever(large.model, 1)
    few = similar(large.model, large.shelf, 11, Request(n=10), NOW, NO_RULES, retriever)
    whole = similar(large.model, large.shelf, 11, Request(n=10), NOW)
    assert len(set(ids(few)) & set(ids(whole))) >= 9


def test_what_is_old_is_made_anew_beside_the_requests(
    large: Large, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = Retriever(large.model, 1)
    first = retriever.ready(large.shelf, NOW)
    made = threading.Event()
    renew = retriever._renew
    monkeypatch.setattr(retriever, "_renew", lambda *given: (renew(*given), made.set()))
    assert retriever.ready(large.shelf, NOW + 3_600) is first
    assert made.wait(30)
    assert retriever.ready(large.shelf, NOW + 3_600) is not first
    assert retriever.ready(large.shelf, NOW + 3_600).index is first.index
