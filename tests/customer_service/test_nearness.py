"""From how near on one example may speak for a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelCorrupt
from services.customer_service import nearness
from services.customer_service.nearness import OUTSIDE, Nearness, measure


def clouds(rng: np.random.Generator, classes: int, each: int, spread: float) -> tuple:
    """Unit vectors around `classes` directions, and their class numbers."""
    centres = rng.normal(size=(classes, 16))
    rows = np.repeat(centres, each, axis=0) + spread * rng.normal(size=(classes * each, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(classes), each).astype(np.int32)


def measured(seed: int, spread: float, outside: int = 0) -> Nearness:
    rng = np.random.default_rng(seed)
    rows, labels = clouds(rng, 8, 60, spread)
    if outside:
        more, _ = clouds(rng, outside, 1, 0.0)
        rows = np.concatenate([rows, more])
        labels = np.append(labels, np.full(outside, OUTSIDE)).astype(np.int32)
    return measure(rows, labels, rng)


def by_hand(rows: np.ndarray, labels: np.ndarray, level: float) -> tuple[float, float]:
    """(right, wrong) weights at a level, each row taken in turn as the only example."""
    right = wrong = 0.0
    for asking in range(len(rows)):
        for example in range(len(rows)):
            if example == asking or labels[example] == OUTSIDE:
                continue
            cosine = float(rows[asking] @ rows[example])
            others = [
                float(rows[asking] @ rows[n])
                for n in range(len(rows))
                if labels[n] != labels[example] and n != asking
            ]
            if cosine < level or cosine <= max(others):
                continue
            size = int((labels == labels[example]).sum())
            if labels[asking] == labels[example]:
                right += 1 / (size - 1)
            elif labels[asking] != OUTSIDE:
                wrong += 1 / size
    return right, wrong


def test_the_weights_are_those_of_taking_each_row_in_turn() -> None:
    rng = np.random.default_rng(1)
    rows, labels = clouds(rng, 3, 5, 0.9)
    found = measure(rows, labels, rng)
    for cosine, right, wrong, *_ in found.levels[:: max(1, len(found.levels) // 4)]:
        assert (right, wrong) == pytest.approx(by_hand(rows, labels, float(cosine)), abs=1e-3)


def test_clear_intents_have_a_low_bar_and_blurred_ones_a_high_one_or_none() -> None:
    clear, blurred = measured(0, 0.2).bar(0.05, 0.0), measured(0, 1.6).bar(0.05, 0.0)
    assert clear is not None
    assert clear.chance >= 0.95
    assert blurred is None or blurred.cosine > clear.cosine


def test_a_smaller_risk_never_lowers_the_bar() -> None:
    found = measured(3, 0.7)
    bars = [found.bar(risk, 0.0) for risk in (0.2, 0.1, 0.05)]
    cosines = [np.inf if bar is None else bar.cosine for bar in bars]
    assert cosines == sorted(cosines)


def test_questions_out_of_scope_raise_the_bar_with_their_share_of_the_traffic() -> None:
    found = measured(4, 0.5, outside=200)
    bars = [found.bar(0.05, share) for share in (0.0, 0.5, 0.9)]
    cosines = [np.inf if bar is None else bar.cosine for bar in bars]
    assert cosines == sorted(cosines)
    assert found.asking_outside == 200


def test_too_few_rows_promise_nothing_and_the_default_is_as_near_as_the_nearest_of_them() -> None:
    rng = np.random.default_rng(0)
    rows, labels = clouds(rng, 2, 5, 0.1)
    found = measure(rows, labels, rng)
    bar = found.bar(0.05, 0.0)
    assert bar is not None
    assert not bar.promised
    assert bar.cosine == found.levels[:, 0].max()
    assert 0.5 < bar.chance < 1


def test_where_the_nearest_rows_go_wrong_there_is_no_bar() -> None:
    levels = np.array([[0.9, 1.0, 0.5, 0.25, 0.0, 0.0], [0.8, 3.0, 0.5, 0.25, 0.0, 0.0]])
    found = Nearness(np.eye(2, dtype=np.float32), np.array([0, 1], np.int32), levels, 10, 0)
    assert found.bar(0.05, 0.0) is None


def test_rows_of_the_same_intent_are_no_rivals() -> None:
    found = Nearness(np.eye(3, dtype=np.float32), np.array([0, 1, OUTSIDE], np.int32),
                     np.empty((0, 6)), 0, 0)  # fmt: skip
    at_first = np.array([1, 0, 0], np.float32)
    assert found.nearest_other(at_first, 0) == 0.0
    assert found.nearest_other(at_first, 1) == 1.0
    assert found.nearest_other(at_first, None) == 1.0, "the model never saw the intent"


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    found = measured(5, 0.4)
    nearness.save(found, tmp_path)
    again = nearness.load(tmp_path)
    assert again is not None
    assert again.bar(0.1, 0.2) == found.bar(0.1, 0.2)
    assert (again.labels == found.labels).all()


def test_a_model_of_before_keeps_nothing_and_a_broken_file_is_told(tmp_path: Path) -> None:
    assert nearness.load(tmp_path) is None
    (tmp_path / nearness.FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelCorrupt, match=r"teaching\.safetensors"):
        nearness.load(tmp_path)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.1, 2.0), st.floats(0.01, 0.3))
def test_a_bar_keeps_its_risk_on_the_rows_it_was_measured_on(
    seed: int, spread: float, risk: float
) -> None:
    rng = np.random.default_rng(seed)
    rows, labels = clouds(rng, 4, 20, spread)
    found = measure(rows, labels, rng)
    bar = found.bar(risk, 0.0)
    if bar is not None and bar.promised:
        [level] = found.levels[found.levels[:, 0] == bar.cosine]
        assert level[2] / (level[1] + level[2]) <= 1 - bar.chance <= risk
