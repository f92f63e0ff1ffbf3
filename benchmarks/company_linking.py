"""Does the monitor know which companies a headline names, and which words are none?

    python -m benchmarks.company_linking [--part measure]

Data: shared_data/finance_sentiment/company_mentions.csv, written for this: headlines, half of them
Chinese, with the companies of companies.yaml that each names. Half of the rows are traps: apples,
gaps and targets, tickers that are words, 高通胀 and 努力拓展. The rows with `part` choose are there
to choose the rules by; those with `measure` give the figures. A pair of headline and company counts
once. Rival: the name, an alias or the ticker anywhere in the text, whatever the case. Intervals:
95 %, bootstrap over headlines.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, save, table
from core.text import normalize
from services.finance_sentiment.companies import Company, read_companies
from services.finance_sentiment.linking import CompanyLinker

FOLDER = ROOT / "shared_data" / "finance_sentiment"
RESAMPLES = 2_000
Link = Callable[[str], set[str]]


def headlines(part: str, path: Path = FOLDER / "company_mentions.csv") -> list[dict[str, str]]:
    """The rows of a part."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["part"] == part]


def substrings(companies: Sequence[Company]) -> Link:
    """The rival."""
    forms = [
        (form.casefold(), company.name)
        for company in companies
        for form in (*company.names, company.ticker)
        if form
    ]

    def link(text: str) -> set[str]:
        small = normalize(text).casefold()
        return {name for form, name in forms if form in small}

    return link


def counts(rows: Sequence[dict[str, str]], link: Link) -> np.ndarray:
    """(headlines, 3): right, wrong and missed companies."""
    found = []
    for row in rows:
        wanted, said = set(filter(None, row["companies"].split("|"))), link(row["text"])
        found.append((len(wanted & said), len(said - wanted), len(wanted - said)))
    return np.array(found, dtype=np.float64)


def rates(totals: np.ndarray) -> tuple[float, float]:
    """(precision, recall)."""
    right, wrong, missed = totals
    return right / max(right + wrong, 1.0), right / max(right + missed, 1.0)


def measured(found: np.ndarray) -> dict[str, list[float]]:
    """Each rate with its interval."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(found), size=(RESAMPLES, len(found)))
    spread = np.array([rates(found[rows].sum(axis=0)) for rows in drawn])
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    middle = rates(found.sum(axis=0))
    return {
        name: [float(middle[at]), float(low[at]), float(high[at])]
        for at, name in enumerate(("precision", "recall"))
    }


def speed(companies: Sequence[Company], texts: Sequence[str]) -> float:
    """Microseconds a headline with a thousand companies: those of the list, and made-up ones."""
    more = [Company(f"Zq{n:04d} Works", f"ZQ{n:04d}") for n in range(1_000 - len(companies))]
    linker = CompanyLinker([*companies, *more])
    started = time.perf_counter()
    for text in list(texts) * 20:
        linker.link(text)
    return (time.perf_counter() - started) / (20 * len(texts)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="measure", choices=["choose", "measure"])
    asked = parser.parse_args()
    companies = read_companies(FOLDER / "companies.yaml")
    linker = CompanyLinker(companies)
    rows = headlines(asked.part)
    ways: dict[str, Link] = {
        "as served": lambda text: set(linker.named(text)),
        "name, alias or ticker anywhere": substrings(companies),
    }
    lines, figures = [], {}
    for way, link in ways.items():
        for language in ("", "en", "zh"):
            chosen = [row for row in rows if language in ("", row["language"])]
            said = measured(counts(chosen, link))
            figures[f"{way} {language}".strip()] = said
            shown = [f"{m:.3f} ({low:.3f}–{high:.3f})" for m, low, high in said.values()]
            lines.append((way, language or "all", len(chosen), *shown))
    for row in rows:
        said_of = linker.named(row["text"])
        if set(said_of) != set(filter(None, row["companies"].split("|"))):
            print(f"  {row['text']}: named {row['companies'] or 'none'}, found {said_of or 'none'}")
    table(("way", "language", "headlines", "precision", "recall"), lines)
    took = speed(companies, [row["text"] for row in rows])
    print(f"{took:.0f} µs a headline with 1,000 companies")
    if asked.part == "measure":
        save("company_linking", {"figures": figures, "microseconds": took})


if __name__ == "__main__":
    main()
