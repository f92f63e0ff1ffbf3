"""How is one linear classifier fitted to dense or sparse features?

scikit-learn fits; here are the shapes of the answers, and a beginning near another solution.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.inference.ngrams import BUCKETS, SparseRows
from core.training.rows import IntArray

FloatArray = npt.NDArray[np.float32]

# Where the slope of the loss is below it, a fit ends; beginning where another ended needs it small.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Linear:
    """`weight` (features, classes) and `bias` (classes,)."""

    weight: FloatArray
    bias: FloatArray


def multinomial(
    x: FloatArray,
    labels: IntArray,
    c: float,
    seed: int,
    start: tuple[Any, Any] | None = None,
) -> tuple[Any, Any]:
    """Weights (width, classes) and biases (classes,) of one softmax over the classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Stopping short of the optimum does no harm: validation judges what came out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(
            C=c, max_iter=300, tol=_TOLERANCE, random_state=seed, warm_start=True
        )
        if start is not None and start[0].shape[1] > 2:
            model.coef_, model.intercept_ = start[0].T.copy(), start[1].copy()
        fitted = model.fit(x, labels)
    if len(fitted.classes_) == 2:  # one row of weights, for the second class
        half = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
        return np.stack([-half[0], half[0]], axis=1), np.array([-half[1], half[1]])
    return fitted.coef_.T, fitted.intercept_


def one_against_rest(x: Any, labels: IntArray, c: float, seed: int) -> tuple[Any, Any]:
    """As `_multinomial`, but a logistic regression per class, in the dual.

    On 32,768 sparse columns that takes a second where one softmax takes minutes, and the
    temperature makes probabilities of its scores as well.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights, biases = [], []
    for class_number in np.unique(labels):
        model = LogisticRegression(
            C=c, solver="liblinear", dual=True, tol=0.1, max_iter=50, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, labels == class_number)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return np.stack(weights, axis=1), np.array(biases)


def take_rows(ngrams: SparseRows, rows: IntArray) -> SparseRows:
    """The given rows, in the given order."""
    if len(rows) == len(ngrams) and np.array_equal(rows, np.arange(len(ngrams))):
        return ngrams
    spans = [slice(ngrams.starts[r], ngrams.starts[r + 1]) for r in rows]
    lengths = [s.stop - s.start for s in spans]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    empty: list[Any] = [np.empty(0, np.int32)]
    return SparseRows(
        np.concatenate([ngrams.indices[s] for s in spans] or empty),
        np.concatenate([ngrams.values[s] for s in spans] or empty).astype(np.float32),
        starts,
    )


def as_scipy(ngrams: SparseRows) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(ngrams), BUCKETS)
    return csr_matrix((ngrams.values, ngrams.indices, ngrams.starts), shape=shape)


def apply(linear: Linear, x: Any) -> FloatArray:
    return np.asarray(x @ linear.weight + linear.bias, dtype=np.float32)
