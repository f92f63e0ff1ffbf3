"""Does the listwise loss follow the grades, forgive popularity, and leave out what it must?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.pairs import TextPair
from core.training.listwise import candidate_lists, listwise_loss

NAN = float("nan")


def tensors(rows: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries = torch.randn(rows, 6, generator=generator)
    return queries, torch.randn(rows, size, 6, generator=generator)


def numbers(rows: int, size: int) -> torch.Tensor:
    return torch.arange(rows * size).reshape(rows, size).float()


def test_one_list_is_the_cross_entropy_of_its_own_softmax() -> None:
    queries, candidates = tensors(1, 3)
    cosines = torch.nn.functional.cosine_similarity(queries, candidates[0])
    shares = torch.softmax(20 * cosines, dim=0)
    expected = -(0.75 * shares[0].log() + 0.25 * shares[2].log())
    loss = listwise_loss(
        queries, candidates, torch.tensor([[3.0, 0, 1]]), torch.zeros(1, 3), numbers(1, 3)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_candidates_of_other_queries_stand_against_a_query() -> None:
    queries, candidates = tensors(2, 1)
    grades, flat = torch.ones(2, 1), torch.zeros(2, 1)
    unit = torch.nn.functional.normalize
    logits = 20 * unit(queries, dim=1) @ unit(candidates[:, 0], dim=1).T
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(2))
    loss = listwise_loss(queries, candidates, grades, flat, numbers(2, 1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_same_text_in_anothers_list_does_not_stand_against_it() -> None:
    queries, candidates = tensors(2, 1)
    candidates[1] = candidates[0]
    same = torch.zeros(2, 1)
    loss = listwise_loss(queries, candidates, torch.ones(2, 1), torch.zeros(2, 1), same)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_log_frequency_is_taken_off_the_logits() -> None:
    queries = torch.tensor([[1.0, 0.0]])
    candidates = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    frequency = torch.tensor([[math.log(0.9), math.log(0.1)]])
    loss = listwise_loss(queries, candidates, torch.tensor([[1.0, 0.0]]), frequency, numbers(1, 2))
    # Equally close, so the shares are 1/.9 to 1/.1.
    assert loss.item() == pytest.approx(-math.log(0.1), rel=1e-5)


def test_places_behind_a_short_list_count_for_nothing() -> None:
    queries, candidates = tensors(2, 3)
    grades = torch.tensor([[1.0, 0, NAN], [1, NAN, NAN]])
    filled = torch.where(grades.isnan(), torch.tensor(NAN), numbers(2, 3))
    frequency = torch.where(grades.isnan(), torch.tensor(NAN), torch.zeros(2, 3))
    before = listwise_loss(queries, candidates, grades, frequency, filled)
    candidates = candidates.clone()
    candidates[0, 2] += 5
    candidates[1, 1:] -= 5
    after = listwise_loss(queries, candidates, grades, frequency, filled)
    assert after.item() == pytest.approx(before.item())
    assert math.isfinite(after.item())


def test_a_batch_without_a_grade_has_no_loss_and_no_gradient_of_no_number() -> None:
    queries, candidates = tensors(2, 2)
    queries.requires_grad_(True)
    loss = listwise_loss(
        queries, candidates, torch.zeros(2, 2), torch.full((2, 2), NAN), numbers(2, 2)
    )
    loss.backward()
    assert loss.item() == 0
    assert queries.grad is not None
    assert torch.isfinite(queries.grad).all()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_gradients_bring_the_graded_text_closer(rows: int, size: int, seed: int) -> None:
    queries, candidates = tensors(rows, size, seed)
    candidates.requires_grad_(True)
    grades = torch.zeros(rows, size)
    grades[:, 0] = 1
    given_ = (grades, torch.zeros(rows, size), numbers(rows, size))
    loss = listwise_loss(queries, candidates, *given_)
    loss.backward()
    assert candidates.grad is not None
    moved = candidates.detach() - 1e-3 * candidates.grad
    assert listwise_loss(queries, moved, *given_) <= loss + 1e-6


def test_lists_hold_the_best_graded_texts_first() -> None:
    pairs = [TextPair("q", f"t{i}", float(i == 7) + 2 * float(i == 3)) for i in range(9)]
    (found,) = candidate_lists(pairs, 4, np.random.default_rng(0))
    assert found.texts[:2] == ("t3", "t7")
    assert found.grades == (2, 1, 0, 0)
    assert len(set(found.numbers)) == 4


def test_popularity_is_the_share_of_what_was_chosen() -> None:
    pairs = [
        *(TextPair(f"q{i}", "hit", 1.0) for i in range(3)),
        TextPair("q3", "rare", 2.0),
        TextPair("q3", "hit", 0.0),
        TextPair("q3", "never", 0.0),
    ]
    of = {found.query: found for found in candidate_lists(pairs, 8, np.random.default_rng(0))}
    frequency = dict(zip(of["q3"].texts, of["q3"].log_frequency, strict=True))
    assert frequency["hit"] == pytest.approx(math.log(3 / 4))
    assert frequency["rare"] == pytest.approx(math.log(1 / 4))
    assert frequency["never"] < frequency["rare"]


def test_a_query_that_chose_nothing_has_no_list() -> None:
    pairs = [TextPair("q", "a", 0.0), TextPair("r", "a", 1.0)]
    assert [found.query for found in candidate_lists(pairs, 8, np.random.default_rng(0))] == ["r"]
