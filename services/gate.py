"""Is a candidate good enough to take the live model's place?

Both carry figures of held-out rows in their manifests, with intervals. The candidate is refused
when its whole interval lies below the live model's figure: a point that is a little lower is
chance, an interval that is lower is not. A model that ranks is asked the same about new items,
where enough users took one in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import Version, read_manifest
from core.errors import PromotionRefused

# Where the headline figure stands: a head's accuracy, or the ranking figure at the top.
_PATHS = (
    ("intent", "accuracy"),
    ("sentiment", "accuracy"),
    ("topic", "accuracy"),
    ("ndcg@10",),
)
# Users that a slice of new items must have to decide anything.
_FEWEST_USERS = 20


@dataclass(frozen=True)
class Figure:
    """`low` and `high` bound the 95 % interval; both are `value` where none was computed."""

    name: str
    value: float
    low: float
    high: float


def headline(metrics: Mapping[str, Any]) -> Figure | None:
    """The figure that decides, None where the manifest has none."""
    for path in _PATHS:
        place: Any = metrics
        for step in path[:-1]:
            place = place.get(step, {}) if isinstance(place, Mapping) else {}
        value = place.get(path[-1]) if isinstance(place, Mapping) else None
        if value is not None:
            low, high = place.get(f"{path[-1]}_ci") or (value, value)
            return Figure(" ".join(path), float(value), float(low), float(high))
    return None


def not_worse(live: Version | None, candidate: Path) -> None:
    """The gate of `trefoil models promote`. Raises PromotionRefused."""
    if live is None:
        return
    old, new = (headline(read_manifest(folder).metrics) for folder in (live.path, candidate))
    if old is None or new is None or old.name != new.name:
        has, had = (f.name if f else "no held-out figure" for f in (new, old))
        raise PromotionRefused(
            f"the candidate and the live model cannot be compared: {has} against {had}",
            mend="Train again on rows with the same labels, and enough of them, or use --force.",
        )
    _refuse_worse(old, new)
    old_cold, new_cold = (cold(read_manifest(folder).metrics) for folder in (live.path, candidate))
    if old_cold is not None and new_cold is not None:
        _refuse_worse(old_cold, new_cold)


def cold(metrics: Mapping[str, Any]) -> Figure | None:
    """The figure on items without an event in training, None where too few users took one."""
    slices = metrics.get("slices")
    figures = slices.get("cold_items", {}) if isinstance(slices, Mapping) else {}
    value, interval = figures.get("ndcg@10"), figures.get("ndcg@10_ci")
    if value is None or interval is None or figures.get("users", 0) < _FEWEST_USERS:
        return None
    return Figure("ndcg@10 of new items", float(value), float(interval[0]), float(interval[1]))


def _refuse_worse(old: Figure, new: Figure) -> None:
    if new.high < old.value:
        raise PromotionRefused(
            f"held-out {new.name} is {new.value:.3f} ({new.low:.3f} to {new.high:.3f}), "
            f"the live model has {old.value:.3f}",
            mend="Look at what changed in the data, or use --force.",
        )
