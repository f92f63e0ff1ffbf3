"""Which alerts would a stretch of past news have raised?

The hours are walked through as they were lived, by the same `advance` that the worker calls: what
is normal at any hour was learned from the hours before it, and alerts live as the worker's do. Then
the same walk is made as if other numbers of false alarms had been accepted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.data.readers import read_stories
from core.data.tables import iterate_table
from core.errors import DataError
from services.finance_sentiment.alert_store import MAX_STORY_IDS
from services.finance_sentiment.alerts import (
    LEARNING_HOURS,
    LEARNING_STORIES,
    Advance,
    Alert,
    Terms,
    advance,
)
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.history import published, read_history
from services.finance_sentiment.life import AT_ONCE, Policy
from services.finance_sentiment.promise import OTHER_BUDGETS
from services.finance_sentiment.rules import Rule, apply_rules

# Alerts that a terminal lists.
MOST_SHOWN = 20


def read_labelled(path: Path) -> list[tuple[datetime, str, str, str]]:
    """(published_at, topic, sentiment, story id) of a labelled file, oldest first. A file dated by
    `offset_minutes` is read as if it had ended on a fixed day."""
    first = next(iter(iterate_table(path, ["topic", "sentiment"])))
    if "published_at" not in first and "offset_minutes" in first:
        past = read_history(path, anchor=datetime(2026, 1, 1, 17, tzinfo=UTC))
        found = []
        for story in past:
            if not story.sentiment or not story.topic:
                raise DataError("expected a topic and a sentiment", path, story.line)
            name = story.story_id or str(story.line)
            found.append((story.published_at, story.topic, story.sentiment, name))
        return sorted(found)
    return sorted(
        (published(path, s.published_at, s.line), s.topic, s.sentiment, s.story_id or str(s.line))
        for s in read_stories(path)
    )


def backtest(
    stories: Sequence[tuple[datetime, str, str, str]],
    *,
    false_alarms_per_week: float,
    rules: Sequence[Rule] = (),
    policy: Policy = AT_ONCE,
    seed: int = 0,
) -> dict[str, Any]:
    """The contract's keys, and what the promise came to. `stories` oldest first, at least one;
    `policy` is of the detectors, rules have their own."""
    counts = HourlyCounts.from_rows(
        (topic, hour_of(moment), 1, int(sentiment == "negative"))
        for moment, topic, sentiment, _ in stories
    )
    terms = Terms(false_alarms_per_week, seed=seed, policy=policy)
    walked = advance(None, counts, counts.end_hour, terms)
    alerts = sorted(
        [*walked.alerts, *apply_rules(rules, counts)],
        key=lambda alert: (alert.started_at, alert.topic, alert.detector),
    )
    negative = _negative_by_topic(stories)
    hours = counts.end_hour - counts.first_hour
    return {
        "alerts": [_as_json(alert, negative[alert.topic]) for alert in alerts],
        "promised_false_alarms_per_week": false_alarms_per_week,
        "stories": len(stories),
        "weeks": hours / HOURS_A_WEEK,
        "alerts_per_week": len(alerts) * HOURS_A_WEEK / hours,
        "threshold": None if walked.baseline is None else walked.baseline.threshold,
        "promise": None if walked.baseline is None else walked.baseline.promise.to_json(),
        "watched_weeks": _watched_hours(walked, counts, terms) / HOURS_A_WEEK,
        "mean_delay_hours": _mean_delay(walked.alerts),
        "by_topic": dict(Counter(alert.topic for alert in alerts)),
        "by_detector": dict(Counter(alert.detector for alert in alerts)),
        "other_budgets": _other_budgets(counts, terms) if walked.baseline else {},
        "remark": _remark(walked.baseline is None),
    }


def _watched_hours(walked: Advance, counts: HourlyCounts, terms: Terms) -> int:
    """Hours after the first fit; before it nothing is promised and nothing fires."""
    return counts.end_hour - min(terms.learned) if walked.baseline is not None else 0


def _mean_delay(alerts: Sequence[Alert]) -> float | None:
    """Hours from where the evidence began to gather to the alert."""
    delays = [(alert.started_at - alert.onset_at) / timedelta(hours=1) for alert in alerts]
    return sum(delays) / len(delays) if delays else None


def _other_budgets(counts: HourlyCounts, terms: Terms) -> dict[str, dict[str, Any]]:
    """What the detectors would have done at multiples of the accepted false alarms."""
    found = {}
    for times in OTHER_BUDGETS:
        other = replace(terms, times=f"{times:g}")
        alerts = advance(None, counts, counts.end_hour, other).alerts
        hours = max(1, counts.end_hour - min(terms.learned))
        found[f"{terms.false_alarms_per_week * times:g}"] = {
            "alerts": len(alerts),
            "alerts_per_week": len(alerts) * HOURS_A_WEEK / hours,
            "mean_delay_hours": _mean_delay(alerts),
        }
    return found


def summary(result: Mapping[str, Any]) -> list[str]:
    """What `backtest` gave, for a terminal: the figures, and when which alert was raised."""
    promised = result["promised_false_alarms_per_week"]
    line = (
        f"{len(result['alerts'])} alerts in {result['weeks']:.1f} weeks of {result['stories']} "
        f"stories (promised false alarms a week: {promised:g})"
    )
    others = [
        f"at {budget} a week accepted: {found['alerts']} alerts"
        for budget, found in result["other_budgets"].items()
    ]
    alerts = result["alerts"]
    shown = [
        f"{alert['started_at'][:16].replace('T', ' ')}  {alert['topic']}  {alert['detector']}"
        for alert in alerts[:MOST_SHOWN]
    ]
    if len(alerts) > MOST_SHOWN:
        shown.append(f"and {len(alerts) - MOST_SHOWN} more; --json FILE keeps all")
    lines = [line, *([", ".join(others)] if others else []), *shown]
    return [*lines, *([result["remark"]] if result["remark"] else [])]


def _remark(learning: bool) -> str | None:
    if not learning:
        return None
    return (
        f"the surge detector needs {LEARNING_HOURS} hours and {LEARNING_STORIES} stories to learn "
        "what is normal; there were fewer, so it promises nothing and raised no alert"
    )


def _negative_by_topic(
    stories: Sequence[tuple[datetime, str, str, str]],
) -> dict[str, list[tuple[datetime, str]]]:
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for moment, topic, sentiment, name in stories:
        if sentiment == "negative":
            found[topic].append((moment, name))
    return found


def _as_json(alert: Alert, negative: Sequence[tuple[datetime, str]]) -> dict[str, Any]:
    first = bisect_left(negative, (alert.onset_at, ""))
    last = len(negative)
    if alert.resolved_at is not None:
        last = bisect_left(negative, (alert.resolved_at, ""))
    return {
        "topic": alert.topic,
        "started_at": alert.started_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "detector": alert.detector,
        "evidence": dict(alert.evidence),
        "story_ids": [name for _, name in negative[first:last][:MAX_STORY_IDS]],
    }
