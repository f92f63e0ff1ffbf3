"""What does a list of candidates, with what users did with each, teach a bi-encoder?

For each query (or a user's history as text) there is a list of candidates with a grade: 0 ignored,
more for clicked, more still for bought. The softmax over the candidates should give each its share
of the grades: ListNet's top-one loss (Cao et al. 2007, "Learning to Rank: From Pairwise Approach to
Listwise Approach"). The candidates of the other queries in the batch stand in the denominator too.
Popular texts come up there, and in the lists, more often than others; the logarithm of that
frequency is taken off each logit in training, so that the embeddings need not learn popularity (Yi
et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations").
Training only: torch is imported here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.data.pairs import TextPair

# What a text that nobody chose counts as, so that its logarithm is finite.
_UNSEEN = 0.1
# Added to a logit that must not count; a real minus infinity would make gradients of no number.
_EXCLUDED = -1e9


@dataclass(frozen=True)
class CandidateList:
    """`grades`, `log_frequency` and `numbers` (which text of all it is) run along `texts`."""

    query: str
    texts: tuple[str, ...]
    grades: tuple[float, ...]
    log_frequency: tuple[float, ...]
    numbers: tuple[int, ...]


def candidate_lists(
    pairs: Sequence[TextPair], list_size: int, rng: np.random.Generator
) -> list[CandidateList]:
    """One list a query: its best graded texts first, then a random part of the ignored ones.

    Popularity is the share of all grades above 0 that a text has. Queries without any are left out.
    """
    chosen = Counter(pair.text for pair in pairs if pair.belongs)
    total = sum(chosen.values())
    numbers = {text: i for i, text in enumerate(dict.fromkeys(pair.text for pair in pairs))}
    grades: dict[str, dict[str, float]] = {}
    for pair in pairs:
        of = grades.setdefault(pair.query, {})
        grade = 1.0 if pair.relevance is None else pair.relevance
        of[pair.text] = max(grade, of.get(pair.text, 0.0))
    lists = []
    for query, of in grades.items():
        texts = [list(of)[i] for i in rng.permutation(len(of)).tolist()]
        texts = sorted(texts, key=lambda text: -of[text])[:list_size]
        if of[texts[0]] > 0:
            frequency = [float(np.log(max(chosen[t], _UNSEEN) / total)) for t in texts]
            lists.append(
                CandidateList(
                    query,
                    tuple(texts),
                    tuple(of[t] for t in texts),
                    tuple(frequency),
                    tuple(numbers[t] for t in texts),
                )
            )
    return lists


def listwise_loss(
    queries: torch.Tensor,
    candidates: torch.Tensor,
    grades: torch.Tensor,
    log_frequency: torch.Tensor,
    numbers: torch.Tensor,
    *,
    scale: float = 20.0,
) -> torch.Tensor:
    """Mean cross-entropy in nats, of shape (), over the queries with a grade above 0.

    `queries` (b, width), `candidates` (b, m, width), both of any length but 0; `grades` (b, m), NaN
    where a list is shorter than m; `log_frequency` (b, m); `numbers` (b, m) tell equal texts.
    """
    rows, size, width = candidates.shape
    unit = torch.nn.functional.normalize
    flat = unit(candidates, dim=-1).reshape(rows * size, width)
    logits = scale * unit(queries, dim=-1) @ flat.T - log_frequency.nan_to_num().reshape(1, -1)
    present = ~grades.isnan()
    own = torch.eye(rows, dtype=torch.bool, device=logits.device).repeat_interleave(size, dim=1)
    # A text of the query's own list must not stand against it a second time, from another's list.
    mine = torch.where(present, numbers, -1)
    known = (numbers.reshape(1, -1, 1) == mine.unsqueeze(1)).any(-1)
    counted = present.reshape(1, -1) & (own | ~known)
    log_shares = torch.log_softmax(logits.masked_fill(~counted, _EXCLUDED), dim=1)
    wanted = torch.where(present, grades, 0.0).clamp(min=0)
    sums = wanted.sum(dim=1)
    mine_only = log_shares.reshape(rows, rows, size)[torch.arange(rows), torch.arange(rows)]
    losses = -(wanted * mine_only).sum(dim=1) / sums.clamp(min=1e-9)
    return losses.sum() / (sums > 0).sum().clamp(min=1)


class ListwiseLoss(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """`listwise_loss` as one of sentence-transformers' losses: query first, then candidates."""

    def __init__(self, model: Any, scale: float = 20.0) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def compute_loss_from_embeddings(
        self, embeddings: list[torch.Tensor], labels: torch.Tensor
    ) -> torch.Tensor:
        """`embeddings`: (b, width) of the queries and of each candidate column; `labels` (b, 3, m):
        grades, log-frequencies, numbers."""
        grades, log_frequency, numbers = labels.unbind(dim=1)
        return listwise_loss(
            embeddings[0],
            torch.stack(embeddings[1:], dim=1),
            grades,
            log_frequency,
            numbers,
            scale=self.scale,
        )
