"""Are two tellings of one story merged, and stories with other figures, names or directions never?

    python -m benchmarks.near_duplicates --encoder DIR

Data: shared_data/finance_sentiment/near_duplicates.csv, written for this: two headlines a row, one
story or not. The rows with `part` choose are there to choose the two thresholds by; those with
`measure` give the figures below. DIR is the folder of an exported encoder (`encoder/` of a trained
model); without one only words are compared. Rival: words alone, without the guards.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, save, table, verdict
from core.inference.encoder import TextEncoder
from services.finance_sentiment.duplicates import (
    NEAR_IN_MEANING,
    NEAR_IN_WORDS,
    common_share,
    near_in_words,
)
from services.finance_sentiment.guards import refusal

PAIRS = ROOT / "shared_data" / "finance_sentiment" / "near_duplicates.csv"


@dataclass(frozen=True)
class Pair:
    """Two headlines, how alike they are, and whether they tell one story."""

    kind: str
    language: str
    first: str
    second: str
    words: float
    cosine: float

    @property
    def merged(self) -> bool:
        """What the service does with them."""
        if near_in_words(self.first, self.second):
            return True
        return self.cosine >= NEAR_IN_MEANING and not refusal(self.first, self.second)


def pairs(part: str, encoder: TextEncoder | None) -> list[Pair]:
    """The rows of a part; a cosine of 0 where the encoder cannot read one of the two."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == part]
    cosines = np.zeros(len(rows))
    if encoder is not None:
        one = encoder.encode([row["first"] for row in rows])
        other = encoder.encode([row["second"] for row in rows])
        cosines = (one.embeddings * other.embeddings).sum(axis=1)
        cosines = cosines * (one.readable & other.readable)
    return [
        Pair(
            row["kind"],
            row["language"],
            row["first"],
            row["second"],
            common_share(row["first"], row["second"]),
            float(cosine),
        )
        for row, cosine in zip(rows, cosines, strict=True)
    ]


def scores(found: Sequence[Pair], merged: Sequence[bool]) -> tuple[float, float, int]:
    """(precision, recall, opposites merged)."""
    hits = sum(m and p.kind == "duplicate" for p, m in zip(found, merged, strict=True))
    same = sum(p.kind == "duplicate" for p in found)
    opposites = sum(m and p.kind == "opposite" for p, m in zip(found, merged, strict=True))
    return hits / max(1, sum(merged)), hits / max(1, same), opposites


def main() -> None:
    """Print the figures of both parts, and what was judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, help="folder of an exported encoder")
    folder = parser.parse_args().encoder
    encoder = TextEncoder.load(folder, threads=2) if folder else None
    rows = []
    measured: dict[str, tuple[float, float, int]] = {}
    for part in ("choose", "measure"):
        found = pairs(part, encoder)
        ways = {
            "as served": [p.merged for p in found],
            "words alone, no guards": [p.words >= NEAR_IN_WORDS for p in found],
        }
        for way, merged in ways.items():
            precision, recall, opposites = scores(found, merged)
            rows.append(
                (f"{part}: {way}", len(found), f"{precision:.3f}", f"{recall:.3f}", opposites)
            )
            measured.setdefault(f"{part}: {way}", (precision, recall, opposites))
        for pair in found:
            if pair.merged != (pair.kind == "duplicate"):
                why = refusal(pair.first, pair.second) or "not near"
                did = "merged" if pair.merged else why
                print(f"  {part} {pair.kind} {pair.words:.2f} {pair.cosine:.2f} {did}:")
                print(f"      {pair.first} | {pair.second}")
    table(("part", "pairs", "precision", "recall", "opposites merged"), rows)
    precision, recall, opposites = measured["measure: as served"]
    bars = [
        verdict("precision", precision, 0.98),
        verdict("recall", recall, 0.90),
        verdict("opposites merged", opposites, 0, at_least=False),
    ]
    save("near_duplicates", {"encoder": bool(encoder), "figures": measured, "bars": bars})


if __name__ == "__main__":
    main()
