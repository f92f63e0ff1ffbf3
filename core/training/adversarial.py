"""How does a model train against small moves of its own input?

The output of the embedding layer is moved in the direction that raises the loss most, and the
gradient of the loss there is added to the plain one.

    FGM   one move, δ = ε ‖x‖ g / ‖g‖                  Miyato et al. 2017, "Adversarial Training
                                                      Methods for Semi-Supervised Text ..."
    PGD   several smaller ones, kept within the ball   Madry et al. 2018, "Towards Deep Learning
                                                      Models Resistant to Adversarial Attacks"

norms over a text's whole sequence. Training only: torch is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Adversary:
    """Watches an embedding layer; `step` adds the gradients of a moved second pass.

    `epsilon` is the size of the whole move as a share of the embeddings' own norm, `steps` how many
    moves make it up (1: FGM).
    """

    def __init__(self, embeddings: Any, epsilon: float, steps: int) -> None:
        self._epsilon = epsilon
        self._steps = steps
        self._seen: torch.Tensor | None = None
        self._delta: torch.Tensor | None = None
        self._handle = embeddings.register_forward_hook(self._hook)

    def close(self) -> None:
        """Leave the layer as it was."""
        self._handle.remove()

    def step(
        self,
        compute_loss: Callable[[], torch.Tensor],
        backward: Callable[..., None],
        probe: Callable[[], torch.Tensor] | None = None,
    ) -> None:
        """After the plain loss's backward pass: move, and add the gradients found there.

        On the way (PGD) the loss is that of `probe`, by default `compute_loss`, and the parameters
        get no gradient; those of the last move count.
        """
        if self._seen is None or self._seen.grad is None:
            return
        clean = self._seen.detach()
        gradient = self._seen.grad
        size = self._epsilon * _norms(clean)
        delta = torch.zeros_like(clean)
        for number in range(1, self._steps + 1):
            # Each of several moves is larger than its share, as is usual, and cut to the ball.
            length = size if self._steps == 1 else 1.5 * size / self._steps
            delta = delta + length * gradient / _norms(gradient).clamp(min=1e-12)
            delta = delta * (size / _norms(delta).clamp(min=1e-12)).clamp(max=1)
            last = number == self._steps
            with self._moved(delta):
                if last:
                    backward(compute_loss())
                else:
                    (gradient,) = torch.autograd.grad((probe or compute_loss)(), self._delta)

    @contextmanager
    def _moved(self, delta: torch.Tensor) -> Iterator[None]:
        self._delta = delta.detach().requires_grad_()
        try:
            yield
        finally:
            self._delta = None

    def _hook(self, module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not module.training or not torch.is_grad_enabled():
            return None
        if self._delta is not None:
            return output + self._delta
        if output.requires_grad:
            output.retain_grad()
        else:  # the embeddings are frozen
            output.requires_grad_()
        self._seen = output
        return None


def _norms(x: torch.Tensor) -> torch.Tensor:
    """(batch_size, 1, 1) norms of (batch_size, seq_len, width)."""
    return x.flatten(1).norm(dim=1)[:, None, None]
