"""Are the headlines for companies what their README says?"""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "shared_data" / "finance_sentiment"
SENTIMENTS = {"positive", "neutral", "negative"}


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def companies() -> dict[str, str]:
    """Name → exchange."""
    listed = yaml.safe_load((FOLDER / "companies.yaml").read_text(encoding="utf-8"))
    return {one["name"]: one["exchange"] for one in listed}


@pytest.mark.parametrize(
    ("name", "number"), [("company_mentions.csv", 158), ("company_sentiment.csv", 120)]
)
def test_half_is_chinese_half_is_for_measuring_and_no_headline_comes_twice(
    name: str, number: int
) -> None:
    found = rows(name)
    assert len(found) == len({row["text"] for row in found}) == number
    assert Counter(row["part"] for row in found) == {"choose": number / 2, "measure": number / 2}
    assert 0.45 < sum(row["language"] == "zh" for row in found) / number < 0.55
    assert f"| {number} rows |" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_company_is_one_of_the_list() -> None:
    named = {c for row in rows("company_mentions.csv") for c in row["companies"].split("|") if c}
    assert named <= set(companies())


def test_sentiments_are_towards_invented_companies_only() -> None:
    for row in rows("company_sentiment.csv"):
        pairs = [pair.rpartition("=") for pair in row["companies"].split("|")]
        assert len(pairs) in (2, 3)
        assert {companies()[company] for company, _, _ in pairs} == {"DEMO"}
        assert {said for _, _, said in pairs} <= SENTIMENTS
