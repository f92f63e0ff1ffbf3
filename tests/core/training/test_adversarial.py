"""Does the adversary move the embeddings against the model, within its ball, and add up right?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from core.training.adversarial import Adversary

TOKENS = torch.tensor([[1, 2, 3], [4, 5, 6]])


class Model(torch.nn.Module):
    """Embeddings, then something curved."""

    def __init__(self, *, frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embeddings = torch.nn.Embedding(9, 4)
        self.linear = torch.nn.Linear(4, 1)
        self.embeddings.requires_grad_(not frozen)
        self.seen: list[torch.Tensor] = []

    def loss(self) -> torch.Tensor:
        x = self.embeddings(TOKENS)
        self.seen.append(x.detach().clone())
        return (self.linear(torch.tanh(x)).sum(dim=1) ** 2).mean()


def backward(loss: torch.Tensor) -> None:
    loss.backward()


def gradient(model: Model) -> torch.Tensor:
    assert model.linear.weight.grad is not None
    return model.linear.weight.grad.clone()


@pytest.fixture(params=[False, True], ids=["learning", "frozen"])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(frozen=request.param)


Losses = Callable[[], torch.Tensor]


def attack(model: Model, epsilon: float, steps: int) -> list[float]:
    """The losses of a plain pass and of each that the adversary makes."""
    adversary = Adversary(model.embeddings, epsilon, steps)
    losses: list[float] = []

    def compute() -> torch.Tensor:
        value = model.loss()
        losses.append(float(value.detach()))
        return value

    compute().backward()
    adversary.step(compute, backward)
    adversary.close()
    return losses


@pytest.mark.parametrize("steps", [1, 3])
def test_the_moved_embeddings_have_a_higher_loss(model: Model, steps: int) -> None:
    losses = attack(model, 0.1, steps)
    assert len(losses) == 1 + steps
    assert losses == sorted(losses), "each move is against the model"
    assert losses[-1] > losses[0]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("epsilon", [0.01, 0.5])
def test_no_text_is_moved_further_than_epsilon_times_its_norm(
    model: Model, steps: int, epsilon: float
) -> None:
    attack(model, epsilon, steps)
    clean, *moved = model.seen
    size = epsilon * clean.flatten(1).norm(dim=1)
    for embeddings in moved:
        assert ((embeddings - clean).flatten(1).norm(dim=1) <= size * (1 + 1e-5)).all()
    last = (moved[-1] - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(last, size)  # the whole of it is used in the end


def test_one_step_goes_along_the_gradient(model: Model) -> None:
    attack(model, 0.1, 1)
    clean, moved = model.seen
    x = clean.clone().requires_grad_()
    (model.linear(torch.tanh(x)).sum(dim=1) ** 2).mean().backward()
    for row in range(2):
        assert x.grad is not None
        direction = x.grad[row] / x.grad[row].norm()
        torch.testing.assert_close(moved[row] - clean[row], 0.1 * clean[row].norm() * direction)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradients_of_the_parameters_are_those_of_both_passes(model: Model, steps: int) -> None:
    attack(model, 0.3, steps)
    both = gradient(model)
    clean, *moved = model.seen
    model.zero_grad()
    for embeddings in (clean, moved[-1]):
        (model.linear(torch.tanh(embeddings)).sum(dim=1) ** 2).mean().backward()
    torch.testing.assert_close(both, gradient(model))


def test_on_the_way_the_loss_may_be_another_one() -> None:
    model = Model()
    adversary = Adversary(model.embeddings, 0.1, 3)
    asked: list[str] = []

    def called(name: str) -> Losses:
        def compute() -> torch.Tensor:
            asked.append(name)
            return model.loss()

        return compute

    model.loss().backward()
    adversary.step(called("last"), backward, probe=called("probe"))
    assert asked == ["probe", "probe", "last"]


def test_without_a_pass_before_it_there_is_nothing_to_move() -> None:
    model = Model()
    Adversary(model.embeddings, 0.1, 1).step(model.loss, backward)
    assert model.seen == []


def test_judging_the_model_in_between_is_not_watched(model: Model) -> None:
    adversary = Adversary(model.embeddings, 0.1, 1)
    model.loss().backward()
    seen = adversary._seen
    model.eval()
    model.loss()
    model.train()
    with torch.no_grad():
        model.loss()
    assert adversary._seen is seen


def test_a_text_without_a_gradient_is_not_moved() -> None:
    model = Model()
    torch.nn.init.zeros_(model.linear.weight)
    torch.nn.init.zeros_(model.linear.bias)
    attack(model, 0.1, 3)
    assert all(torch.equal(x, model.seen[0]) for x in model.seen)


def test_the_layer_is_left_without_a_hook(model: Model) -> None:
    attack(model, 0.1, 1)
    assert not model.embeddings._forward_hooks
    plain: Any = Model()
    torch.testing.assert_close(model.loss(), plain.loss())
