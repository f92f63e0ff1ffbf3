"""How surely does a served model know what it is looking at?

Scores that fail differently, and their combination. All are larger for what is more surely in
scope. Shapes: embeddings (rows, width), logits (rows, classes); a score is (rows,). How they are
fitted and compared at training is in core/evaluation/open_set_scores.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput, ModelCorrupt
from core.inference.neighbours import NEIGHBOURS, kth_similarity

Floats = NDArray[np.float64]
Scores = Mapping[str, ArrayLike]

LOGIT, ENERGY, NEIGHBOUR, MAHALANOBIS = "logit", "energy", "neighbour", "mahalanobis"
_BLOCK = 1024


def largest_logit(logits: ArrayLike) -> Floats:
    """The largest logit (Hendrycks et al. 2022, "Scaling Out-of-Distribution Detection")."""
    return np.asarray(finite_table(logits, "logits").max(axis=1))


def energy(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """T · log Σ exp(z / T), the negative free energy (Liu et al. 2020, "Energy-based
    Out-of-distribution Detection"). It nears the largest logit as T nears 0."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise InvalidInput(f"temperature must be a number above 0, was: {temperature}")
    z = finite_table(logits, "logits") / temperature
    peak = z.max(axis=1)
    return np.asarray(temperature * (peak + np.log(np.exp(z - peak[:, None]).sum(axis=1))))


@dataclass(frozen=True)
class OpenSetModel:
    """What the scores compare with.

    `reference` (m, width): unit-length training embeddings. `means` (classes, width).
    `whitening`, `background_whitening` (width, width): W with W Wᵀ = the inverse covariance around
    the class means and around `background_mean` (width,). `temperature` of the energy; `k` of the
    nearest neighbours.
    """

    reference: NDArray[np.float32]
    means: Floats
    whitening: Floats
    background_mean: Floats
    background_whitening: Floats
    temperature: float = 1.0
    k: int = NEIGHBOURS

    def scores(self, embeddings: ArrayLike, logits: ArrayLike) -> dict[str, Floats]:
        """The four scores by name, each (rows,)."""
        e, z = finite_table(embeddings, "embeddings"), finite_table(logits, "logits")
        if len(e) != len(z) or e.shape[1] != self.means.shape[1]:
            raise InvalidInput(
                f"expected as many logits as embeddings of width {self.means.shape[1]}, "
                f"were: {z.shape} and {e.shape}"
            )
        return {
            LOGIT: largest_logit(z),
            ENERGY: energy(z, self.temperature),
            NEIGHBOUR: self._nearest(e),
            MAHALANOBIS: self._relative_mahalanobis(e),
        }

    def _nearest(self, embeddings: Floats) -> Floats:
        # As narrow as the reference: else that is widened anew at every call.
        unit = unit_rows(embeddings).astype(np.float32)
        blocks = [
            kth_similarity(unit[i : i + _BLOCK], self.reference, self.k)
            for i in range(0, len(unit), _BLOCK)
        ]
        return np.concatenate(blocks).astype(np.float64)

    def _relative_mahalanobis(self, embeddings: Floats) -> Floats:
        """Minus the least over classes of (squared distance to the class − to the background)."""
        rows, means = embeddings @ self.whitening, self._whitened_means
        squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ means.T + (means**2).sum(axis=1)
        background = (embeddings - self.background_mean) @ self.background_whitening
        return np.asarray((background**2).sum(axis=1) - squares.min(axis=1))

    @cached_property
    def _whitened_means(self) -> Floats:
        return np.asarray(self.means @ self.whitening)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What to keep in a safetensors file."""
        names = ("means", "whitening", "background_mean", "background_whitening")
        arrays = {name: np.ascontiguousarray(getattr(self, name), np.float32) for name in names}
        return arrays | {"reference": np.ascontiguousarray(self.reference, np.float16)}

    def settings(self) -> dict[str, float]:
        """What to keep in the manifest."""
        return {"temperature": self.temperature, "k": self.k}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, Any], settings: Mapping[str, Any]) -> OpenSetModel:
        """From what `arrays` and `settings` gave. KeyError names a part that is missing."""
        return cls(
            np.asarray(arrays["reference"], dtype=np.float32),
            np.asarray(arrays["means"], dtype=np.float64),
            np.asarray(arrays["whitening"], dtype=np.float64),
            np.asarray(arrays["background_mean"], dtype=np.float64),
            np.asarray(arrays["background_whitening"], dtype=np.float64),
            float(settings["temperature"]),
            int(settings["k"]),
        )


@dataclass(frozen=True)
class Combination:
    """A weighted sum of standardised scores, higher is surer.

    `means` and `deviations` are those of in-scope validation rows, aligned with `names`; `how` is
    "equal" or "logistic"; `auroc` is what the choice rests on, on validation rows, None where
    nothing was compared.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    how: str
    auroc: float | None = None

    def score(self, scores: Scores) -> Floats:
        """(rows,) from the scores by name; names it does not use may be there."""
        missing = [name for name in self.names if name not in scores]
        if missing:
            raise InvalidInput(f"expected the scores {', '.join(self.names)}, missing: {missing}")
        columns = np.stack([finite_row(scores[name], name) for name in self.names], axis=1)
        standard = (columns - np.array(self.means)) / np.array(self.deviations)
        return np.asarray(standard @ np.array(self.weights))

    def rescaled(self, in_scores: Scores) -> Combination:
        """The same choice and weights, standardised on other in-scope rows."""
        scale = Scale.of({name: in_scores[name] for name in self.names})
        return replace(self, means=tuple(scale.means), deviations=tuple(scale.deviations))

    def settings(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "names": list(self.names),
            "means": list(self.means),
            "deviations": list(self.deviations),
            "weights": list(self.weights),
            "how": self.how,
            "auroc": self.auroc,
        }

    @classmethod
    def from_settings(cls, said: Mapping[str, Any]) -> Combination:
        """From the manifest."""
        return cls(
            names=tuple(map(str, said["names"])),
            means=tuple(map(float, said["means"])),
            deviations=tuple(map(float, said["deviations"])),
            weights=tuple(map(float, said["weights"])),
            how=str(said["how"]),
            auroc=None if said["auroc"] is None else float(said["auroc"]),
        )


@dataclass(frozen=True)
class Scale:
    names: tuple[str, ...]
    means: list[float]
    deviations: list[float]

    @classmethod
    def of(cls, scores: Scores) -> Scale:
        rows = [finite_row(values, name) for name, values in scores.items()]
        return cls(
            tuple(scores), [float(r.mean()) for r in rows], [float(r.std()) or 1.0 for r in rows]
        )

    def standard(self, scores: Scores) -> Floats:
        columns = np.stack([finite_row(scores[name], name) for name in self.names], axis=1)
        return np.asarray((columns - np.array(self.means)) / np.array(self.deviations))


def unit_rows(rows: Floats) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), dtype=np.float32)


def finite_table(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise InvalidInput(f"{name} must be finite numbers (rows, columns), shape: {array.shape}")
    return array


def finite_row(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise InvalidInput(f"the score {name!r} must be finite numbers, shape: {array.shape}")
    return array


@dataclass(frozen=True)
class OpenSet:
    """The score that a classifier serves: one combination for text that the encoder can read, one
    for text that it cannot, of which embeddings tell nothing."""

    model: OpenSetModel
    readable: Combination
    unreadable: Combination

    def in_scope(
        self, embeddings: ArrayLike, logits: ArrayLike, readable: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(rows,) higher is surer; `readable` (rows,)."""
        if len(readable) == 0:
            return np.empty(0, dtype=np.float32)
        scores = self.model.scores(embeddings, logits)
        chosen = np.where(readable, self.readable.score(scores), self.unreadable.score(scores))
        return np.asarray(chosen, dtype=np.float32)

    def save(self, path: Path) -> dict[str, Any]:
        """Write the arrays to `path`; what is given back belongs into the manifest."""
        from safetensors.numpy import save_file

        save_file(self.model.arrays(), str(path))
        return {
            **self.model.settings(),
            "readable": self.readable.settings(),
            "unreadable": self.unreadable.settings(),
        }

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, Any]) -> OpenSet:
        """Raises ModelCorrupt where a part is missing or cannot be read."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return cls(
                OpenSetModel.from_parts(load_file(str(path)), settings),
                Combination.from_settings(settings["readable"]),
                Combination.from_settings(settings["unreadable"]),
            )
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error
