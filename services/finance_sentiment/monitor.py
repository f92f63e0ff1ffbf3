"""How does one pass of the monitor go, from feeds to alerts?

    take_folder    what lies in the watched folder: read, its new stories kept
    fetch_due      every feed whose time has come: asked, read, its new stories kept
    label_pending  stories that wait for a label: read by the model, labelled, or folded into the
                   story that they repeat
    link_companies stories of before: linked to the list of companies, where it changed
    evaluate       the hours that are over: counted, watched, alerts raised or resolved

Each is safe to run in two workers at once and after a kill at any point: a feed is claimed before
it is asked, labelling and evaluating hold a lease, and every step is committed by itself.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from sqlalchemy.orm import Session, sessionmaker

from core.db import leases
from services.finance_sentiment.changes import forget_changes, note
from services.finance_sentiment.company_store import write_companies
from services.finance_sentiment.entities import companies_of
from services.finance_sentiment.feeds import Client, Source, fetch_feed
from services.finance_sentiment.folder import Folder
from services.finance_sentiment.intake import (
    Incoming,
    add_stories,
    forget_old,
    one_at_a_time,
)
from services.finance_sentiment.life import Policy
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading, RecentVectors
from services.finance_sentiment.pacing import Bounds, lanes
from services.finance_sentiment.relinking import relink
from services.finance_sentiment.rules import Rule
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.sources import Checked, claim, due_sources, record
from services.finance_sentiment.store import pending_texts, write_labels
from services.finance_sentiment.tables import leases as leases_table
from services.finance_sentiment.telling import NOBODY, Teller
from services.finance_sentiment.watching import Watch, evaluate

logger = logging.getLogger("trefoil.finance_sentiment")

# A story that comes in this late still counts in the hour of its date.
SETTLE_HOURS = 24
# Longer than one batch or one evaluation takes; a worker that dies is replaced after this time.
LEASE = timedelta(minutes=1)
_LEASES = ("label", "evaluate", "folder")
# Feeds looked for in one pass; the rest are found by the next.
_FEEDS_A_PASS = 500

Clock = Callable[[], datetime]
LabelTexts = Callable[[Sequence[str]], Reading]


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
    recent: RecentVectors = field(default_factory=RecentVectors)
    teller: Teller = NOBODY
    # None where no list of companies is set.
    linker: CompanyLinker | None = None

    def fetch_due(self, stop: Event) -> int:
        """Ask every feed that is due; how many new stories came in. A broken feed keeps its error
        and is asked again later; it never holds up another."""
        with self.sessions() as session:
            due = due_sources(session, self.now(), _FEEDS_A_PASS)
        if not due:
            return 0
        dealt = lanes(((source.host, source) for source in due), self.settings.fetch_per_host)
        with ThreadPoolExecutor(self.settings.fetch_concurrency, "feed") as pool:
            return sum(pool.map(lambda lane: self._walk(lane, stop), dealt))

    def take_folder(self, path: Path, stop: Event) -> int:
        """Read what lies in the watched folder; how many new stories came in."""
        if not self._hold("folder"):
            return 0
        most = (self.settings.max_feed_bytes, self.settings.max_feed_entries)
        return Folder(path, self.sessions, self.now, *most).take(stop)

    def label_pending(self, label: LabelTexts, stop: Event) -> int:
        """Label what waits, batch by batch; how many stories were."""
        done = 0
        while not stop.is_set() and self._hold("label"):
            with self.sessions() as session:
                waiting = pending_texts(session, self.settings.label_batch)
            if not waiting:
                break
            # The model runs outside of any transaction.
            reading, named = companies_of(self.linker, [text for _, text in waiting], label)
            ids = [story_id for story_id, _ in waiting]
            with self.sessions.begin() as session:
                one_at_a_time(session)
                gone = self.recent.merge(session, ids, reading, self.now())
                labelled = zip(ids, reading.labels, strict=True)
                kept = ((story, said) for story, said in labelled if story not in gone)
                written = write_labels(session, kept, self.now())
                if self.linker is not None:
                    linked = {i: of for i, of in zip(ids, named, strict=True) if i in written}
                    write_companies(session, linked, self.linker.version)
                forget_old(session, self.now())
                forget_changes(session, self.now())
                note(session, "story", ((into, "merged") for into in gone.values()), self.now())
            done += len(waiting)
        return done

    def link_companies(self, label: LabelTexts, stop: Event) -> int:
        """Link the stories of before to the list of companies, batch by batch; how many."""
        done = 0
        while self.linker is not None and not stop.is_set() and self._hold("label"):
            # Few of them have clauses to be read: more than a batch of the model at once.
            found = relink(self.sessions, self.linker, label, 8 * self.settings.label_batch)
            if not found:
                break
            done += found
        return done

    def evaluate(self, version: str | None = None) -> int:
        """Bring the alerts up to the last hour that is over; how many are new. Nothing is done
        while more than a batch of earlier stories waits for its label. `version`: the live model,
        whose labels are compared with each other."""
        if not self._hold("evaluate"):
            return 0
        watch = Watch(
            self.settings.false_alarms_per_week,
            unread_allowed=self.settings.label_batch,
            rules=self.rules,
            policy=Policy(
                self.settings.alert_for_hours,
                self.settings.alert_keep_firing_hours,
                self.settings.alert_cool_down_hours,
            ),
            settle_hours=SETTLE_HOURS,
            degraded_share=self.settings.degraded_share,
            version=version,
            teller=self.teller,
            companies="" if self.linker is None else self.linker.version,
        )
        return evaluate(self.sessions, watch, self.now())

    def _bounds(self) -> Bounds:
        return Bounds(
            timedelta(seconds=self.settings.fetch_interval),
            timedelta(seconds=max(self.settings.fetch_interval, self.settings.fetch_interval_max)),
        )

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

    def _walk(self, lane: Sequence[Source], stop: Event) -> int:
        """Feeds of one host, one after the other."""
        return sum(self._check(source, stop) for source in lane)

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
            record(session, source, fetched, Checked(now, self._bounds(), self.rng.random(), new))
        logger.info(
            "feed checked",
            extra={"source": source.name, "outcome": fetched.outcome, "new": new}
            | ({"error": fetched.error} if fetched.error else {}),
        )
        return new
