"""Does the recommender rank later events better than every usual method, on public sets?

    python -m benchmarks.recommender --set uci|beauty|movielens [--preset fast] [--users N]

Each set is cut in time (recommender_sets.py) into `var/bench/rec_<set>/data`; a model is trained on
what was known, as `trefoil recommender train` does, and judged on what came later, as `evaluate`
does: the served path over the full catalogue, beside popular, recent popular, item-kNN, EASE, iALS
and frozen text, whose settings the training tuned on its own validation part. The figure that
counts is ours minus the best of the six on the same users, with a paired bootstrap interval.

In UCI an item without a purchase before the cut is in the catalogue only because somebody bought it
later, so ranking such items high would be a leak. So `uci` is judged a second time, the same
model, as a shop that never listed them.

`--users N` keeps the first N users alone, for a try; nothing is written to results/.
TREFOIL_BENCH_THREADS sets the threads (2), TREFOIL_BENCH_REUSE=1 takes the cut and the model of an
earlier run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.common import save, table
from benchmarks.quality.common import MODELS, THREADS, Bar
from benchmarks.recommender_sets import SETS, Cut, cut
from core.progress import Progress
from services.recommender.evaluate import evaluate
from services.recommender.train import train

Figures = Mapping[str, Any]
# Over the best of the six, as a ratio of NDCG@10; and figures of ours alone.
RATIO: Final = {"uci": Bar(1.0, 1.2), "movielens": Bar(None, 1.1)}
OWN: Final = {"beauty": {"ndcg@10": Bar(0.032, 0.042), "recall@10": Bar(0.060, 0.072)}}
GOAL_COLD: Final = {"uci": 0.48}
FAST_SECONDS: Final = {"uci": 180.0}


def main() -> None:
    """Cut, train, judge, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--preset", choices=("fast", "accurate"), default="fast")
    parser.add_argument("--users", type=int, help="the first N users alone")
    asked = parser.parse_args()
    name: str = asked.set
    folder = MODELS / (f"rec_{name}" if asked.users is None else f"rec_{name}_{asked.users}")
    made = prepared(name, folder / "data", asked.users)
    if made is None:
        return
    spent = trained(made, folder / asked.preset, asked.preset)
    model = folder / asked.preset
    found = judged(model, made, made.items)
    show("full catalogue", found)
    content: dict[str, Any] = {"set": name, "preset": asked.preset, "threads": THREADS}
    content |= {"train": spent, "figures": found}
    if name == "uci":
        content["never_sold_left_out"] = judged(model, made, sold_before(made))
        show("items never sold before the cut left out", content["never_sold_left_out"])
    print(f"\ntraining: {words(spent)}, {THREADS} threads, {os.cpu_count()} cores")
    content["bars"] = bars(name, asked.preset, content)
    if asked.users is None:
        suffix = "" if asked.preset == "fast" else f"_{asked.preset}"
        save(f"recommender_{name}{suffix}", content)


def prepared(name: str, folder: Path, users: int | None) -> Cut | None:
    """The three files of the set; of the first `users` users with events before and after."""
    if os.environ.get("TREFOIL_BENCH_REUSE") and folder.is_dir():
        return Cut(folder / "items.csv", folder / "known.csv", folder / "later.csv")
    made = cut(name, folder)
    if made is not None and users is not None:
        known = {row["user_id"] for row in read(made.known)}
        both = (row["user_id"] for row in read(made.later) if row["user_id"] in known)
        kept = set(list(dict.fromkeys(both))[:users])
        for path in (made.known, made.later):
            write(path, [row for row in read(path) if row["user_id"] in kept])
    return made


def trained(made: Cut, model: Path, preset: str) -> dict[str, float]:
    """Seconds of the training, by the clock and of CPU; of the earlier run where it is reused."""
    record = model.with_suffix(".json")
    if os.environ.get("TREFOIL_BENCH_REUSE") and model.is_dir():
        known: dict[str, float] = json.loads(record.read_text()) if record.is_file() else {}
        return known
    shutil.rmtree(model, ignore_errors=True)
    began, cpu = time.perf_counter(), time.process_time()
    train(made.items, made.known, model, preset=preset, threads=THREADS, progress=Progress())
    spent = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    record.write_text(json.dumps(spent))
    return spent


def judged(model: Path, made: Cut, items: Path) -> dict[str, Any]:
    """What `trefoil recommender evaluate` says."""
    return evaluate(model, items, made.known, made.later, threads=THREADS, progress=Progress())


def sold_before(made: Cut) -> Path:
    """The catalogue without the items that nobody had bought before the cut."""
    sold = {row["item_id"] for row in read(made.known)}
    path = made.items.with_name("items_sold_before.csv")
    write(path, [row for row in read(made.items) if row["item_id"] in sold])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def best_baseline(found: Figures) -> str:
    """The one with the largest NDCG@10."""
    values = {name: theirs["ndcg@10"] for name, theirs in found["baselines"].items()}
    best: str = max(values, key=lambda name: values[name] or 0.0)
    return best


def show(title: str, found: Figures) -> None:
    """The table of one task: ours and the six, then the difference from the best of them."""
    print(f"\n{title}")
    rows = [line("ours", found)]
    rows += [line(name, theirs) for name, theirs in found["baselines"].items()]
    header = ["", "NDCG@10", "95 %", "recall@10", "95 %", "users"]
    table([*header, "new among new", "95 %", "new, recall@50", "95 %", "users"], rows)
    best = best_baseline(found)
    gain = found["gain_over"][best]
    print(f"ours / {best}: {ratio(found):.3f}, ours - {best}: {gain['ndcg@10']:+.4f}", end="")
    print(" ({:+.4f} to {:+.4f})".format(*gain["ndcg@10_ci"]))


def line(name: str, found: Figures) -> list[str]:
    slices = found["slices"]
    cells = [name, *figure(found, "ndcg@10"), *figure(found, "recall@10"), str(found["users"])]
    cells += figure(slices["cold_among_cold"], "ndcg@10")
    cells += figure(slices["cold_items"], "recall@50")
    return [*cells, str(slices["cold_items"]["users"])]


def figure(found: Figures, key: str) -> list[str]:
    value, interval = found[key], found[f"{key}_ci"]
    return ["-", ""] if value is None else [f"{value:.4f}", "{:.4f}–{:.4f}".format(*interval)]


def ratio(found: Figures) -> float:
    best: float = found["baselines"][best_baseline(found)]["ndcg@10"]
    ours: float = found["ndcg@10"]
    return ours / best


def words(spent: Mapping[str, float]) -> str:
    if not spent:
        return "not timed (the model was there already)"
    return f"{spent['seconds']:.0f} s ({spent['cpu_seconds']:.0f} s of CPU)"


def bars(name: str, preset: str, content: Figures) -> list[dict[str, Any]]:
    """The issue's, each with whether it is held."""
    found, spent = content["figures"], content["train"]
    lines = [bar("NDCG@10 ours / best baseline", ratio(found), RATIO.get(name, Bar()))]
    if name == "uci":
        for task in ("figures", "never_sold_left_out"):
            low = content[task]["gain_over"][best_baseline(content[task])]["ndcg@10_ci"][0]
            where = "" if task == "figures" else ", never sold left out"
            lines.append(bar(f"difference, low end of 95 %{where}", low, Bar(0.0)))
        left_out = ratio(content["never_sold_left_out"])
        lines.append(bar("NDCG@10 ours / best, never sold left out", left_out, Bar()))
    for key, wanted in OWN.get(name, {}).items():
        lines.append(bar(key, found[key], wanted))
    cold, text = (
        side["slices"]["cold_among_cold"]["ndcg@10"]
        for side in (found, found["baselines"]["frozen_text"])
    )
    if cold is not None and text is not None:
        lines.append(bar("new among new, NDCG@10", cold, Bar(text, GOAL_COLD.get(name))))
    reported = found["slices"]["cold_items"]["recall@50"]
    if reported is not None:
        lines.append(bar("new in the full catalogue, recall@50", reported, Bar()))
    if preset == "fast" and spent:
        most = FAST_SECONDS.get(name)
        lines.append(bar("training, seconds", spent["seconds"], Bar(most, higher=False)))
    return lines


def bar(name: str, value: float, wanted: Bar) -> dict[str, Any]:
    """One line, printed, and the same for the record."""
    verdict = wanted.verdict(value)
    print(f"{name}: {value:.4f}  {verdict or 'reported'}")
    told = {"floor": wanted.floor, "goal": wanted.goal, "verdict": verdict}
    return {"name": name, "value": value, **told}


if __name__ == "__main__":
    main()
