"""Is a candidate refused where it is worse, and only there?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.artifacts import Manifest, Version, write_artifact
from core.errors import PromotionRefused
from services.gate import Figure, headline, not_worse

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, metrics: dict[str, Any]) -> Path:
        with write_artifact(tmp_path / name) as draft:
            draft.manifest = Manifest("test", "2026-03-01", "tiny", "local", "0", metrics)
        return tmp_path / name

    return write


def intent(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    interval = None if low is None else [low, high]
    return {"intent": {"accuracy": value, "accuracy_ci": interval}}


def judge(write: Write, live: dict[str, Any], candidate: dict[str, Any]) -> None:
    not_worse(Version(1, write("live", live)), write("candidate", candidate))


def test_the_first_model_has_nothing_to_beat(write: Write) -> None:
    not_worse(None, write("candidate", {}))


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.95, 0.93, 0.97), (0.90, 0.88, 0.92), (0.87, 0.84, 0.90)]
)
def test_a_candidate_whose_interval_reaches_the_live_figure_passes(
    write: Write, value: float, low: float, high: float
) -> None:
    judge(write, intent(0.90, 0.88, 0.92), intent(value, low, high))


def test_a_candidate_whose_whole_interval_lies_below_is_refused_with_both_figures(
    write: Write,
) -> None:
    with pytest.raises(PromotionRefused) as refused:
        judge(write, intent(0.90, 0.88, 0.92), intent(0.85, 0.82, 0.88))
    said = str(refused.value)
    assert "intent accuracy is 0.850 (0.820 to 0.880), the live model has 0.900" in said
    assert "--force" in said


def test_without_an_interval_the_point_decides(write: Write) -> None:
    judge(write, intent(0.90), intent(0.90))
    with pytest.raises(PromotionRefused):
        judge(write, intent(0.90), intent(0.89))


@pytest.mark.parametrize(
    ("live", "candidate"),
    [
        (intent(0.9), {}),
        ({}, intent(0.9)),
        (intent(0.9), intent(None)),
        ({}, {}),
        ({"sentiment": {"accuracy": 0.8}}, {"topic": {"accuracy": 0.8}}),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_mend(
    write: Write, live: dict[str, Any], candidate: dict[str, Any]
) -> None:
    with pytest.raises(PromotionRefused, match="cannot be compared") as refused:
        judge(write, live, candidate)
    assert "--force" in str(refused.value)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (intent(0.9, 0.8, 0.95), Figure("intent accuracy", 0.9, 0.8, 0.95)),
        ({"sentiment": {"accuracy": 0.7}}, Figure("sentiment accuracy", 0.7, 0.7, 0.7)),
        ({"topic": {"accuracy": 0.6}}, Figure("topic accuracy", 0.6, 0.6, 0.6)),
        (
            {"topic": {"accuracy": 0.6}, "sentiment": {"accuracy": 0.7}},
            Figure("sentiment accuracy", 0.7, 0.7, 0.7),
        ),
        ({"ndcg@10": 0.1, "ndcg@10_ci": [0.08, 0.12]}, Figure("ndcg@10", 0.1, 0.08, 0.12)),
        ({"ndcg@10": 0.0}, Figure("ndcg@10", 0.0, 0.0, 0.0)),
        ({"ndcg@10": None}, None),
        ({"intent": None}, None),
        ({}, None),
    ],
)
def test_the_figure_that_decides_is_the_services_headline(
    metrics: dict[str, Any], expected: Figure | None
) -> None:
    assert headline(metrics) == expected


def ranking(cold: float, users: int) -> dict[str, Any]:
    cold_items = {"users": users, "ndcg@10": cold, "ndcg@10_ci": [cold - 0.02, cold + 0.02]}
    return {"ndcg@10": 0.3, "ndcg@10_ci": [0.25, 0.35], "slices": {"cold_items": cold_items}}


def test_a_ranking_that_got_worse_on_new_items_is_refused_where_enough_users_say_so(
    write: Write,
) -> None:
    with pytest.raises(PromotionRefused, match=r"of new items is 0\.100"):
        judge(write, ranking(0.2, 30), ranking(0.1, 30))


@pytest.mark.parametrize(("cold", "users"), [(0.19, 30), (0.1, 19), (0.3, 30)])
def test_chance_and_a_few_users_say_nothing_of_new_items(
    write: Write, cold: float, users: int
) -> None:
    judge(write, ranking(0.2, 30), ranking(cold, users))
