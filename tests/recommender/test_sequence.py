"""What follows an item, on logs small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.recommender.collaborative import Neighbours, Sequel
from services.recommender.interests import weigh
from services.recommender.learning.log import EventLog
from services.recommender.learning.sequence import follows, sequel

A, B, C, D = range(4)


def log_of(*users: list[set[int]]) -> EventLog:
    """Users by the baskets they took, one a day."""
    rows = [
        (user, item, float(day))
        for user, baskets in enumerate(users)
        for day, basket in enumerate(baskets)
        for item in sorted(basket)
    ]
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    order = np.argsort(time, kind="stable")
    yes = np.ones(len(rows), dtype=bool)
    return EventLog(
        [f"u{n}" for n in range(len(users))],
        4,
        user[order],
        item[order],
        np.ones(len(rows)),
        yes,
        ~yes,
        time[order],
    )


def near(log: EventLog) -> np.ndarray:
    return np.asarray(follows(log).todense())


def test_what_comes_next_counts_twice_what_came_before() -> None:
    counted = near(log_of([{A}, {B}]))
    assert counted[A, B] == pytest.approx(1.0)
    assert counted[B, A] == pytest.approx(0.5)


def test_a_basket_is_one_moment_and_has_no_order() -> None:
    counted = near(log_of([{A, B}, {C}]))
    assert counted[A, B] == counted[B, A] == pytest.approx(1.0)
    assert counted[A, C] == counted[B, C] == pytest.approx(1.0)


def test_the_farther_apart_the_less_it_says() -> None:
    counted = near(log_of([{A}, {B}, {C}]))
    assert counted[A, C] == pytest.approx(0.85)
    assert near(log_of([{A}, *[{B}] * 6, {C}]))[A, C] == 0.0


def test_nothing_follows_itself_or_from_one_user_to_the_next() -> None:
    counted = near(log_of([{A}, {A}], [{B}], [{C}]))
    assert counted.sum() == 0.0


def test_a_basket_of_hundreds_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.recommender.learning.sequence._LARGEST_BASKET", 2)
    counted = near(log_of([{A, B, C}, {D}], [{A}, {D}]))
    assert counted[A, B] == counted[B, D] == 0.0
    assert counted[A, D] == pytest.approx(1.0)


def test_what_follows_everything_follows_nothing_in_particular() -> None:
    counted = follows(log_of([{A}, {B}], [{A}, {C}]))
    learnt = sequel(counted, np.array([2, 1, 100, 0], np.float32), 0.5, 1.0)
    weight = dict(zip(learnt.others[A].tolist(), learnt.weights[A].tolist(), strict=True))
    assert weight[B] > 2 * weight[C] > 0


def test_an_interest_fades_with_every_later_moment_of_its_user() -> None:
    did = weigh(np.array([A, B, C]), np.ones(3), np.array([9.0, 5.0, 5.0]), None)
    assert did.steps is not None
    assert dict(zip(did.rows.tolist(), did.steps.tolist(), strict=True)) == {A: 1, B: 0, C: 0}
    none = np.empty((0, 0))
    faded = Sequel(none.astype(np.int32), none.astype(np.float32), 0.5).faded(
        did.weights, did.steps
    )
    shares = dict(zip(did.rows.tolist(), (faded / did.weights).tolist(), strict=True))
    assert shares == {A: 0.5, B: 1.0, C: 1.0}


def test_it_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    learnt = sequel(follows(log_of([{A}, {B}])), np.ones(4, np.float32), 0.7, 0.8)
    table = np.zeros((4, 1))
    kept = Neighbours(list("abcd"), table.astype(np.int32), table.astype(np.float32), learnt)
    kept.save(tmp_path / "behaviour.safetensors")
    read = Neighbours.load(tmp_path / "behaviour.safetensors", list("abcd")).sequel
    assert read is not None
    assert read.fade == pytest.approx(0.8)
    assert (read.others == learnt.others).all()
    assert (read.weights == learnt.weights).all()
