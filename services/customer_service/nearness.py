"""From how near on may one example speak for a message?

A team teaches an intent with a handful of examples; a message near enough to one of them takes its
intent. How near is near enough, the model's own training rows tell: each row is taken in turn as
the only example of its intent, all other rows of that intent being unknown, and every other row
asks. It would take the example's intent where the example is nearer than any row of another intent
and the cosine reaches a bar; that is right where the asking row has the same intent. Nothing is
drawn by chance: a row's weight is the share of examples for which it would go right (or wrong).
Questions known to be out of scope ask too, and count as `oos_share` of the traffic.

The bar is walked down from near to far, like the threshold of risk.py: the order of the levels
looks at no intent, and the walk ends at the first level whose upper 95 % bound on wrong ÷ taken
passes the risk. Without any question out of scope a floor stands in for them, as in risk.py: a
message must be as near as all but the farthest 2 % of the rows are to their nearest neighbour.
Where the rows are too few for any level to pass, the default is cautious: as near as the nearest
hundredth of the rows are, if none of these went wrong.

This holds for an intent about as frequent as the trained ones, and for an encoder that no label
has touched: then the rows of known intents lie as those of new ones will. So the vectors are those
of the search encoder, which is the classifier's own where that is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core.errors import ModelCorrupt
from services.customer_service.bounds import wrong_share_upper
from services.customer_service.rule import Floats

FILE: Final = "teaching.safetensors"
OUTSIDE: Final = -1
FloatArray = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

# More rows tell nothing new and cost a minute.
_MOST_ASKING: Final = 4000
_LEVELS: Final = 100
_CHUNK: Final = 256
# Share of rows that may lie beyond the floor where no out-of-scope row was given (risk.py).
_FLOOR_QUANTILE: Final = 0.02
# The walk begins where the bound without a single wrong row is this part of the risk (risk.py).
_HEADROOM: Final = 0.7


@dataclass(frozen=True)
class Bar:
    """`cosine`: from here on near enough. `chance`: of being right, at least, with 95 % confidence
    where the risk is `promised`, else what is expected of so few rows."""

    cosine: float
    chance: float
    promised: bool = True


@dataclass(frozen=True)
class Nearness:
    """What a model knows of nearness.

    `embeddings` (n, width): its training rows, of unit length; `labels` (n,): class numbers,
    OUTSIDE for a question out of scope. `levels` (k, 6), nearest first: the cosine, and of the
    asking rows the weight that would go right and wrong, the wrong weights' squares, and the same
    two of rows out of scope. `asking` and `asking_outside`: how many rows asked.
    """

    embeddings: FloatArray
    labels: Labels
    levels: Floats
    asking: int
    asking_outside: int

    def bar(self, risk: float, oos_share: float) -> Bar | None:
        """For a share `risk` of wrong ones, in (0, 1), and `oos_share` of the traffic out of scope,
        [0, 1). None where not even the nearest rows are right."""
        each = 0.0
        if self.asking_outside:
            each = oos_share / (1 - oos_share) * self.asking / self.asking_outside
        heaviest = max(1.0, each)
        reached = None
        for cosine, right, wrong, squares, oos, oos_squares in self.levels:
            amiss = wrong + each * oos
            if wrong_share_upper(right + amiss, 0.0, 0.0, heaviest) > _HEADROOM * risk:
                continue
            upper = wrong_share_upper(right, amiss, squares + each**2 * oos_squares, heaviest)
            if upper > risk:
                break
            reached = Bar(float(cosine), float(1 - upper))
        return reached or self._cautious(each)

    def _cautious(self, each: float) -> Bar | None:
        cosine, right, wrong, _, oos, _ = self.levels[0] if len(self.levels) else np.zeros(6)
        if wrong + each * oos > 0 or right == 0:
            return None
        # Laplace's rule of succession.
        return Bar(float(cosine), float((right + 1) / (right + 2)), promised=False)

    def nearest_other(self, embedding: FloatArray, label: int | None) -> float:
        """Largest cosine of `embedding` (width,) to a row that has not the class `label`; −1 where
        there is none. None: a class that the model never saw, so every row is another."""
        cosines = self.embeddings @ embedding
        others = cosines if label is None else cosines[self.labels != label]
        return float(others.max(initial=-1.0))


def measure(embeddings: FloatArray, labels: Labels, rng: np.random.Generator) -> Nearness:
    """What the rows, as in `Nearness`, say of nearness; at most 4,000 of them, drawn, ask."""
    order = np.argsort(labels, kind="stable")
    rows, of = embeddings[order], labels[order]
    asking = np.arange(len(rows))
    if len(rows) > _MOST_ASKING:
        asking = np.sort(rng.choice(len(rows), _MOST_ASKING, replace=False))
    nearest, right, wrong = _asked(rows, of, asking)
    inside = of[asking] != OUTSIDE
    lowest = _FLOOR_QUANTILE if inside.all() else 0.0
    at = np.linspace(lowest, 1.0, _LEVELS, endpoint=False)
    levels = np.unique(np.quantile(nearest[inside], at))[::-1]
    table = np.zeros((len(levels), 6))
    for number, level in enumerate(levels):
        rights, wrongs = _share_from(right, level), _share_from(wrong, level)
        table[number] = (
            level,
            rights[inside].sum(),
            wrongs[inside].sum(),
            (wrongs[inside] ** 2).sum(),
            wrongs[~inside].sum(),
            (wrongs[~inside] ** 2).sum(),
        )
    return Nearness(embeddings, labels, table, int(inside.sum()), int((~inside).sum()))


@dataclass(frozen=True)
class _Fires:
    """Cosines, ascending, of the examples whose intent a row would take; of `out_of` examples."""

    cosines: FloatArray
    out_of: int


_NOTHING: Final = _Fires(np.empty(0, dtype=np.float32), 1)


def _asked(
    rows: FloatArray, labels: Labels, asking: npt.NDArray[np.intp]
) -> tuple[FloatArray, list[_Fires], list[_Fires]]:
    """For each asking row: its largest cosine to another row, and the examples of its own intent
    and of the one other intent that it could take. `labels` ascend."""
    classes, starts = np.unique(labels, return_index=True)
    sizes = np.diff(np.append(starts, len(labels)))
    own = np.searchsorted(classes, labels)
    nearest = np.empty(len(asking), dtype=np.float32)
    right: list[_Fires] = []
    wrong: list[_Fires] = []
    for start in range(0, len(asking), _CHUNK):
        some = asking[start : start + _CHUNK]
        cosines = rows[some] @ rows.T
        cosines[np.arange(len(some)), some] = -2.0  # none meets itself
        best = np.maximum.reduceat(cosines, starts, axis=1)
        nearest[start : start + len(some)] = best.max(axis=1)
        for to_all, to_class, mine in zip(cosines, best, own[some], strict=True):
            top = int(to_class.argmax())
            for found, number in ((right, int(mine)), (wrong, top)):
                place = slice(starts[number], starts[number] + sizes[number])
                fires = _NOTHING
                if classes[number] != OUTSIDE and (found is right or top != mine):
                    size = int(sizes[number]) - (found is right)
                    fires = _taking(to_all[place], np.delete(to_class, number), size)
                found.append(fires)
    return nearest, right, wrong


def _taking(to_class: FloatArray, to_others: FloatArray, size: int) -> _Fires:
    """Those of a class that are nearer than all of the others; `size` without the row itself."""
    return _Fires(np.sort(to_class[to_class > to_others.max(initial=-1.0)]), max(size, 1))


def _share_from(fires: list[_Fires], level: float) -> Floats:
    """(n,) share of the examples that are at least so near."""
    return np.array(
        [(len(f.cosines) - np.searchsorted(f.cosines, level)) / f.out_of for f in fires]
    )


def save(nearness: Nearness, folder: Path) -> None:
    """Keep it beside the model."""
    arrays = {
        "embeddings": nearness.embeddings.astype(np.float16),
        "labels": nearness.labels.astype(np.int32),
        "levels": np.ascontiguousarray(nearness.levels, dtype=np.float64),
        "asking": np.array([nearness.asking, nearness.asking_outside], dtype=np.int64),
    }
    save_file({name: np.ascontiguousarray(of) for name, of in arrays.items()}, str(folder / FILE))


def load(folder: Path) -> Nearness | None:
    """What `save` wrote; None for a model that was trained before this was kept. ModelCorrupt."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        of = load_file(str(path))
        asking, outside = (int(count) for count in of["asking"])
        return Nearness(
            of["embeddings"].astype(np.float32), of["labels"], of["levels"], asking, outside
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelCorrupt(
            f"{path} cannot be read: {error}", mend="Train again, or take another version."
        ) from error
