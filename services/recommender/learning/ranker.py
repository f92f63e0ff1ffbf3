"""How much should each signal count, and what does a score mean as a probability?

Weights: a conditional logit (McFadden 1974) over the whole catalogue. Each user of a later window
is one draw: of all items they had not known, which did they take? The log-likelihood is concave,
uses every item as a rival (nothing is sampled) and has a Gaussian prior around given weights, so
that little data moves them little.

Probability: logistic regression on the score alone (Platt 1999), on pairs of user and item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.recommender.rankers import Ranker

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

# Users of data that the prior is worth.
_PRIOR_USERS = 0.5
_ROUNDS = 80
# In the signals' own units.
_SMALLEST_SCALE = 0.1


def fit_weights(
    signals: FloatArray, rivals: BoolArray, relevant: Sequence[IntArray], prior: Ranker
) -> Ranker:
    """Weights for `signals` (users, items, signals).

    `rivals` (users, items): the items that a user could have taken, the relevant ones among them;
    `relevant`: item numbers of each user, at least one. Slope and offset are the prior's.
    """
    from scipy.optimize import minimize

    rows = signals[rivals]
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    # One that hardly differs here says nothing of what happens when it does.
    scales = np.maximum(scales, _SMALLEST_SCALE).astype(np.float32)
    rows -= means
    rows /= scales
    start = (prior.weights / prior.scales * scales).astype(np.float64)
    chosen = np.zeros(rivals.shape, dtype=np.float32)
    for user, items in enumerate(relevant):
        chosen[user, items] = 1.0 / len(items)
    chosen = chosen[rivals]
    counts = rivals.sum(axis=1)
    first = np.cumsum(counts) - counts

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        scores = rows @ weights.astype(np.float32)
        scores -= np.repeat(np.maximum.reduceat(scores, first), counts)
        expected = np.exp(scores)
        total = np.add.reduceat(expected, first)
        likelihood = float(chosen @ scores) - float(np.log(total).sum())
        expected /= np.repeat(total, counts)
        gradient = (chosen - expected) @ rows
        away = weights - start
        penalty = _PRIOR_USERS * float(away @ away)
        value = (penalty - likelihood) / len(relevant)
        return value, (2 * _PRIOR_USERS * away - gradient) / len(relevant)

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS})
    weights = found.x.astype(np.float32)
    return Ranker(weights, means.astype(np.float32), scales, prior.slope, prior.offset)


def fit_probability(scores: FloatArray, labels: BoolArray) -> tuple[float, float] | None:
    """(slope, offset) of the logistic curve through pairs; None where only one kind of label is
    there. A slope below 0, which would turn the order round, becomes 0."""
    if labels.all() or not labels.any():
        return None
    x = np.stack([scores.astype(np.float64), np.ones(len(scores))], axis=1)
    beta = np.array([0.0, np.log(labels.mean() / (1 - labels.mean()))])
    ridge = np.diag([1e-3, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (labels - p) - ridge @ beta
        step = np.linalg.solve(
            (x * (p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(2), gradient
        )
        beta = beta + step
        if float(np.abs(step).max()) < 1e-8:
            break
    if beta[0] < 0:
        return 0.0, float(np.log(labels.mean() / (1 - labels.mean())))
    return float(beta[0]), float(beta[1])
