"""Is each part of the loss the one of its formula?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.training.config import FineTuneConfig
from core.training.linear import Linear
from core.training.objective import (
    ClassifierModule,
    class_weights,
    supervised_contrastive,
)

IDS = torch.tensor([[1, 0], [2, 0], [3, 0], [4, 0]])
ROWS = torch.arange(4)
LABELS = np.array([0, 1, 2, 0])
TEACHER = np.array([[2, 1, 0], [0, 3, 1], [1, 1, 1], [0, 0, 4]], dtype=np.float32)


class Table(torch.nn.Module):
    """An encoder that looks its hidden states up; dropout on top where `p` says so."""

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = torch.nn.Embedding(9, 5)
        self.dropout = torch.nn.Dropout(p)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        class Output:
            last_hidden_state = self.dropout(self.table(input_ids))

        return Output


def module(
    *, labels: np.ndarray | None = LABELS, p: float = 0.0, heads: int = 1, **given: Any
) -> ClassifierModule:
    """Heads of three classes on a `Table`."""
    options = {name: given.pop(name) for name in ("teacher", "class_weights") if name in given}
    rng = np.random.default_rng(0)
    start = {
        f"head{i}": Linear(
            rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
        )
        for i in range(heads)
    }
    config = FineTuneConfig(**({"label_smoothing": 0.0} | given))
    found = ClassifierModule(
        Table(p), "mean", start, dict.fromkeys(start, labels), config, **options
    )
    return found.train()


def loss(of: ClassifierModule, rows: torch.Tensor = ROWS) -> torch.Tensor:
    return of(IDS[: len(rows)], (IDS[: len(rows)] > 0).long(), rows)["loss"]


def logits(of: ClassifierModule) -> np.ndarray:
    with torch.no_grad():
        embeddings = of.embed(IDS, (IDS > 0).long())
        return np.asarray(of.heads["head0"](embeddings), dtype=np.float64)


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


# --- labels --------------------------------------------------------------------------------------


def test_the_plain_loss_is_the_mean_cross_entropy() -> None:
    found = module()
    expected = -log_softmax(logits(found))[np.arange(4), LABELS].mean()
    assert float(loss(found).detach()) == pytest.approx(expected, abs=1e-5)


def test_rows_without_a_label_do_not_count() -> None:
    found = module(labels=np.array([0, -1, 2, -1]))
    expected = -log_softmax(logits(found))[[0, 2], [0, 2]].mean()
    assert float(loss(found).detach()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("contrastive", [0.0, 1.0])
def test_a_batch_without_any_label_has_a_loss_of_zero_and_a_gradient(contrastive: float) -> None:
    found = module(labels=np.full(4, -1), contrastive=contrastive, class_weights={})
    value = loss(found)
    assert float(value.detach()) == 0
    value.backward()
    assert found.encoder.table.weight.grad is not None
    assert not found.encoder.table.weight.grad.any()


def test_label_smoothing_keeps_the_loss_of_a_sure_answer_up() -> None:
    losses = []
    for smoothing in (0.0, 0.5):
        found = module(label_smoothing=smoothing)
        with torch.no_grad():
            found.heads["head0"].weight.zero_()
            found.heads["head0"].bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
        losses.append(float(loss(found, torch.tensor([0, 3])).detach()))
    assert losses[0] == pytest.approx(0.0, abs=1e-3)
    assert losses[1] == pytest.approx(50 * 0.5 * 2 / 3, rel=1e-3)


def test_several_heads_add_up() -> None:
    both = module(heads=2)
    single = [float(loss(module(heads=1)).detach())]
    one = float(loss(both).detach())
    with torch.no_grad():
        both.heads["head1"].weight.copy_(both.heads["head0"].weight)
        both.heads["head1"].bias.copy_(both.heads["head0"].bias)
    assert float(loss(both).detach()) == pytest.approx(2 * single[0], rel=1e-5)
    assert one != pytest.approx(2 * single[0])


# --- class weights -------------------------------------------------------------------------------


def test_a_rare_class_weighs_more_by_the_root_of_its_frequency() -> None:
    labels = np.array([0] * 16 + [1] * 4 + [-1] * 5)
    found = class_weights(labels, 3)
    assert found[1] / found[0] == pytest.approx(2)
    assert found[2] == 0, "no row has it"
    assert (found[labels[labels >= 0]]).mean() == pytest.approx(1, rel=1e-6)


@given(st.lists(st.integers(-1, 5), max_size=60))
def test_weights_have_mean_one_over_the_labelled_rows(labels: list[int]) -> None:
    found = class_weights(np.array(labels, dtype=np.intp), 6)
    assert np.isfinite(found).all()
    known = [label for label in labels if label >= 0]
    if known:
        assert found[known].mean() == pytest.approx(1, rel=1e-5)


def test_class_weights_weigh_the_rows_of_the_loss() -> None:
    weights = np.array([1, 2, 4], dtype=np.float32)
    found = module(class_weights={"head0": weights})
    per_row = -log_softmax(logits(found))[np.arange(4), LABELS] * weights[LABELS]
    assert float(loss(found).detach()) == pytest.approx(per_row.mean(), abs=1e-5)


# --- the teacher ---------------------------------------------------------------------------------


def divergence(student: np.ndarray, teacher: np.ndarray, heat: float) -> np.ndarray:
    """T² KL(teacher ‖ student), a number a row."""
    p, q = log_softmax(teacher / heat), log_softmax(student / heat)
    return heat**2 * (np.exp(p) * (p - q)).sum(axis=1)


@pytest.mark.parametrize("heat", [1.0, 2.0, 5.0])
def test_distillation_mixes_label_and_teacher(heat: float) -> None:
    found = module(teacher={"head0": TEACHER}, teacher_weight=0.7, teacher_temperature=heat)
    hard = -log_softmax(logits(found))[np.arange(4), LABELS]
    soft = divergence(logits(found), TEACHER.astype(np.float64), heat)
    expected = (0.3 * hard + 0.7 * soft).mean()
    assert float(loss(found).detach()) == pytest.approx(expected, abs=1e-5)


def test_a_row_with_a_teacher_alone_hears_it_in_full_and_one_without_its_label() -> None:
    teacher = TEACHER.copy()
    teacher[1] = np.nan
    labels = np.array([-1, 1, -1, 0])
    found = module(labels=labels, teacher={"head0": teacher}, teacher_weight=0.5)
    hard = -log_softmax(logits(found))
    soft = divergence(logits(found), TEACHER.astype(np.float64), 2.0)
    expected = (soft[0] + hard[1, 1] + soft[2] + 0.5 * hard[3, 0] + 0.5 * soft[3]) / 4
    value = loss(found)
    assert float(value.detach()) == pytest.approx(expected, abs=1e-5)
    value.backward()
    assert torch.isfinite(found.encoder.table.weight.grad).all(), "no NaN through the row without"


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn() -> None:
    found = module(labels=np.full(4, -1), teacher={"head0": TEACHER})
    found._teacher = {"head0": torch.from_numpy(logits(found).astype(np.float32))}
    assert float(loss(found).detach()) == pytest.approx(0, abs=1e-6)


# --- contrast ------------------------------------------------------------------------------------


def written_out(embeddings: np.ndarray, labels: list[int], heat: float) -> float:
    """L_out of Khosla et al., by loops."""
    total, rows = 0.0, 0
    for i, label in enumerate(labels):
        alike = [p for p, other in enumerate(labels) if p != i and other == label and label >= 0]
        if not alike:
            continue
        others = sum(
            math.exp(embeddings[i] @ embeddings[a] / heat) for a in range(len(labels)) if a != i
        )
        total -= sum(
            math.log(math.exp(embeddings[i] @ embeddings[p] / heat) / others) for p in alike
        ) / len(alike)
        rows += 1
    return total / rows if rows else 0.0


@given(
    st.lists(st.integers(-1, 3), min_size=1, max_size=9),
    st.integers(0, 99),
    st.sampled_from([0.1, 0.5, 2.0]),
)
def test_the_contrastive_loss_is_that_of_its_paper(
    labels: list[int], seed: int, heat: float
) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(len(labels), 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = supervised_contrastive(torch.from_numpy(embeddings), torch.tensor(labels), heat)
    assert float(found) == pytest.approx(written_out(embeddings, labels, heat), abs=1e-6)


def test_the_contrastive_loss_is_added_with_its_weight() -> None:
    plain = module()
    with torch.no_grad():
        embeddings = plain.embed(IDS, (IDS > 0).long())
    expected = float(supervised_contrastive(embeddings, torch.tensor(LABELS), 0.2))
    found = float(loss(module(contrastive=3.0, contrastive_temperature=0.2)).detach())
    assert found - float(loss(plain).detach()) == pytest.approx(3 * expected, abs=1e-4)
    assert expected > 0


def test_contrast_pulls_a_class_together_and_classes_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    optimizer = torch.optim.SGD([x], lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        supervised_contrastive(torch.nn.functional.normalize(x, dim=1), labels, 0.5).backward()
        optimizer.step()
    unit = torch.nn.functional.normalize(x.detach(), dim=1)
    alike = (unit @ unit.T)[labels[:, None] == labels[None, :]].min()
    apart = (unit @ unit.T)[labels[:, None] != labels[None, :]].max()
    assert alike > 0.9
    assert apart < 0


# --- consistency ---------------------------------------------------------------------------------


def test_two_passes_that_say_the_same_add_nothing() -> None:
    assert float(loss(module(consistency=10.0)).detach()) == pytest.approx(
        float(loss(module()).detach()), abs=1e-5
    )


def test_two_passes_with_other_dropout_are_pulled_together() -> None:
    torch.manual_seed(0)
    with_it = module(consistency=10.0, p=0.5)
    torch.manual_seed(0)
    strong = float(loss(with_it).detach())
    without = module(consistency=1e-9, p=0.5)
    torch.manual_seed(0)
    weak = float(loss(without).detach())
    assert strong > weak + 0.1


def test_the_divergence_of_two_passes_is_the_mean_of_both_directions() -> None:
    from core.training.objective import _symmetric_divergence

    x = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 1.0]])
    p, q = log_softmax(x[:2]), log_softmax(x[2:])
    forth = (np.exp(p) * (p - q)).sum(axis=1).mean()
    back = (np.exp(q) * (q - p)).sum(axis=1).mean()
    assert float(_symmetric_divergence(torch.from_numpy(x))) == pytest.approx((forth + back) / 2)
