"""When does one of the user's own rules fire?

Rules are for those who prefer a fixed threshold to a promise on false alarms. A YAML file lists
them:

    - name: banking-sours
      topic: banking          # optional; every topic by itself where it is left out
      company: Marrowgate     # optional, in the place of a topic: a company of the list
      negative_share: 0.5     # at least this share of the stories is negative
      min_stories: 10         # and there are at least so many
      window_hours: 6         # counted over the last so many hours
      for_hours: 2            # optional; true for so many hours in a row
      keep_firing_hours: 3    # optional; goes on for so many hours after it was last true
      cool_down_hours: 12     # optional; then stays quiet for so long

Its alerts live as those of the surge detector do; see life.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.data.tables import Row, read_table
from core.errors import DataError
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.counts import HourlyCounts, IntArray
from services.finance_sentiment.domain import moment_of
from services.finance_sentiment.life import BORN, OK, News, Policy, step
from services.finance_sentiment.series import company_of, company_series

MAX_RULES = 200
_LONGEST_WINDOW = 24 * 28
_REQUIRED = ("name", "negative_share", "min_stories", "window_hours")
_OPTIONAL = ("topic", "company", "for_hours", "keep_firing_hours", "cool_down_hours")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `topic` is a series, "" stands for each topic by itself."""

    name: str
    negative_share: float
    min_stories: int
    window_hours: int
    topic: str = ""
    for_hours: int = 1
    keep_firing_hours: int = 0
    cool_down_hours: int = 0

    @property
    def policy(self) -> Policy:
        """How its alerts live."""
        return Policy(self.for_hours, self.keep_firing_hours, self.cool_down_hours)

    @property
    def detector(self) -> str:
        """What its alerts name as their detector."""
        return f"rule:{self.name}"


def read_rules(path: Path) -> list[Rule]:
    """The rules of a YAML list. DataError names the line, the key and what was expected."""
    rows = read_table(path, _REQUIRED, _OPTIONAL)
    if len(rows) > MAX_RULES:
        raise DataError(f"expected at most {MAX_RULES} rules, found {len(rows)}", path)
    rules = [_rule(path, row) for row in rows]
    names: set[str] = set()
    for row, rule in zip(rows, rules, strict=True):
        if rule.name in names:
            raise DataError(f"a rule named {rule.name!r} stands already above", path, row.line)
        names.add(rule.name)
    return rules


def _rule(path: Path, row: Row) -> Rule:
    unknown = sorted(set(row) - {*_REQUIRED, *_OPTIONAL})
    if unknown:
        raise DataError(
            f"there is no key {unknown[0]!r}",
            path,
            row.line,
            mend=f"Known are: {', '.join((*_REQUIRED, *_OPTIONAL))}.",
        )
    name, topic = row["name"], row["topic"] or ""
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():
        raise DataError("`name`: expected a text of 1 to 100 characters", path, row.line)
    company = row["company"] or ""
    if not isinstance(topic, str) or not isinstance(company, str) or (topic and company):
        raise DataError("expected a text as `topic` or as `company`, not both", path, row.line)
    if company:
        topic = company_series(company)
    return Rule(
        name=name,
        topic=topic,
        negative_share=_number(path, row, "negative_share", 0.0, 1.0),
        min_stories=int(_number(path, row, "min_stories", 1, 1_000_000)),
        window_hours=int(_number(path, row, "window_hours", 1, _LONGEST_WINDOW)),
        for_hours=int(_number(path, row, "for_hours", 1, _LONGEST_WINDOW, default=1)),
        keep_firing_hours=int(
            _number(path, row, "keep_firing_hours", 0, _LONGEST_WINDOW, default=0)
        ),
        cool_down_hours=int(_number(path, row, "cool_down_hours", 0, _LONGEST_WINDOW, default=0)),
    )


def _number(
    path: Path, row: Row, key: str, low: float, high: float, default: float | None = None
) -> float:
    value = row[key]
    if value in (None, "") and default is not None:
        return default
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise DataError(
            f"`{key}`: expected a number from {low:g} to {high:g}, found {value!r}", path, row.line
        )
    return number


def apply_rules(
    rules: Sequence[Rule],
    counts: HourlyCounts,
    news: Mapping[int, News] | None = None,
) -> list[Alert]:
    """Every alert of every rule in these hours; what came before them counts as nothing. `news`:
    the hours in which the news were not `ok`."""
    alerts = [
        alert
        for rule in rules
        for topic in counts.topics
        if rule.topic == topic or (not rule.topic and company_of(topic) is None)
        for alert in _alerts(rule, topic, counts, news or {})
    ]
    return sorted(alerts, key=lambda alert: (alert.started_at, alert.topic, alert.detector))


def _alerts(rule: Rule, topic: str, counts: HourlyCounts, news: Mapping[int, News]) -> list[Alert]:
    row = counts.topics.index(topic)
    stories = _rolling(counts.stories[row], rule.window_hours)
    negative = _rolling(counts.negative[row], rule.window_hours)
    enough = (stories >= rule.min_stories) & (negative >= rule.negative_share * stories)
    life, first_met, found = BORN, 0, []
    for at, met in enumerate(enough.tolist()):
        hour = counts.first_hour + at
        before = life.met
        life, happened = step(life, hour, met, news.get(hour, OK), rule.policy)
        if life.met == 1 and before == 0:
            first_met = at
        if happened == "fired":
            found.append(
                Alert(
                    topic=topic,
                    detector=rule.detector,
                    onset_at=moment_of(
                        counts.first_hour + max(0, first_met - rule.window_hours + 1)
                    ),
                    started_at=moment_of(hour + 1),
                    resolved_at=None,
                    evidence=_evidence(rule, int(stories[at]), int(negative[at])),
                )
            )
        elif happened == "resolved":
            found[-1] = replace(found[-1], resolved_at=moment_of(hour + 1))
    return found


def _evidence(rule: Rule, stories: int, negative: int) -> Mapping[str, Any]:
    return {
        "stories": stories,
        "negative": negative,
        "window_hours": rule.window_hours,
        "for_hours": rule.for_hours,
        "negative_share_wanted": rule.negative_share,
        "min_stories": rule.min_stories,
    }


def _rolling(values: IntArray, window: int) -> IntArray:
    """Sums over the `window` hours that end with each one."""
    summed = np.concatenate([[0], np.cumsum(values)])
    ends = np.arange(1, len(summed))
    return np.asarray(summed[ends] - summed[np.maximum(ends - window, 0)])
