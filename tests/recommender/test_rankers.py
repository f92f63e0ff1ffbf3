"""From signals to a score and a probability."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ModelCorrupt
from services.recommender.learning.ranker import fit_probability, fit_weights
from services.recommender.rankers import PARTS, PRIOR, SIGNALS, Ranker, prior

WIDTH = len(SIGNALS)


@pytest.fixture
def ranker() -> Ranker:
    rng = np.random.default_rng(0)
    weights, means, scales = rng.normal(size=(3, WIDTH)).astype(np.float32)
    return Ranker(weights, means, np.abs(scales) + 0.5, 0.8, -1.0)


def test_every_signal_has_a_weight_beforehand() -> None:
    assert list(PRIOR) == list(SIGNALS)


def test_the_parts_add_up_to_the_score(ranker: Ranker) -> None:
    signals = np.random.default_rng(1).normal(size=(7, WIDTH)).astype(np.float32)
    assert ranker.parts(signals).sum(axis=1) == pytest.approx(ranker.score(signals), abs=1e-4)


def test_a_higher_score_is_a_higher_probability(ranker: Ranker) -> None:
    found = ranker.probability(np.array([-1e9, -1.0, 0.0, 1.0, 1e9], dtype=np.float32))
    assert (np.diff(found) > 0).all() and found[0] >= 0 and found[-1] <= 1


def test_parts_that_are_left_out_change_nothing(ranker: Ranker) -> None:
    signals = np.random.default_rng(1).normal(size=(7, WIDTH)).astype(np.float32)
    column = PARTS.index("text")
    only = ranker.only("text").score(signals)
    assert only == pytest.approx(ranker.parts(signals)[:, column], abs=1e-4)


def test_a_ranker_survives_the_manifest(ranker: Ranker) -> None:
    again = Ranker.from_settings(ranker.settings())
    assert again.weights == pytest.approx(ranker.weights)
    assert (again.slope, again.offset) == (0.8, -1.0)


def test_a_missing_signal_is_told(ranker: Ranker) -> None:
    settings = ranker.settings()
    del settings["signals"]["fresh"]
    with pytest.raises(ModelCorrupt, match="fresh"):
        Ranker.from_settings(settings)


def choices(users: int, weights: np.ndarray, seed: int = 0):
    """Users who choose one of 30 items by a softmax over known weights."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(users, 30, WIDTH)).astype(np.float32)
    scores = signals @ weights + rng.gumbel(size=(users, 30))
    rivals = np.ones((users, 30), dtype=bool)
    return signals, rivals, [np.array([row.argmax()]) for row in scores]


def test_weights_are_found_again_from_what_users_chose() -> None:
    true = np.zeros(WIDTH, dtype=np.float32)
    true[[0, 4, 8]] = 1.5, 0.8, -0.5
    found = fit_weights(*choices(2_000, true), prior())
    assert found.weights / found.scales == pytest.approx(true, abs=0.12)


def test_little_data_leave_the_weights_near_those_set_beforehand() -> None:
    signals, rivals, relevant = choices(1, np.zeros(WIDTH, dtype=np.float32))
    found = fit_weights(signals, rivals, relevant, prior())
    assert np.abs(found.weights / found.scales - prior().weights).max() < 1.5


def test_items_that_were_no_rivals_do_not_matter() -> None:
    signals, rivals, relevant = choices(50, np.ones(WIDTH, dtype=np.float32))
    rivals[:, 15:] = False
    relevant = [np.array([int(r[0]) % 15]) for r in relevant]
    first = fit_weights(signals, rivals, relevant, prior())
    signals[:, 15:] = 99.0
    second = fit_weights(signals, rivals, relevant, prior())
    assert first.weights == pytest.approx(second.weights, abs=1e-3)


def test_the_probability_curve_is_found_again() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000).astype(np.float32)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * scores - 1.2)))
    assert fit_probability(scores, labels) == pytest.approx((0.7, -1.2), abs=0.06)


def test_a_score_that_misleads_gives_one_probability_for_all() -> None:
    scores = np.linspace(-1, 1, 100, dtype=np.float32)
    slope, offset = fit_probability(scores, scores < 0) or (None, None)
    assert slope == 0.0
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("label", [True, False])
def test_one_kind_of_label_calibrates_nothing(label: bool) -> None:
    assert fit_probability(np.zeros(5, np.float32), np.full(5, label)) is None
