"""How is dropout made cheap on a CPU?

Torch draws one number of its generator for each element, a sixth of the time of a training step on
the bundled encoder. A byte is enough: one draw gives eight of them, and the mask costs a quarter.
Training only: torch is imported here.
"""

from __future__ import annotations

from typing import Any

import torch


class ByteDropout(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """Dropout whose probability is rounded to a 256th; what is kept is scaled up accordingly."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p  # attention reads it and calls torch's own function
        if not 0 <= self.threshold < 256:
            raise ValueError(f"a dropout probability must be in [0, 1), was: {p}")

    @property
    def threshold(self) -> int:
        """How many of 256 values are dropped."""
        return round(self.p * 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of any shape; in evaluation it passes as it is."""
        if not self.training or self.threshold == 0:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        # All 64 bits: the default would leave the sign, and so the top byte, uneven.
        words.random_(torch.iinfo(torch.int64).min, None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * (kept.to(x.dtype) * (256 / (256 - self.threshold)))


def use_byte_dropout(model: Any) -> None:
    """Replace every `torch.nn.Dropout` inside `model`."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, ByteDropout(child.p).train(child.training))


def set_dropout(model: Any, p: float) -> None:
    """Give every dropout inside `model` the probability `p`."""
    for module in model.modules():
        if isinstance(module, ByteDropout | torch.nn.Dropout):
            module.p = p
