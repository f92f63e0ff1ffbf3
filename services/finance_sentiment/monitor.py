"""How does one pass of the monitor go, from feeds to alerts?

    fetch_due      every feed whose time has come: asked, read, its new stories kept
    label_pending  stories that wait for a label: read by the model, labelled
    evaluate       the hours that are over: counted, watched, alerts raised or resolved

Each is safe to run in two workers at once and after a kill at any point: a feed is claimed before
it is asked, labelling and evaluating hold a lease, and every step is committed by itself.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy.orm import Session, sessionmaker

from core.db import leases
from services.finance_sentiment.alert_store import latest_baseline, save_alerts, save_baseline
from services.finance_sentiment.alerts import advance
from services.finance_sentiment.baseline import HISTORY_HOURS
from services.finance_sentiment.domain import Label, hour_of, moment_of
from services.finance_sentiment.feeds import Client, Source, fetch_feed
from services.finance_sentiment.rules import Rule, apply_rules
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.sources import claim, due_sources, record
from services.finance_sentiment.store import (
    Incoming,
    add_stories,
    hourly_counts,
    pending_texts,
    waiting_before,
    write_labels,
)
from services.finance_sentiment.tables import leases as leases_table

logger = logging.getLogger("trefoil.finance_sentiment")

# A story that comes in this late still counts in the hour of its date.
SETTLE_HOURS = 24
# Longer than one batch or one evaluation takes; a worker that dies is replaced after this time.
LEASE = timedelta(minutes=1)
_LEASES = ("label", "evaluate")
# Feeds looked for in one pass; the rest are found by the next.
_FEEDS_A_PASS = 500

Clock = Callable[[], datetime]
LabelTexts = Callable[[Sequence[str]], list[Label]]


@dataclass(frozen=True)
class Monitor:
    """What a pass needs. `owner` tells this worker from others; `rng` spreads the checks."""

    sessions: sessionmaker[Session]
    settings: Settings
    client: Client
    now: Clock
    owner: str
    rng: random.Random
    rules: Sequence[Rule] = ()

    def fetch_due(self, stop: Event) -> int:
        """Ask every feed that is due; how many new stories came in. A broken feed keeps its error
        and is asked again later; it never holds up another."""
        with self.sessions() as session:
            due = due_sources(session, self.now(), _FEEDS_A_PASS)
        if not due:
            return 0
        with ThreadPoolExecutor(self.settings.fetch_concurrency, "feed") as pool:
            return sum(pool.map(lambda source: self._check(source, stop), due))

    def label_pending(self, label: LabelTexts, stop: Event) -> int:
        """Label what waits, batch by batch; how many stories were."""
        done = 0
        while not stop.is_set() and self._hold("label"):
            with self.sessions() as session:
                waiting = pending_texts(session, self.settings.label_batch)
            if not waiting:
                break
            # The model runs outside of any transaction.
            labels = label([text for _, text in waiting])
            ids = [story_id for story_id, _ in waiting]
            with self.sessions.begin() as session:
                write_labels(session, zip(ids, labels, strict=True), self.now())
            done += len(waiting)
        return done

    def evaluate(self) -> int:
        """Bring the alerts up to the last hour that is over; how many are new. Nothing is done
        while more than a batch of earlier stories waits for its label."""
        if not self._hold("evaluate"):
            return 0
        now = self.now()
        until = hour_of(now)
        with self.sessions() as session:
            if waiting_before(session, until) > self.settings.label_batch:
                # Half-read hours would look calm, and would be learned as normal.
                return 0
            baseline = latest_baseline(session)
            if baseline and baseline.false_alarms_per_week != self.settings.false_alarms_per_week:
                # Another promise: everything is walked through again under it.
                baseline = None
            reach = until if baseline is None else baseline.from_hour
            # Everything there is for a first look back, else what the next fit could need.
            first = 0 if baseline is None else reach - HISTORY_HOURS
            counts = hourly_counts(session, first, until)
        walked = advance(
            baseline,
            counts,
            until,
            false_alarms_per_week=self.settings.false_alarms_per_week,
            settle_hours=SETTLE_HOURS,
        )
        found = [*walked.alerts, *apply_rules(self.rules, counts)]
        with self.sessions.begin() as session:
            if walked.baseline is not None and walked.baseline != baseline:
                save_baseline(session, walked.baseline, now)
            since = moment_of(counts.first_hour if baseline is None else baseline.from_hour)
            return save_alerts(session, found, known_since=since, now=now)

    def release(self) -> None:
        """Give back what is held, at the end of the work, so that nobody has to wait for it."""
        with self.sessions.begin() as session:
            for name in _LEASES:
                leases.release(session, leases_table, name, self.owner)

    def _hold(self, name: str) -> bool:
        with self.sessions.begin() as session:
            return leases.acquire(
                session, leases_table, name, self.owner, now=self.now(), ttl=LEASE
            )

    def _check(self, source: Source, stop: Event) -> int:
        """One feed, top to bottom. Its stories and its new state are one transaction."""
        if stop.is_set():
            return 0
        with self.sessions.begin() as session:
            if not claim(session, source, self.now()):
                return 0
        fetched = fetch_feed(
            self.client, source, now=self.now(), max_entries=self.settings.max_feed_entries
        )
        now = self.now()
        incoming = [Incoming(entry) for entry in fetched.entries]
        with self.sessions.begin() as session:
            new = 0
            if incoming:
                new = add_stories(
                    session, incoming, source=source.name, source_id=source.id, now=now
                )
            record(
                session,
                source,
                fetched,
                now=now,
                default_interval=self.settings.fetch_interval,
                jitter=self.rng.random(),
            )
        logger.info(
            "feed checked",
            extra={"source": source.name, "outcome": fetched.outcome, "new": new}
            | ({"error": fetched.error} if fetched.error else {}),
        )
        return new
