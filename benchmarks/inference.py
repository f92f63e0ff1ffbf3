"""How fast is an embedding, and what does the speed cost? Run: python -m benchmarks.inference

The rival is sentence-transformers on torch with the same weights and the same two threads, in the
same run. int8 is measured where the check on validation rows (training rows of BANKING77 that the
head was not fitted on) allows it; agreement and cosine are then those of the test rows.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

THREADS = 2
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np  # noqa: E402 - the thread count must be set before

from benchmarks.common import ROOT, public_data, save, table, verdict  # noqa: E402
from core.inference.encoder import TextEncoder  # noqa: E402
from core.inference.export import export_base_encoder  # noqa: E402
from core.inference.quantize import choose_precision  # noqa: E402
from core.models import resolve_model  # noqa: E402

BATCHES = (1, 8, 32, 64)
Encode = Callable[[Sequence[str]], Any]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        print("exporting the bundled encoder")
        export_base_encoder(Path(scratch) / "fp32")
        encoders, quality = prepare(Path(scratch))
        short, long = sample_texts()
        report(measure(encoders, short, long), quality)


def prepare(scratch: Path) -> tuple[dict[str, Encode], dict[str, Any]]:
    """The encoders to compare, and what int8 does to decisions."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(THREADS)
    rival = SentenceTransformer(str(resolve_model().path), device="cpu")
    fp32 = TextEncoder.load(scratch / "fp32", threads=THREADS)
    encoders: dict[str, Encode] = {
        "sentence-transformers": lambda t: rival.encode(list(t), show_progress_bar=False),
        "fp32": lambda t: fp32.encode(t).embeddings,
    }
    quality: dict[str, Any] = {}
    folder = public_data("banking77")
    if folder is None:
        return encoders, quality
    shutil.copytree(scratch / "fp32", scratch / "int8")
    quality, allowed = check_int8(folder, fp32, scratch / "int8", encoders)
    if allowed:
        int8 = TextEncoder.load(scratch / "int8", threads=THREADS)
        encoders["int8"] = lambda t: int8.encode(t).embeddings
    return encoders, quality


def check_int8(
    folder: Path, fp32: TextEncoder, int8_folder: Path, encoders: dict[str, Encode]
) -> tuple[dict[str, Any], bool]:
    """Choose on validation rows; then agreement, accuracy and cosine on test rows."""
    from sklearn.linear_model import LogisticRegression

    texts, labels = read_intents(folder / "train.csv")
    order = np.random.default_rng(0).permutation(len(texts))
    train, valid = order[2000:], order[:2000]
    print("fitting a head on BANKING77 training rows, validating int8 on 2,000 others")
    embeddings = fp32.encode([texts[i] for i in train]).embeddings
    head = LogisticRegression(C=30, max_iter=300).fit(embeddings, labels[train])
    classes = {c: i for i, c in enumerate(head.classes_)}
    report = choose_precision(
        int8_folder,
        [texts[i] for i in valid],
        np.array([classes[labels[i]] for i in valid]),
        lambda e: head.decision_function(e).argmax(axis=1),
        threads=THREADS,
    )
    print(f"chosen: {report.chosen}. {report.reason}")
    test_texts, test_labels = read_intents(folder / "test.csv")
    reference = np.asarray(encoders["sentence-transformers"](test_texts))
    decided = head.predict(reference)
    quality: dict[str, Any] = {"choice": asdict(report)}
    rows = []
    for name, encoder in (("fp32", fp32), ("int8", TextEncoder.load(int8_folder))):
        if name == "int8" and report.chosen != "int8":
            continue
        mine = encoder.encode(test_texts).embeddings
        again = head.predict(mine)
        cosine = (mine * reference).sum(axis=1)
        quality[name] = {
            "agreement": float((again == decided).mean()),
            "accuracy": float((again == test_labels).mean()),
            "rival_accuracy": float((decided == test_labels).mean()),
            "cosine_mean": float(cosine.mean()),
            "cosine_min": float(cosine.min()),
        }
        q = quality[name]
        rows.append(
            [
                name,
                f"{q['agreement']:.2%}",
                f"{q['accuracy']:.2%}",
                f"{q['cosine_mean']:.5f}",
                f"{q['cosine_min']:.5f}",
            ]
        )
    print(
        f"\nBANKING77 test, {len(test_texts)} rows, beside the rival "
        f"({(decided == test_labels).mean():.2%} right)"
    )
    table(["", "agrees", "accuracy", "cosine mean", "min"], rows)
    return quality, report.chosen == "int8"


def measure(
    encoders: Mapping[str, Encode], short: Sequence[str], long: Sequence[str]
) -> dict[str, dict[str, float]]:
    """p50 and p95 of one short text (ms) and texts a second by batch size, for each encoder.

    They take turns on the same texts, so that a machine that slows down does so for all of them.
    """
    speed: dict[str, dict[str, float]] = {name: {} for name in encoders}
    for name, single in take_turns(encoders, short, 1, 200).items():
        speed[name]["p50_ms"] = float(np.percentile(single, 50) * 1e3)
        speed[name]["p95_ms"] = float(np.percentile(single, 95) * 1e3)
    for kind, texts in (("short", short), ("128_tokens", long)):
        for batch in BATCHES:
            repeats = max(7, (160 if kind == "short" else 40) // batch)
            for name, times in take_turns(encoders, texts, batch, repeats).items():
                speed[name][f"{kind}_{batch}"] = float(batch / np.median(times))
    return speed


def slice_of(texts: Sequence[str], number: int, size: int) -> list[str]:
    return [texts[(number * size + k) % len(texts)] for k in range(size)]


def take_turns(
    encoders: Mapping[str, Encode], texts: Sequence[str], batch: int, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each run, after two that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(-2, repeats):
        part = slice_of(texts, number, batch)
        for name, encode in encoders.items():
            start = time.perf_counter()
            encode(part)
            if number >= 0:
                taken[name].append(time.perf_counter() - start)
    return taken


def report(speed: dict[str, Any], quality: dict[str, Any]) -> None:
    rival = speed["sentence-transformers"]
    print(f"\nspeed, {THREADS} threads; texts a second at batch sizes {BATCHES}")
    columns = [f"{kind}_{b}" for kind in ("short", "128_tokens") for b in BATCHES]
    table(
        ["", "p50 ms", "p95 ms", *(c.replace("_tokens", "tok") for c in columns)],
        [
            [name, f"{s['p50_ms']:.2f}", f"{s['p95_ms']:.2f}", *(f"{s[c]:.0f}" for c in columns)]
            for name, s in speed.items()
        ],
    )
    print()
    bars = []
    for name, latency, throughput in (("fp32", 3.5, 1.0), ("int8", 5.0, 1.5)):
        if name not in speed:
            print(f"{name}: not allowed by the check, so not measured")
            continue
        mine = speed[name]
        bars.append(
            verdict(
                f"{name} one short text, times faster", rival["p50_ms"] / mine["p50_ms"], latency
            )
        )
        for column in columns:
            bars.append(
                verdict(
                    f"{name} throughput ratio at {column}", mine[column] / rival[column], throughput
                )
            )
    save("inference", {"threads": THREADS, "speed": speed, "quality": quality, "bars": bars})


def sample_texts() -> tuple[list[str], list[str]]:
    """Questions of the sample shop (about 12 tokens), and the same joined to 128 tokens."""
    texts, _ = read_intents(ROOT / "shared_data" / "customer_service" / "test.csv")
    short = [t for t in texts if t.isascii() and 20 <= len(t) <= 70]
    long = [" ".join(short[(i + k) % len(short)] for k in range(14)) for i in range(len(short))]
    from core.inference.tokenizer import TextTokenizer

    tokenizer = TextTokenizer(resolve_model().path / "tokenizer.json", 256)
    words = [text.split() for text in long]
    cut = []
    for parts in words:
        size = len(parts)
        while len(tokenizer.encode([" ".join(parts[:size])])[0].ids) > 128:
            size -= 1
        cut.append(" ".join(parts[:size]))
    return short, cut[:64]


def read_intents(path: Path) -> tuple[list[str], Any]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [r["text"] for r in rows], np.array([r["intent"] for r in rows])


if __name__ == "__main__":
    main()
