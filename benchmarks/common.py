"""What do all benchmarks share: where public data lie, what machine it is, how results are kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

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
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "probe_ms": probe(),
        "libraries": library_versions(),
    }


def probe() -> dict[str, float]:
    """Milliseconds of two fixed pieces of work on one core, the best and the median of nine: plain
    Python, and a product of matrices. A box that is shared with others may be three times slower
    in one hour than in the next; these tell what seconds elsewhere in the record are worth."""
    left = np.ones((64, 1536), dtype=np.float32)
    right = np.ones((1536, 384), dtype=np.float32)

    def count() -> None:
        total = 0
        for number in range(200_000):
            total += number

    def multiply() -> None:
        for _ in range(10):
            left @ right

    found: dict[str, float] = {}
    for name, work in (("python", count), ("product", multiply)):
        times = []
        with threadpool_limits(1, user_api="blas"):
            for _ in range(9):
                began = time.perf_counter()
                work()
                times.append(1e3 * (time.perf_counter() - began))
        found |= {f"{name}_best": min(times), f"{name}_median": statistics.median(times)}
    return {name: round(value, 2) for name, value in found.items()}


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
