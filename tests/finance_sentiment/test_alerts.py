"""Does walking through time find what happened, whatever the steps it is walked in?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.finance_sentiment import promise
from services.finance_sentiment.alerts import Alert, Baseline, Terms, advance
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.life import DEGRADED, NO_DATA, Policy

FIRST = 480_000


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    # How well the promise is kept is not asked here: test_promise does.
    monkeypatch.setattr(promise, "MAX_PATHS", 16)


def history(weeks: int = 4, *, surge_at: int | None = None, volume: float = 4.0) -> HourlyCounts:
    rng = np.random.default_rng(0)
    stories = rng.poisson(volume, size=(3, weeks * HOURS_A_WEEK)).astype(np.int64)
    share = np.full(stories.shape, 0.2)
    if surge_at is not None:
        share[1, surge_at : surge_at + 24] = 0.8
    return HourlyCounts(FIRST, ("a", "b", "c"), stories, rng.binomial(stories, share))


ONE_A_WEEK = Terms(1.0)


def walk(counts: HourlyCounts, terms: Terms = ONE_A_WEEK) -> tuple[Alert, ...]:
    return advance(None, counts, counts.end_hour, terms).alerts


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
    assert advance(None, short, short.end_hour, ONE_A_WEEK).baseline is None
    quiet = history(volume=0.01)
    assert advance(None, quiet, FIRST + 100, ONE_A_WEEK).baseline is None


def test_an_empty_history_is_no_obstacle() -> None:
    empty = HourlyCounts.from_rows([])
    assert advance(None, empty, 1000, ONE_A_WEEK).alerts == ()


def test_a_worker_that_walks_hour_by_hour_finds_what_a_backtest_finds() -> None:
    counts = history(surge_at=3 * HOURS_A_WEEK)
    whole = {(a.topic, a.started_at): a for a in walk(counts)}
    known: Baseline | None = None
    seen: dict[tuple[str, object], Alert] = {}
    for until in range(FIRST, counts.end_hour + 1, 12):
        walked = advance(known, counts, until, ONE_A_WEEK)
        known = walked.baseline
        if known is not None:
            # As the database would hand it back.
            known = Baseline.from_json(json.loads(json.dumps(known.to_json())))
        seen.update({(a.topic, a.started_at): a for a in walked.alerts})
    assert seen == whole


def test_a_new_baseline_waits_for_late_stories() -> None:
    counts = history()
    hasty = advance(None, counts, counts.end_hour, Terms(1.0))
    patient = advance(None, counts, counts.end_hour, Terms(1.0, settle_hours=24 * 7))
    assert hasty.baseline is not None and patient.baseline is not None
    assert patient.baseline.from_hour < hasty.baseline.from_hour


def of_b(alerts: tuple[Alert, ...], at: int) -> list[Alert]:
    """Those of the topic that surges, from the surge on."""
    return [a for a in alerts if a.topic == "b" and hour_of(a.started_at) > FIRST + at]


def test_a_topic_has_one_alert_whichever_detectors_rise() -> None:
    at = 3 * HOURS_A_WEEK
    [alert] = of_b(walk(history(surge_at=at)), at)[:1]
    overlapping = [
        a
        for a in of_b(walk(history(surge_at=at)), at)
        if alert.resolved_at and a.started_at < alert.resolved_at and a != alert
    ]
    assert overlapping == []


def test_the_detectors_live_by_the_policy() -> None:
    at = 3 * HOURS_A_WEEK
    counts = history(surge_at=at)
    [hasty], [patient] = (
        of_b(walk(counts, Terms(1.0, policy=policy)), at)[:1]
        for policy in (Policy(), Policy(for_hours=3, keep_firing_hours=10))
    )
    assert hour_of(patient.started_at) >= hour_of(hasty.started_at) + 2
    assert patient.resolved_at is not None and hasty.resolved_at is not None
    assert patient.resolved_at > hasty.resolved_at


def test_feeds_that_die_during_a_surge_end_no_alert() -> None:
    at = 3 * HOURS_A_WEEK
    counts = history(surge_at=at)
    counts.stories[:, at + 12 :] = counts.negative[:, at + 12 :] = 0
    [alert] = of_b(walk(counts), at)
    assert alert.resolved_at is None
    assert alert.evidence["news"] == NO_DATA


def test_while_feeds_are_missing_nothing_counts_as_calm() -> None:
    at = 3 * HOURS_A_WEEK
    counts = history(surge_at=at)
    missing = dict.fromkeys(range(FIRST + at + 20, counts.end_hour), DEGRADED)
    [alert] = of_b(walk(counts, Terms(1.0, news=missing)), at)
    assert alert.resolved_at is None
    assert alert.evidence["news"] == DEGRADED


def test_more_accepted_false_alarms_find_at_least_as_much() -> None:
    counts = history(surge_at=3 * HOURS_A_WEEK)
    terms = Terms(1.0)
    few, more = (
        len(walk(counts, Terms(1.0, times=times, learned=terms.learned))) for times in ("0.25", "4")
    )
    assert few <= more
    assert len(terms.learned) > 0
