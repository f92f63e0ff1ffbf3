"""Does the monitor tell what a headline says of each of several companies?

    python -m benchmarks.company_sentiment --model DIR [--part measure]

Data: shared_data/finance_sentiment/company_sentiment.csv, written for this: headlines, half of them
Chinese, that name two or three invented companies, with the sentiment towards each. The rows with
`part` choose are there to choose the rules by; those with `measure` give the figures. DIR is a
trained model. Rival: the label of the whole story for every company. Judged: pairs of headline and
company; interval: 95 %, bootstrap over headlines. A company without a label (the model cannot read
the text) counts as wrong for either.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, save, table
from services.finance_sentiment.companies import read_companies
from services.finance_sentiment.entities import companies_of
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading

FOLDER = ROOT / "shared_data" / "finance_sentiment"
RESAMPLES = 2_000
Judged = list[tuple[int, bool, bool, str, str]]


def headlines(part: str) -> list[dict[str, str]]:
    """The rows of a part."""
    with (FOLDER / "company_sentiment.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["part"] == part]


def judged(rows: Sequence[dict[str, str]], linker: CompanyLinker, labeler: Labeler) -> Judged:
    """(row, ours is right, the rival's is right, basis, language) of every company."""
    texts = [row["text"] for row in rows]
    reading, found = companies_of(linker, texts, lambda read: Reading(labeler.label(read)))
    pairs: Judged = []
    for at, row in enumerate(rows):
        story = reading.labels[at].sentiment
        said = {one.company: one for one in found[at]}
        for pair in row["companies"].split("|"):
            company, _, truth = pair.rpartition("=")
            ours = said.get(company)
            pairs.append(
                (
                    at,
                    ours is not None and ours.sentiment == truth,
                    story == truth,
                    ours.basis if ours else "not linked",
                    row["language"],
                )
            )
            if ours is None or ours.sentiment != truth:
                got = f"{ours.sentiment} by {ours.basis}" if ours else "not linked"
                print(f"  {row['text']}: {company} is {truth}, found {got}")
    return pairs


def share(pairs: Judged, which: int) -> list[float]:
    """Share that is right, with its interval."""
    number = max(pair[0] for pair in pairs) + 1
    right, total = np.zeros(number), np.zeros(number)
    for pair in pairs:
        right[pair[0]] += bool(pair[which])
        total[pair[0]] += 1
    drawn = np.random.default_rng(0).integers(number, size=(RESAMPLES, number))
    spread = right[drawn].sum(axis=1) / np.maximum(total[drawn].sum(axis=1), 1)
    low, high = np.quantile(spread, (0.025, 0.975))
    return [float(right.sum() / total.sum()), float(low), float(high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--part", default="measure", choices=["choose", "measure"])
    asked = parser.parse_args()
    linker = CompanyLinker(read_companies(FOLDER / "companies.yaml"))
    pairs = judged(headlines(asked.part), linker, Labeler.load(asked.model, threads=1))
    lines, figures = [], {}
    groups = {"all": pairs}
    groups |= {name: [p for p in pairs if p[4] == name] for name in ("en", "zh")}
    groups |= {f"by {b}": [p for p in pairs if p[3] == b] for b in ("rule", "clause", "story")}
    for name, chosen in groups.items():
        if chosen:
            figures[name] = {"ours": share(chosen, 1), "story": share(chosen, 2)}
            shown = [f"{m:.3f} ({low:.3f}–{high:.3f})" for m, low, high in figures[name].values()]
            lines.append((name, len(chosen), *shown))
    table(("pairs", "number", "as served", "the story's label"), lines)
    if asked.part == "measure":
        save("company_sentiment", {"model": asked.model.name, "figures": figures})


if __name__ == "__main__":
    main()
