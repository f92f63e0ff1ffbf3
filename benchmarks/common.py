"""What do all benchmarks share: where public data lie, what machine it is, how results are kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.artifacts import library_versions, now_iso

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def public_data(name: str) -> Path | None:
    """The folder of a public set, or None (said on screen) where it is absent."""
    root = Path(os.environ.get("TREFOIL_BENCH_DATA", ROOT.parent / "shared" / "data"))
    folder = root / name
    if folder.is_dir():
        return folder
    print(f"skipped: {name} is not in {root.name}/ (set TREFOIL_BENCH_DATA to the folder of sets)")
    return None


def machine() -> dict[str, Any]:
    """Cores, processor and library versions, for the record beside the figures."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else model
    return {"cores": os.cpu_count(), "processor": model, "libraries": library_versions()}


def save(name: str, content: Mapping[str, Any]) -> None:
    """Write `benchmarks/results/<name>.json` with the machine and the time."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    full = {"benchmark": name, "at": now_iso(), "machine": machine(), **content}
    path.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {path.relative_to(ROOT)}")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns of equal width."""
    cells = [[str(c) for c in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for number, row in enumerate(cells):
        print(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w)
                for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        )
        if number == 0:
            print("  ".join("-" * w for w in widths))


def verdict(name: str, value: float, bar: float, *, at_least: bool = True) -> dict[str, Any]:
    """One line that says whether a bar is held, and the same for the JSON."""
    held = value >= bar if at_least else value <= bar
    sign = "≥" if at_least else "≤"
    print(f"{'holds ' if held else 'MISSED'}  {name}: {value:.2f} (bar {sign} {bar:g})")
    return {"name": name, "value": value, "bar": bar, "at_least": at_least, "held": held}
