"""Trees as they are learnt, served and explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelCorrupt
from services.recommender.learning.trees import boosted, from_booster
from services.recommender.rankers import PARTS, SIGNALS, Ranker, prior
from services.recommender.trees import Trees

WIDTH, USERS, ITEMS = len(SIGNALS), 60, 50
Learnt = tuple[Any, Ranker, np.ndarray]


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    """(booster, the ranker that it mends, signals) of users who like two signals together."""
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(USERS, ITEMS, WIDTH)).astype(np.float32)
    taste = 2.0 * ((signals[..., 0] > 0) & (signals[..., 4] > 0)) + rng.gumbel(size=(USERS, ITEMS))
    relevant = [row.argsort()[-3:] for row in taste]
    rivals = np.ones((USERS, ITEMS), dtype=bool)
    rivals[:, :3] = False
    for user, items in enumerate(relevant):
        rivals[user, items] = True
    booster, gate = boosted(signals, rivals, relevant, prior(), seed=0, threads=1)
    ranker = replace(prior(), trees=from_booster(booster, gate))
    return booster, ranker, signals.reshape(-1, WIDTH)


def test_the_trees_say_what_lightgbm_says(learnt: Learnt) -> None:
    booster, ranker, signals = learnt
    assert ranker.trees is not None
    open_ = replace(ranker.trees, gate=-np.inf)
    expected = booster.predict(signals)
    roots = float(open_.value[open_.roots].sum())
    assert open_.added(signals, np.zeros(len(signals), np.float32)) + roots == pytest.approx(
        expected, abs=1e-6
    )
    assert np.ptp(expected) > 0.1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), gate=st.floats(-3, 3))
def test_the_parts_add_up_to_the_score(learnt: Learnt, seed: int, gate: float) -> None:
    _, ranker, _ = learnt
    assert ranker.trees is not None
    ranker = replace(ranker, trees=replace(ranker.trees, gate=gate))
    signals = np.random.default_rng(seed).normal(size=(9, WIDTH)).astype(np.float32)
    assert ranker.parts(signals).sum(axis=1) == pytest.approx(ranker.score(signals), abs=1e-4)
    alone = np.concatenate([ranker.score(row[None, :]) for row in signals])
    assert (alone == ranker.score(signals)).all(), "an item's score is its own"


def test_below_the_gate_the_sum_stands_alone(learnt: Learnt) -> None:
    _, ranker, signals = learnt
    assert ranker.trees is not None
    moved = ranker.score(signals) != ranker.linear(signals)
    assert moved.any() and not moved[ranker.linear(signals) < ranker.trees.gate].any()


def test_similar_items_are_found_without_trees(learnt: Learnt) -> None:
    assert learnt[1].only("text", "behaviour").trees is None


def test_what_a_tree_asked_is_what_it_is_put_down_to() -> None:
    """One tree: right where signal 4 (behaviour) is above 1, there by signal 0 (text)."""
    whole = Trees(
        roots=np.array([0]),
        feature=np.array([4, 0, 0, 0, 0]),
        threshold=np.array([1.0, 0.0, 0.5, 0.0, 0.0]),
        left=np.array([1, 1, 3, 3, 4]),
        right=np.array([2, 1, 4, 3, 4]),
        value=np.array([0.1, 0.0, 0.4, 0.2, 1.0]),
        gate=0.0,
    )
    signals = np.zeros((3, WIDTH), dtype=np.float32)
    signals[1, 4], signals[2, [0, 4]] = 2.0, (1.0, 2.0)
    assert whole.added(signals, np.zeros(3, np.float32)) == pytest.approx([-0.1, 0.1, 0.9])
    found = whole.contributions(signals, np.zeros(3, np.float32))
    assert found[:, 4] == pytest.approx([-0.1, 0.3, 0.3])
    assert found[:, 0] == pytest.approx([0.0, -0.2, 0.6])
    ranker = replace(prior().only(), trees=replace(whole, gate=-1.0))
    assert ranker.parts(signals)[2, PARTS.index("text")] == pytest.approx(0.6)


def test_trees_survive_the_disk_and_broken_ones_are_told(learnt: Learnt, tmp_path: Path) -> None:
    _, ranker, signals = learnt
    trees, path = ranker.trees, tmp_path / "trees.safetensors"
    assert trees is not None
    trees.save(path)
    scores = ranker.linear(signals)
    assert (Trees.load(path, WIDTH).added(signals, scores) == trees.added(signals, scores)).all()
    with pytest.raises(ModelCorrupt, match="not there"):
        Trees.load(path, 1)
    replace(trees, left=np.zeros_like(trees.left)).save(path)
    with pytest.raises(ModelCorrupt, match="circle"):
        Trees.load(path, WIDTH)
