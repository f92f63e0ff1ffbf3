"""What does a classifier lose on a batch?

    L = CE(labels) or, with a teacher, (1 − a) CE(labels) + a T² KL(teacher ‖ student at T)
      + contrastive × SupCon(embeddings)           Khosla et al. 2020, "Supervised Contrastive ..."
      + consistency × symmetric KL of two passes   Liang et al. 2021, "R-Drop"

summed over the heads. Distillation is that of Hinton et al. 2015, "Distilling the Knowledge in a
Neural Network". Training only: torch is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from core.inference.export import pool
from core.models import Pooling
from core.training.config import FineTuneConfig
from core.training.linear import Linear
from core.training.rows import IntArray

FloatArray = npt.NDArray[np.float32]


class ClassifierModule(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """An encoder with linear heads; in training its forward pass gives the loss.

    `labels`: head → (n,) class numbers, −1 for none; `teacher`: head → (n, classes) logits of the
    teacher, NaN in rows it has none for; `class_weights`: head → (classes,).
    """

    def __init__(
        self,
        encoder: Any,
        pooling: Pooling,
        start: Mapping[str, Linear],
        labels: Mapping[str, IntArray],
        config: FineTuneConfig,
        teacher: Mapping[str, FloatArray] | None = None,
        class_weights: Mapping[str, FloatArray] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = torch.nn.ModuleDict({n: _torch_linear(linear) for n, linear in start.items()})
        self._pooling = pooling
        self._config = config
        self._labels = {name: torch.from_numpy(np.asarray(of)) for name, of in labels.items()}
        self._teacher = {n: torch.from_numpy(of) for n, of in (teacher or {}).items()}
        self._weights = {n: torch.from_numpy(of) for n, of in (class_weights or {}).items()}

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` (batch_size, seq_len); `rows` (batch_size,) row numbers."""
        if self._config.consistency > 0:
            input_ids, attention_mask = input_ids.repeat(2, 1), attention_mask.repeat(2, 1)
            rows = rows.repeat(2)
        embeddings = self.embed(input_ids, attention_mask)
        loss = embeddings.sum() * 0.0  # so that a batch without any label has a gradient
        for name, head in self.heads.items():
            loss = loss + self._of_head(name, head(embeddings), rows.cpu())
        if self._config.contrastive > 0:
            first = next(iter(self.heads))
            labels = self._labels[first][rows.cpu()].to(embeddings.device)
            loss = loss + self._config.contrastive * supervised_contrastive(
                embeddings, labels, self._config.contrastive_temperature
            )
        return {"loss": loss}

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Unit embeddings (batch_size, width)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # Virtual tokens of prompt tuning stand before the text's own positions.
        return pool(hidden[:, -input_ids.shape[1] :], attention_mask, self._pooling)

    def _of_head(self, name: str, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        config = self._config
        expected = self._labels[name][rows].to(logits.device)
        weights = self._weights.get(name)
        hard = functional.cross_entropy(
            logits,
            expected,
            weight=None if weights is None else weights.to(logits.device),
            ignore_index=-1,
            label_smoothing=config.label_smoothing,
            reduction="none",
        )
        loss, heard = hard, expected >= 0
        if name in self._teacher:
            said = self._teacher[name][rows].to(logits.device)
            loss = _with_teacher(hard, expected, logits, said, config)
            heard = heard | ~said.isnan().any(dim=1)
        mean = loss.sum() / heard.sum().clamp(min=1)
        if config.consistency > 0:
            mean = mean + config.consistency * _symmetric_divergence(logits)
        return mean


def _with_teacher(
    hard: torch.Tensor,
    expected: torch.Tensor,
    logits: torch.Tensor,
    teacher: torch.Tensor,
    config: FineTuneConfig,
) -> torch.Tensor:
    """(batch_size,) losses: rows with a label hear both, rows without it the teacher alone."""
    known = ~teacher.isnan().any(dim=1)
    heat = config.teacher_temperature
    soft = functional.kl_div(
        functional.log_softmax(logits / heat, dim=1),
        functional.log_softmax(torch.nan_to_num(teacher) / heat, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1) * (heat * heat)
    share = torch.where(expected >= 0, config.teacher_weight, 1.0) * known
    return (1 - share) * hard + share * soft


def supervised_contrastive(
    embeddings: torch.Tensor, labels: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean over the rows with another row of their class, of unit `embeddings` (batch, width).

    −log of the share that the row's own class has in the softmax over all other rows
    (`L_out` of the paper); 0 where no two rows share a class. Rows with label −1 are negatives.
    """
    similarity = embeddings @ embeddings.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    log_share = similarity - torch.logsumexp(similarity.masked_fill(itself, -torch.inf), 1, True)
    alike = (labels[:, None] == labels[None, :]) & ~itself & (labels >= 0)[:, None]
    count = alike.sum(dim=1)
    per_row = -(log_share * alike).sum(dim=1) / count.clamp(min=1)
    return per_row[count > 0].mean() if bool((count > 0).any()) else embeddings.sum() * 0.0


def _symmetric_divergence(logits: torch.Tensor) -> torch.Tensor:
    """Mean of both KL divergences between the first and the second half of the rows."""
    one, two = functional.log_softmax(logits, dim=1).chunk(2)
    return (
        functional.kl_div(one, two, reduction="batchmean", log_target=True)
        + functional.kl_div(two, one, reduction="batchmean", log_target=True)
    ) / 2


def class_weights(labels: IntArray, classes: int) -> FloatArray:
    """(classes,) weights ∝ 1 / √count with mean 1 over the labelled rows; 0 for a class unseen."""
    counts = np.bincount(labels[labels >= 0], minlength=classes).astype(np.float64)
    weights = np.divide(1, np.sqrt(counts), out=np.zeros(classes), where=counts > 0)
    mean = float((weights * counts).sum() / max(1.0, counts.sum()))
    return (weights / (mean or 1.0)).astype(np.float32)


def _torch_linear(linear: Linear) -> Any:
    module = torch.nn.Linear(*linear.weight.shape)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(linear.weight.T.copy()))
        module.bias.copy_(torch.from_numpy(linear.bias))
    return module
