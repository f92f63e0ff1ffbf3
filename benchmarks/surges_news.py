"""Is the promise on false alarms kept on real news?

news_stream_2018_2019 (39,463 headlines, most with a day and no hour) is labelled by our model,
which was trained on our own sample data. Its weeks are drawn anew in random order, each whole, so
that what lasts longer than a week is broken up while days keep their bunches, their weekday and
their topics together; from each order the monitor learns on eight weeks and watches 26. Alerts of
such an order count as false.

    python -m benchmarks.surges_news [--model DIR] [--orders 20]

Without --model one is trained on shared_data (preset fast) and kept in var/bench.
"""

from __future__ import annotations

import argparse
import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, public_data, save, table, verdict
from core.data.tables import iterate_table
from core.evaluation.intervals import bootstrap_interval
from core.progress import Progress
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of, story_text
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.promise import learn
from services.finance_sentiment.surge import AT_REST, follow
from services.finance_sentiment.train import train

BUDGETS = (0.5, 1.0, 2.0)
LEARNED_WEEKS, WATCHED_WEEKS = 8, 26
_BATCH = 64
SCRATCH = ROOT / "var" / "bench" / "surges_news"


def labelled(path: Path, model: Path, progress: Progress) -> list[tuple[str, int, int, int]]:
    """(topic, hour, 1, negative) of each headline that the model can read; kept in var/bench by
    the model's version, since reading takes minutes."""
    labeler = Labeler.load(model)
    kept = SCRATCH / f"labels-{labeler.version.replace(':', '-')[:40]}.csv"
    if not kept.is_file():
        rows = list(iterate_table(path, ["datetime", "headline"], ["description"]))
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.with_suffix(".part").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            parts = [rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH)]
            for part in progress.bar(parts, len(parts), "labelling"):
                texts = [
                    story_text(str(row["headline"]), str(row["description"] or "")) for row in part
                ]
                for row, label in zip(part, labeler.label(texts), strict=True):
                    moment = datetime.fromisoformat(str(row["datetime"])).replace(tzinfo=UTC)
                    if label.readable:
                        writer.writerow([label.topic, hour_of(moment), label.sentiment])
        kept.with_suffix(".part").rename(kept)
    with kept.open(encoding="utf-8", newline="") as file:
        return [
            (topic, int(hour), 1, int(sentiment == "negative"))
            for topic, hour, sentiment in csv.reader(file)
        ]


def in_order(counts: HourlyCounts, rng: np.random.Generator) -> HourlyCounts:
    """As many whole weeks as are learned from and watched, drawn without repeats."""
    first = -counts.first_hour % HOURS_A_WEEK
    weeks = (counts.stories.shape[1] - first) // HOURS_A_WEEK
    drawn = rng.permutation(weeks)[: LEARNED_WEEKS + WATCHED_WEEKS]
    hours = (first + drawn[:, None] * HOURS_A_WEEK + np.arange(HOURS_A_WEEK)).ravel()
    return HourlyCounts(
        counts.first_hour + first,
        counts.topics,
        counts.stories[:, hours],
        counts.negative[:, hours],
    )


def alerts_a_week(counts: HourlyCounts, budget: float, rng: np.random.Generator) -> float:
    """Learn on the first weeks, watch the others."""
    ends = counts.first_hour + LEARNED_WEEKS * HOURS_A_WEEK
    normal, promise = learn(counts.between(counts.first_hour, ends), budget, rng)
    watched = counts.between(ends, counts.end_hour)
    found = 0
    for topic in counts.topics:
        evidence = normal.evidence(topic, watched)
        _, _, up = follow(AT_REST, watched.first_hour, evidence, promise.thresholds)
        found += int((up & ~np.concatenate([[False], up[:-1]])).sum())
    return found / WATCHED_WEEKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a trained artefact")
    parser.add_argument("--orders", type=int, default=20)
    asked = parser.parse_args()
    folder = public_data("news_stream_2018_2019")
    if folder is None:
        return
    model = asked.model or SCRATCH / "model"
    if asked.model is None and not model.is_dir():
        data = ROOT / "shared_data" / "finance_sentiment" / "train.csv"
        train(data, model, preset="fast", progress=Progress())
    counts = HourlyCounts.from_rows(labelled(folder / "headlines.csv", model, Progress()))
    rows: list[list[object]] = []
    ratios: list[tuple[float, float]] = []
    results: list[dict[str, object]] = []
    for budget in BUDGETS:
        found = np.array([
            alerts_a_week(in_order(counts, np.random.default_rng(n)), budget,
                          np.random.default_rng([n, 1]))
            for n in range(asked.orders)
        ])  # fmt: skip
        low, high = bootstrap_interval(found, np.random.default_rng(0))
        realised = float(found.mean())
        rows.append([budget, f"{realised:.2f}", f"{low:.2f}–{high:.2f}"])
        ratios.append((budget, realised / budget))
        results.append({"promised": budget, "realised": realised, "realised_ci": [low, high]})
    table(("promised a week", "realised", "95 %"), rows)
    bars = [
        verdict(f"realised ÷ promised at {budget:g}", ratio, 1.2, at_least=False)
        for budget, ratio in ratios
    ]
    save("surges_news", {"orders": asked.orders, "bars": bars, "results": results})


if __name__ == "__main__":
    main()
