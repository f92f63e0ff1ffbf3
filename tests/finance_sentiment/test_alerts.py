"""Does walking through time find what happened, whatever the steps it is walked in?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.finance_sentiment import baseline
from services.finance_sentiment.alerts import Alert, Baseline, advance
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of

FIRST = 480_000


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    # How well the promise is kept is not asked here: test_baseline does.
    monkeypatch.setattr(baseline, "MAX_PATHS", 16)


def history(weeks: int = 4, *, surge_at: int | None = None, volume: float = 4.0) -> HourlyCounts:
    rng = np.random.default_rng(0)
    stories = rng.poisson(volume, size=(3, weeks * HOURS_A_WEEK)).astype(np.int64)
    share = np.full(stories.shape, 0.2)
    if surge_at is not None:
        share[1, surge_at : surge_at + 24] = 0.8
    return HourlyCounts(FIRST, ("a", "b", "c"), stories, rng.binomial(stories, share))


def walk(counts: HourlyCounts, **options: object) -> tuple[Alert, ...]:
    return advance(
        None,
        counts,
        counts.end_hour,
        false_alarms_per_week=1.0,
        **options,  # type: ignore[arg-type]
    ).alerts


def test_a_surge_is_found_soon_and_says_why() -> None:
    at = 3 * HOURS_A_WEEK
    found = [alert for alert in walk(history(surge_at=at)) if alert.topic == "b"]
    alert = next(a for a in found if 0 <= hour_of(a.started_at) - FIRST - at <= 8)
    assert alert.resolved_at is not None
    evidence = alert.evidence
    assert evidence["statistic"] >= evidence["threshold"]
    assert evidence["negative"] / evidence["stories"] > 2 * evidence["baseline_share"]
    assert evidence["negative_at_start"] <= evidence["negative"]


def test_an_alert_keeps_the_threshold_it_reached_when_normal_is_fitted_again() -> None:
    # It begins hours before the second fit and is still open then.
    counts = history(surge_at=140)
    [alert] = [a for a in walk(counts) if a.topic == "b" and a.evidence["statistic"]][:1]
    assert all(a.evidence["statistic"] >= a.evidence["threshold"] for a in walk(counts))
    assert alert.evidence["negative"] > alert.evidence["negative_at_start"]


def test_nothing_is_promised_before_there_is_something_to_learn_from() -> None:
    short = history().between(FIRST, FIRST + 71)
    assert advance(None, short, short.end_hour, false_alarms_per_week=1.0).baseline is None
    quiet = history(volume=0.01)
    assert advance(None, quiet, FIRST + 100, false_alarms_per_week=1.0).baseline is None


def test_an_empty_history_is_no_obstacle() -> None:
    empty = HourlyCounts.from_rows([])
    assert advance(None, empty, 1000, false_alarms_per_week=1.0).alerts == ()


def test_a_worker_that_walks_hour_by_hour_finds_what_a_backtest_finds() -> None:
    counts = history(surge_at=3 * HOURS_A_WEEK)
    whole = {(a.topic, a.started_at): a for a in walk(counts)}
    known: Baseline | None = None
    seen: dict[tuple[str, object], Alert] = {}
    for until in range(FIRST, counts.end_hour + 1, 12):
        walked = advance(known, counts, until, false_alarms_per_week=1.0)
        known = walked.baseline
        if known is not None:
            # As the database would hand it back.
            known = Baseline.from_json(json.loads(json.dumps(known.to_json())))
        seen.update({(a.topic, a.started_at): a for a in walked.alerts})
    assert seen == whole


def test_a_new_baseline_waits_for_late_stories() -> None:
    counts = history()
    hasty = advance(None, counts, counts.end_hour, false_alarms_per_week=1.0)
    patient = advance(None, counts, counts.end_hour, false_alarms_per_week=1.0, settle_hours=24 * 7)
    assert hasty.baseline is not None and patient.baseline is not None
    assert patient.baseline.from_hour < hasty.baseline.from_hour
