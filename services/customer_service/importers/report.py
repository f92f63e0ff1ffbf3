"""What was taken of an import, and what was not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.customer_service.content import Change


@dataclass
class Report:
    """`changes`: what → name → change; `left_out`: (place, reason) of what was not taken."""

    changes: dict[str, Mapping[str, Change]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person: counts first, then each thing that was left out with its reason."""
        lines = []
        for what, changes in self.changes.items():
            counts = Counter(changes.values())
            parts = [f"{counts[kind]} {kind}" for kind in ("new", "changed", "unchanged")]
            lines.append(f"{what}: {', '.join(parts)}")
        lines += [f"not taken: {place}: {reason}" for place, reason in self.left_out]
        return lines
