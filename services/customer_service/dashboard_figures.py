"""What does the dashboard show of the last days?

Pure but for the look at the counts, which is remembered for some seconds: many open pages cost the
database no more than one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from prometheus_client import Histogram

from core.evaluation.intervals import wilson_interval
from services.customer_service.dashboard_store import Counts, DashboardStore

MOST_DAYS: Final = 90
# In the order in which the page stacks them: what helped by itself first.
ACTIONS: Final = ("answer", "call", "ask_slot", "retrieve", "clarify", "abstain", "handoff")
_KEPT: Final = timedelta(seconds=3)
_CHAT: Final = {"method": "POST", "route": "/v1/chat"}


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is looked at: `starts` of its parts, moments (hours) or days of `zone`."""

    since: datetime
    starts: tuple[datetime, ...] | tuple[date, ...]
    by_hour: bool
    zone: ZoneInfo

    def start_of(self, hour: datetime) -> datetime | date:
        """The part that an hour belongs to."""
        return hour if self.by_hour else hour.astimezone(self.zone).date()


def span_of(days: int, now: datetime, zone: ZoneInfo) -> Span:
    """One day: the last 24 hours. More: today and the days before it, on the clock of `zone`."""
    if days == 1:
        last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        hours = tuple(last - timedelta(hours=back) for back in range(23, -1, -1))
        return Span(hours[0], hours, True, zone)
    today = now.astimezone(zone).date()
    dates = tuple(today - timedelta(days=back) for back in range(days - 1, -1, -1))
    return Span(datetime.combine(dates[0], time(), zone), dates, False, zone)


def figures_of(counts: Counts, span: Span) -> dict[str, Any]:
    """For the page: what was counted, in the span's parts, with shares and intervals."""
    place = {start: number for number, start in enumerate(span.starts)}
    series = {action: [0] * len(span.starts) for action in ACTIONS}
    for (hour, action), messages in counts.hours.items():
        at = place.get(span.start_of(hour))
        if at is not None and action in series:
            series[action][at] += messages
    actions = {action: sum(numbers) for action, numbers in series.items()}
    right = sum(opinion.right for opinion in counts.opinions.values())
    wrong = sum(opinion.wrong for opinion in counts.opinions.values())
    return {
        "since": span.since,
        "by_hour": span.by_hour,
        "starts": [start.isoformat() for start in span.starts],
        "series": series,
        "messages": sum(actions.values()),
        "actions": actions,
        "conversations": counts.conversations,
        "with_person": counts.with_person,
        "waiting": counts.standing.get("waiting", 0),
        "taken": counts.standing.get("taken", 0),
        "reasons": counts.reasons,
        "opinions": _share(wrong, right + wrong),
        "intents": [
            {
                "intent": name,
                "messages": messages,
                "down": counts.opinions[name].wrong if name in counts.opinions else 0,
                "up": counts.opinions[name].right if name in counts.opinions else 0,
            }
            for name, messages in counts.intents
        ],
    }


def _share(wrong: int, judged: int) -> dict[str, Any]:
    low, high = wilson_interval(wrong, judged)
    return {
        "judged": judged,
        "wrong": wrong,
        "share": wrong / judged if judged else None,
        "low": low if judged else None,
        "high": high if judged else None,
    }


def latency_of(histogram: Histogram) -> dict[str, Any]:
    """How long the answers of this process took, since its first one: quantiles (straight lines
    within a bucket) and the buckets themselves."""
    bounds: list[tuple[float, int]] = []
    since: float | None = None
    for sample in (s for metric in histogram.collect() for s in metric.samples):
        if any(sample.labels.get(name) != value for name, value in _CHAT.items()):
            continue
        if sample.name.endswith("_bucket"):
            bounds.append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_created"):
            since = sample.value
    answers = bounds[-1][1] if bounds else 0
    return {
        "since": None if since is None else datetime.fromtimestamp(since, UTC),
        "answers": answers,
        "p50": _quantile(bounds, 0.5),
        "p95": _quantile(bounds, 0.95),
        "buckets": _buckets(bounds),
    }


def _quantile(bounds: Iterable[tuple[float, int]], level: float) -> float | None:
    """Seconds; the last finite bound where it lies beyond all of them."""
    points = list(bounds)
    wanted = level * points[-1][1] if points else 0.0
    low, below = 0.0, 0
    for bound, up_to in points:
        if wanted > 0 and up_to >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / (up_to - below)
        low, below = bound, up_to
    return None


def _buckets(bounds: Iterable[tuple[float, int]]) -> list[dict[str, Any]]:
    found, below = [], 0
    for bound, up_to in bounds:
        seconds = None if bound == float("inf") else bound
        found.append({"up_to": seconds, "answers": up_to - below})
        below = up_to
    return found


class Figures:
    """The figures of the last `days` days, counted anew at most every few seconds."""

    def __init__(
        self,
        store: DashboardStore,
        histogram: Histogram,
        zone: ZoneInfo,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._histogram, self._zone, self._now = store, histogram, zone, now
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[datetime, dict[str, Any]]] = OrderedDict()

    def read(self, days: int) -> Mapping[str, Any]:
        """As `figures_of`, with `latency` and `days`."""
        with self._lock:
            now = self._now()
            at, known = self._known.get(days, (None, {}))
            if at is None or not timedelta() <= now - at < _KEPT:
                span = span_of(days, now, self._zone)
                known = figures_of(self._store.counts(span.since), span)
                self._known[days] = (now, known)
        return {**known, "days": days, "latency": latency_of(self._histogram)}
