"""Do our ranking metrics say what LensKit says of the same lists?

Its answers are in lenskit_figures.json, made by record_lenskit.py. It defines three things
otherwise, and they are told apart here:

    recall      it divides by min(relevant, k), we by all that is relevant
    precision   it divides by the length of a list that is shorter than k, we by k
    nothing to divide by: of an empty list it says no precision (ours is 0), and without anything
                relevant it says 0 for precision; ours of such a user is undefined throughout
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.evaluation.ranking import mrr, ndcg_at_k, precision_at_k, rank_metrics, recall_at_k

RECORD: dict[str, Any] = json.loads(
    Path(__file__).with_name("lenskit_figures.json").read_text(encoding="utf-8")
)
CASES: list[dict[str, Any]] = RECORD["cases"]
CUTS = tuple(int(k) for k in CASES[0]["figures"])
ANSWERED = [case for case in CASES if case["relevant"]]


def exactly(value: float) -> Any:
    return pytest.approx(value, rel=0, abs=1e-9)


def test_the_record_covers_the_corners() -> None:
    lengths = [len(case["ranked"]) for case in CASES]
    assert 0 in lengths and max(lengths) > max(CUTS) > min(n for n in lengths if n)
    assert len(CASES) > len(ANSWERED)
    assert any(len(case["relevant"]) > max(CUTS) for case in CASES)


@pytest.mark.parametrize("k", CUTS)
def test_one_list_at_a_time(k: int) -> None:
    for case in ANSWERED:
        ranked, relevant, theirs = case["ranked"], case["relevant"], case["figures"][str(k)]
        assert ndcg_at_k(ranked, relevant, k) == exactly(theirs["ndcg"])
        assert mrr(ranked, relevant, k) == exactly(theirs["mrr"])
        recall = recall_at_k(ranked, relevant, k)
        assert float(recall > 0) == theirs["hit"]
        assert recall * len(relevant) / min(k, len(relevant)) == exactly(theirs["recall"])
        precision = precision_at_k(ranked, relevant, k)
        if ranked:
            assert precision * k / min(k, len(ranked)) == exactly(theirs["precision"])
        else:
            assert precision == 0.0
            assert theirs["precision"] is None


def test_nothing_relevant_is_undefined() -> None:
    for case in CASES:
        if not case["relevant"]:
            ours = [
                f(case["ranked"], [], 10) for f in (ndcg_at_k, recall_at_k, precision_at_k, mrr)
            ]
            assert all(math.isnan(value) for value in ours)
            assert case["figures"]["10"]["ndcg"] is case["figures"]["10"]["mrr"] is None


@pytest.mark.parametrize("given", ["ranked", "scores"])
def test_all_users_at_once(given: str) -> None:
    longest = max(len(case["ranked"]) for case in CASES)
    lists = np.full((len(ANSWERED), longest), -1)
    scores = np.full((len(ANSWERED), RECORD["catalogue"]), -np.inf)
    for user, case in enumerate(ANSWERED):
        ranked = case["ranked"]
        lists[user, : len(ranked)] = ranked
        scores[user, ranked] = -np.arange(len(ranked), dtype=np.float64)
    found = rank_metrics(
        [case["relevant"] for case in ANSWERED],
        **{given: lists if given == "ranked" else scores},
        ndcg_at=CUTS,
        recall_at=CUTS,
    )
    for user, case in enumerate(ANSWERED):
        wanted = len(case["relevant"])
        for k in CUTS:
            theirs = case["figures"][str(k)]
            assert found[f"ndcg@{k}"][user] == exactly(theirs["ndcg"])
            recall = found[f"recall@{k}"][user] * wanted / min(k, wanted)
            assert recall == exactly(theirs["recall"])
        # The first hit of the whole list; LensKit was asked within its first 20.
        if theirs["mrr"]:
            assert found["mrr"][user] == exactly(theirs["mrr"])
