"""Does a backtest walk as the worker does, and say what other promises would have meant?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.finance_sentiment import promise
from services.finance_sentiment.alerts import Terms, advance
from services.finance_sentiment.backtest import backtest, summary
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import moment_of
from services.finance_sentiment.life import Policy
from services.finance_sentiment.rules import Rule
from tests.finance_sentiment.test_alerts import history

Story = tuple[datetime, str, str, str]


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 16)


@pytest.fixture(scope="module")
def counts() -> HourlyCounts:
    return history(3, surge_at=2 * HOURS_A_WEEK)


def stories_of(counts: HourlyCounts) -> list[Story]:
    found = []
    for row, topic in enumerate(counts.topics):
        for hour in range(counts.stories.shape[1]):
            for number in range(int(counts.stories[row, hour])):
                sentiment = "negative" if number < counts.negative[row, hour] else "neutral"
                moment = moment_of(counts.first_hour + hour) + timedelta(minutes=number)
                found.append((moment, topic, sentiment, f"{topic}-{hour}-{number}"))
    return sorted(found)


def test_it_finds_what_the_walk_of_the_worker_finds(counts: HourlyCounts) -> None:
    found = backtest(stories_of(counts), false_alarms_per_week=1.0)
    walked = advance(None, counts, counts.end_hour, Terms(1.0)).alerts
    assert [(a["topic"], a["started_at"], a["detector"]) for a in found["alerts"]] == [
        (a.topic, a.started_at.isoformat(), a.detector) for a in walked
    ]
    assert found["by_topic"]["b"] >= 1
    assert found["mean_delay_hours"] > 0


def test_other_promises_are_tried_without_learning_anew(
    counts: HourlyCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    learn = promise.learn

    def counting(*args: object, **options: object) -> object:
        fits.append(1)
        return learn(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("services.finance_sentiment.alerts.learn", counting)
    found = backtest(stories_of(counts), false_alarms_per_week=2.0)
    assert list(found["other_budgets"]) == ["0.5", "1", "4", "8"]
    alerts = [other["alerts"] for other in found["other_budgets"].values()]
    assert alerts[0] <= alerts[-1]
    # Half a week, a week, two weeks: each learned once for all five walks.
    assert len(fits) <= 4
    _, budgets, *listed = summary(found)
    assert "at 0.5 a week accepted" in budgets
    assert [line.split("  ")[1] for line in listed] == [a["topic"] for a in found["alerts"]]


def test_the_life_of_an_alert_is_the_one_that_is_asked_for(counts: HourlyCounts) -> None:
    stories = stories_of(counts)
    patient = backtest(stories, false_alarms_per_week=1.0, policy=Policy(for_hours=100))
    assert patient["alerts"] == []
    rule = Rule("half", negative_share=0.5, min_stories=20, window_hours=12, keep_firing_hours=500)
    lasting = backtest(
        stories, false_alarms_per_week=1.0, rules=[rule], policy=Policy(for_hours=100)
    )
    assert lasting["by_detector"] == {"rule:half": 1}
    assert lasting["alerts"][0]["resolved_at"] is None
