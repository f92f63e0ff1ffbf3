"""What was taken of an import, and what was not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.customer_service.content import Change


@dataclass
class Report:
    """`changes`: what → name → change; `counts`: what was read, in words; `otherwise`: (place,
    what) of things taken in another form; `left_out`: (place, reason) of what was not taken;
    `next_steps`: commands."""

    changes: dict[str, Mapping[str, Change]] = field(default_factory=dict)
    counts: list[str] = field(default_factory=list)
    otherwise: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person: counts first, then each thing that was changed on the way or left out,
        with its reason, then what to do next."""
        lines = list(self.counts)
        for what, changes in self.changes.items():
            counts = Counter(changes.values())
            parts = [f"{counts[kind]} {kind}" for kind in ("new", "changed", "unchanged")]
            lines.append(f"{what}: {', '.join(parts)}")
        lines += [f"taken otherwise: {place}: {what}" for place, what in self.otherwise]
        lines += [f"not taken: {place}: {reason}" for place, reason in self.left_out]
        lines += [f"next: {command}" for command in self.next_steps]
        return lines
