"""Which figures of the monitor does Prometheus read at /metrics?

All but one come from the database, so every web process shows the same, the workers' as well. They
are read beside the server every few seconds; a scrape shows what was read last, and when.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, sessionmaker

from core.db import outbox as messages
from core.web.metrics import reread
from services.finance_sentiment.alert_store import latest_baseline, realised
from services.finance_sentiment.domain import LABELLED, PENDING, UNLABELLED, hour_of
from services.finance_sentiment.life import DEGRADED, NO_DATA, OK
from services.finance_sentiment.tables import alerts, hosts, outbox, sources, stories, watch_hours
from services.finance_sentiment.tick_log import all_ticks

EVERY_SECONDS = 15.0
# Topics with an alert of their own line; the others share one.
MOST_TOPICS = 50
OTHERS = "(others)"

FEED_STATES = ("fine", "failing", "resting", "new", "off")


@dataclass(frozen=True, slots=True)
class TickFigures:
    """One tick of the workers; moments in seconds since 1970, None where there was none."""

    succeeded: float | None
    seconds: float | None
    failed: float | None
    failures: int


@dataclass(frozen=True)
class Figures:
    """What was read, at `read_at` (seconds since 1970)."""

    read_at: float
    stories: Mapping[str, int]
    oldest_waiting_seconds: float
    feeds: Mapping[str, int]
    last_fetch: float | None
    open_alerts: Mapping[str, int]
    news: str
    promised_per_week: float | None
    realised_per_week: float | None
    messages: Mapping[str, int]
    oldest_message_seconds: float
    ticks: Mapping[str, TickFigures] = field(default_factory=dict)


def read_figures(session: Session, now: datetime) -> Figures:
    """One look at the database."""
    counted = select(stories.c.state, func.count()).group_by(stories.c.state)
    states = dict.fromkeys((PENDING, LABELLED, UNLABELLED), 0)
    found = {row[0]: int(row[1]) for row in session.execute(counted)}
    # An edited story waits since its edit.
    since = func.min(func.coalesce(stories.c.edited_at, stories.c.fetched_at))
    waits = session.execute(select(since).where(stories.c.state == PENDING)).scalar_one()
    # One that fails now answered at least when it last had something new.
    fine = sources.c.error_count == 0
    answered = func.max(case((fine, sources.c.checked_at), else_=sources.c.changed_at))
    fetched = session.execute(select(answered)).scalar_one()
    kept = select(watch_hours.c.news).where(watch_hours.c.hour == hour_of(now))
    baseline = latest_baseline(session)
    return Figures(
        read_at=now.timestamp(),
        stories=states | found,
        oldest_waiting_seconds=max(0.0, (now - waits).total_seconds()) if waits else 0.0,
        feeds=feeds_by_state(session, now),
        last_fetch=_moment(fetched),
        open_alerts=_open_alerts(session),
        news=session.execute(kept).scalar_one_or_none() or OK,
        promised_per_week=baseline.false_alarms_per_week if baseline else None,
        realised_per_week=realised(session, now)["alerts_per_week"],
        messages=_messages(session),
        oldest_message_seconds=_oldest_message(session, now),
        ticks={
            row.name: TickFigures(
                _moment(row.succeeded_at), row.seconds, _moment(row.failed_at), row.failures
            )
            for row in all_ticks(session)
        },
    )


def _moment(value: datetime | None) -> float | None:
    return None if value is None else value.timestamp()


def feeds_by_state(session: Session, now: datetime) -> dict[str, int]:
    """How many feeds there are of each state; one that fails on a host that rests, rests."""
    state = case(
        (sources.c.enabled.is_(False), "off"),
        (hosts.c.rests_until > now, "resting"),
        (sources.c.error_count > 0, "failing"),
        (sources.c.checked_at.is_(None), "new"),
        else_="fine",
    )
    query = (
        select(state, func.count())
        .select_from(sources.outerjoin(hosts, hosts.c.host == sources.c.host))
        .group_by(state)
    )
    found = {row[0]: int(row[1]) for row in session.execute(query)}
    return dict.fromkeys(FEED_STATES, 0) | found


def _open_alerts(session: Session) -> dict[str, int]:
    """Open alerts by topic, drills apart; the topics with the most have their own line."""
    many = func.count()
    query = (
        select(alerts.c.topic, many)
        .where(alerts.c.resolved_at.is_(None), alerts.c.is_test.is_(False))
        .group_by(alerts.c.topic)
        .order_by(many.desc(), alerts.c.topic)
    )
    rows = [(row[0], int(row[1])) for row in session.execute(query)]
    shown = dict(rows[:MOST_TOPICS])
    if len(rows) > MOST_TOPICS:
        shown[OTHERS] = sum(count for _, count in rows[MOST_TOPICS:])
    return shown


def _messages(session: Session) -> dict[str, int]:
    query = select(outbox.c.state, func.count()).group_by(outbox.c.state)
    found = {row[0]: int(row[1]) for row in session.execute(query)}
    return dict.fromkeys((messages.PENDING, messages.SENT, messages.DEAD), 0) | found


def _oldest_message(session: Session, now: datetime) -> float:
    waiting = outbox.c.state == messages.PENDING
    since = session.execute(select(func.min(outbox.c.created_at)).where(waiting)).scalar_one()
    return max(0.0, (now - since).total_seconds()) if since else 0.0


class MonitorFigures(Collector):
    """Reads again every few seconds, and shows what it read last."""

    def __init__(
        self,
        read: sessionmaker[Session],
        now: Callable[[], datetime],
        open_streams: Callable[[], int],
        registry: CollectorRegistry,
        corrections: Callable[[Session], Mapping[str, int]] = lambda _: {},
    ) -> None:
        self._corrections = corrections
        self._corrected: Mapping[str, int] = {}
        self._read = read
        self._now = now
        self._open_streams = open_streams
        self._last: Figures | None = None
        registry.register(self)

    def refresh(self) -> None:
        """Read anew; blocks."""
        with self._read() as session:
            self._last = read_figures(session, self._now())
            self._corrected = self._corrections(session)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads for as long as the server runs."""
        async with reread(self.refresh, EVERY_SECONDS):
            yield

    def collect(self) -> Iterator[Metric]:
        """The figures in the form of Prometheus."""
        yield _gauge(
            "event_streams",
            "Open streams of events of this process.",
            _one(float(self._open_streams())),
        )
        if self._last is not None:
            yield from families(self._last)
        told = "Corrected labels by state; those that wait for a training are accepted ones."
        yield _gauge("corrections", told, _floats(self._corrected), "state")


Samples = Iterable[tuple[str, float]]


def families(figures: Figures) -> Iterator[Metric]:
    """The figures by name, as docs/EVENTS.md lists them."""
    yield _gauge(
        "figures_timestamp_seconds",
        "When the figures of the monitor were read.",
        _one(figures.read_at),
    )
    yield _gauge("stories", "Stories by state.", _floats(figures.stories), "state")
    yield _gauge(
        "oldest_waiting_seconds",
        "How long the oldest story waits for its label.",
        _one(figures.oldest_waiting_seconds),
    )
    yield _gauge("feeds", "Feeds by state.", _floats(figures.feeds), "state")
    yield _gauge(
        "last_fetch_timestamp_seconds", "When a feed last answered.", _one(figures.last_fetch)
    )
    yield _gauge("open_alerts", "Open alerts by topic.", _floats(figures.open_alerts), "topic")
    now = {state: float(state == figures.news) for state in (OK, DEGRADED, NO_DATA)}
    yield _gauge("state", "1 for the state that the news are in.", now.items(), "state")
    yield _gauge(
        "promised_false_alarms_per_week",
        "False alarms that are promised.",
        _one(figures.promised_per_week),
    )
    yield _gauge(
        "realised_alerts_per_week",
        "Alerts of the detectors since the watch began.",
        _one(figures.realised_per_week),
    )
    yield _gauge("messages", "Messages to channels by state.", _floats(figures.messages), "state")
    yield _gauge(
        "oldest_message_seconds",
        "How long the oldest message has been waiting to leave.",
        _one(figures.oldest_message_seconds),
    )
    yield from _tick_families(figures.ticks)


def _tick_families(ticks: Mapping[str, TickFigures]) -> Iterator[Metric]:
    for name, told, values in (
        ("success_timestamp_seconds", "When it last succeeded.",
         {name: one.succeeded for name, one in ticks.items()}),
        ("seconds", "How long the last success that was kept took.",
         {name: one.seconds for name, one in ticks.items()}),
        ("failure_timestamp_seconds", "When it last failed.",
         {name: one.failed for name, one in ticks.items()}),
    ):  # fmt: skip
        known = [(tick, value) for tick, value in values.items() if value is not None]
        yield _gauge(f"worker_tick_{name}", f"Of the workers' ticks: {told}", known, "tick")
    failures = CounterMetricFamily(
        "trefoil_news_worker_tick_failures",
        "Failures of the workers' ticks so far.",
        labels=["tick"],
    )
    for tick, one in ticks.items():
        failures.add_metric([tick], one.failures)
    yield failures


def _gauge(name: str, told: str, samples: Samples, label: str = "") -> Metric:
    family = GaugeMetricFamily(f"trefoil_news_{name}", told, labels=[label] if label else [])
    for of, value in samples:
        family.add_metric([of] if label else [], value)
    return family


def _one(value: float | None) -> Samples:
    return [] if value is None else [("", value)]


def _floats(counts: Mapping[str, int]) -> Samples:
    return [(name, float(count)) for name, count in counts.items()]
