"""How much memory does training on 100,000 short texts take, and does it stay below 4 GB?

    python -m benchmarks.memory [--texts N] [--base-model REF] [--preset fast|accurate]

A process of its own a preset trains on synthetic texts of about 12 words in 20 classes and says its
largest resident size, which the system keeps for it. The base model is a tiny one, made on the
spot: what grows with the number of texts (token ids, n-grams, embeddings, the Trainer's own
bookkeeping) is there all the same, and it takes minutes instead of an hour. With
`--base-model bundled` the bundled one is trained.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import save, table

BAR = 4000  # MB
PRESETS = ("fast", "accurate")
CLASSES = 20
WORDS = 12


def texts(count: int) -> Iterator[tuple[str, str]]:
    """`count` different texts and their classes; a class prefers words of its own."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("aeionrstl"), 6)) for _ in range(3000)])
    for number in range(count):
        label = number % CLASSES
        own = rng.random(WORDS) < 0.3
        chosen = np.where(
            own, 100 * label + rng.integers(0, 20, WORDS), rng.integers(0, 3000, WORDS)
        )
        yield f"{' '.join(words[chosen])} {number}", f"class {label}"


def train(preset: str, count: int, base_model: str) -> None:
    """In the process that is measured: print seconds, accuracy and megabytes as JSON."""
    from core.data.records import LabeledText
    from core.models import BUNDLED
    from core.progress import Progress
    from core.testing.tiny import tiny_base_model
    from core.training.classifier import train_classifier
    from core.training.config import FineTuneConfig

    rows = [LabeledText(t, {"intent": of}, line) for line, (t, of) in enumerate(texts(count), 2)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        base = BUNDLED if base_model == "bundled" else base_model
        if base_model == "tiny":
            base = str(tiny_base_model(Path(folder) / "base"))
        trained = train_classifier(
            rows,
            ["intent"],
            folder=Path(folder) / "model",
            base_model=base,
            preset=preset,  # type: ignore[arg-type]
            config=FineTuneConfig(epochs=1),
            progress=Progress(),
        )
    found = {
        "seconds": round(time.monotonic() - began),
        "accuracy": trained.metrics["intent"]["accuracy"],
        # Kilobytes on Linux; a macOS counts bytes.
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6,
    }
    print(json.dumps(found))


def main() -> int:
    """Measure each preset; exit status 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--base-model", default="tiny", help="tiny, bundled, or a reference")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    presets = given.preset or PRESETS
    if given.inside:
        train(presets[0], given.texts, given.base_model)
        return 0
    results = {}
    for preset in presets:
        command = [sys.executable, "-m", "benchmarks.memory", "--inside", "--preset", preset]
        command += ["--texts", str(given.texts), "--base-model", given.base_model]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[preset] = json.loads(done.stdout.splitlines()[-1])
    table(
        ["training", "texts", "peak MB", f"bar {BAR}", "seconds"],
        [
            [p, given.texts, r["peak_mb"], "held" if r["peak_mb"] < BAR else "MISSED", r["seconds"]]
            for p, r in results.items()
        ],
    )
    save("memory", {"texts": given.texts, "base_model": given.base_model, "bar_mb": BAR, **results})
    return 0 if all(r["peak_mb"] < BAR for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
