"""Vectors of item texts, and their match with interests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelCorrupt
from services.recommender.interests import NO_INTERESTS, Interests
from services.recommender.learning.adapter import plain_tower
from services.recommender.learning.shop import Shop
from services.recommender.vectors import TextTower
from services.recommender.words import BUCKETS, bag_of_words, rarity

TEXTS = ["red wool hat", "blue wool hat", "steel knife", "", "钛杯 露营"]


@pytest.fixture
def tower() -> TextTower:
    embeddings = np.eye(5, 8, dtype=np.float32)
    return plain_tower(embeddings, np.ones(5, bool), TEXTS)


def interests(*rows: int) -> Interests:
    return Interests(np.array(rows), np.ones(len(rows)))


def test_a_bag_of_words_has_length_one_or_is_empty() -> None:
    bag = bag_of_words(TEXTS, rarity(TEXTS))
    dense = bag.project(np.eye(BUCKETS, dtype=np.float32))
    lengths = np.linalg.norm(dense, axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0, 1], abs=0.2)  # words may share a bucket


def test_rare_words_weigh_more() -> None:
    bag = bag_of_words(["wool knife"], rarity(TEXTS))
    assert bag.values.size == 2 and abs(bag.values[0]) != abs(bag.values[1])


def test_vectors_are_unit_vectors_and_nothing_gives_zeros(tower: TextTower) -> None:
    embeddings = np.eye(5, 8, dtype=np.float32)
    readable = np.array([True, True, True, False, False])
    vectors = tower.vectors(embeddings, readable, TEXTS)
    assert np.linalg.norm(vectors.plain, axis=1) == pytest.approx([1, 1, 1, 0, 1], abs=1e-5)
    assert vectors.known.tolist() == [True, True, True, False, True]


def test_a_text_that_the_encoder_cannot_read_speaks_by_its_words_alone(tower: TextTower) -> None:
    nonsense = np.ones((2, 8), dtype=np.float32)
    pair = tower.vectors(nonsense, np.array([False, False]), ["red wool hat", "steel knife"]).plain
    same = tower.vectors(-nonsense, np.array([False, False]), ["red wool hat", "steel knife"]).plain
    assert pair == pytest.approx(same)
    assert pair[0] @ pair[1] < 0.5


def test_more_interests_than_one_are_understood_as_such(shop: Shop) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    vectors = tower.vectors(shop.embeddings, shop.readable, shop.texts).plain
    hiking, baking = 0, 20
    both = tower.plain.match(vectors, interests(hiking, baking))
    alone = tower.plain.match(vectors, interests(hiking))
    assert both[baking + 1] > alone[baking + 1]
    assert alone[:20].mean() > alone[20:].mean()


def test_without_interests_all_items_match_alike(shop: Shop) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    vectors = tower.vectors(shop.embeddings, shop.readable, shop.texts).plain
    assert np.ptp(tower.plain.match(vectors, NO_INTERESTS)) == 0


def test_shares_of_a_match_sum_to_one_and_name_the_closest_interest(shop: Shop) -> None:
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    vectors = tower.vectors(shop.embeddings, shop.readable, shop.texts).plain
    shares = tower.plain.shares(vectors, np.array([1, 21]), interests(0, 20))
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares.argmax(axis=1).tolist() == [0, 1]


def test_a_tower_survives_saving(tower: TextTower, tmp_path: Path) -> None:
    tower.save(tmp_path / "text.safetensors")
    again = TextTower.load(tmp_path / "text.safetensors")
    embeddings, readable = np.eye(5, 8, dtype=np.float32), np.ones(5, bool)
    assert again.vectors(embeddings, readable, TEXTS).learnt == pytest.approx(
        tower.vectors(embeddings, readable, TEXTS).learnt
    )


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelCorrupt, match=r"text\.safetensors"):
        TextTower.load(path)
