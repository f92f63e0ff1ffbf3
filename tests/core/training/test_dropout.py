"""Is cheap dropout still dropout?"""

from __future__ import annotations

import pytest
import torch

from core.training.dropout import ByteDropout, use_byte_dropout


def test_every_element_is_dropped_as_often_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    out = ByteDropout(0.1)(torch.ones(100_000, 8))
    dropped = (out == 0).float()
    # Each column is one byte of the words that are drawn. Six standard errors.
    assert dropped.mean(dim=0).sub(26 / 256).abs().max() < 6 * (0.09 / 100_000) ** 0.5
    assert out.mean().item() == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("size", [(), (1,), (3, 5), (2, 3, 7)])
def test_any_shape_keeps_its_shape(size: tuple[int, ...]) -> None:
    assert ByteDropout(0.5)(torch.ones(size)).shape == size


def test_in_evaluation_nothing_changes() -> None:
    x = torch.randn(4, 4)
    assert ByteDropout(0.5).eval()(x) is x


def test_gradients_pass_where_values_do() -> None:
    x = torch.ones(1000, requires_grad=True)
    out = ByteDropout(0.25)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_probability_outside_its_range_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="must be in"):
        ByteDropout(p)


def test_every_dropout_of_a_model_is_replaced_and_keeps_its_mode() -> None:
    inner = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.2))
    model = torch.nn.Sequential(inner, torch.nn.Dropout(0.1)).eval()
    use_byte_dropout(model)
    assert not [m for m in model.modules() if type(m) is torch.nn.Dropout]
    found = [m for m in model.modules() if isinstance(m, ByteDropout)]
    assert [m.threshold for m in found] == [51, 26]
    assert not any(m.training for m in found)
