"""How fast is the news monitor: labels a second, bytes to stored stories, a round of 1,000 feeds?

    python -m benchmarks.monitor_throughput [--model DIR] [--only labels|stories|round]

Headlines are those of our own sample stream. (a) Topic and sentiment with the fp32 and the int8
encoder of one model (trained by the preset `fast` where none is given), two threads, taking turns.
(b) From the bytes of feeds, 50 entries each with a summary, to stored stories by the worker's own
pass, SQLite as by default, without the labels and with them (in the precision which that model
uses). (c) One round over 1,000 feeds on 1,000 addresses of this machine, half of them unchanged
(304), 50 entries each, a fifth of them in other feeds too, labelling apart; some hang, break off,
never end or lead in circles. The server is a process of its own.

A busy machine stretches the clock, so (a) and (b) are judged by the CPU time of the thread that
waits for all others: what the clock would say if nobody else ran. The clock stands beside it. (c)
is judged by the clock.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import httpx
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.common import ROOT, save, table, verdict
from benchmarks.monitor_feeds import ANSWERED, KINDS, FeedServer, kind_of
from core.artifacts import read_manifest
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.inference.export import export_base_encoder
from core.net import FetchPolicy, GuardedClient, Response
from services.finance_sentiment.feeds import host_of
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.monitor import Monitor
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, sources, stories
from services.finance_sentiment.worker import reading

THREADS = 2
ENTRIES = 50
FEEDS = 1_000
DATA = ROOT / "shared_data" / "finance_sentiment"
Bars = list[dict[str, Any]]


@dataclass(frozen=True)
class Cost:
    """Of so many stories: seconds by the clock, of CPU in all threads, and `alone`: what the clock
    would say on a quiet machine."""

    stories: int
    wall: float
    cpu: float
    alone: float

    @property
    def a_second(self) -> float:
        """Stories a second on a quiet machine."""
        return self.stories / self.alone


def measured(work: Callable[[], int], *, pool: bool = False) -> Cost:
    """What it costs; `work` says how many stories. With `pool` the work is done by Python threads,
    of which one runs at a time; else by this one, and the model's threads wait for it."""
    wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    count = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(count, wall, cpu, cpu if pool else time.thread_time() - own)


def headlines() -> list[dict[str, str]]:
    """Rows of the sample stream, each title once."""
    with (DATA / "replay.csv").open(encoding="utf-8", newline="") as file:
        return list({row["title"]: row for row in csv.DictReader(file)}.values())


def trained(folder: Path) -> Path:
    """A model of the preset `fast`, by the command."""
    command = [sys.executable, "-m", "services.cli", "finance-sentiment", "train"]
    options = ["--data", str(DATA / "train.csv"), "--output", str(folder), "--preset", "fast"]
    subprocess.run([*command, *options], check=True, cwd=ROOT)
    return folder


def both_precisions(model: Path, scratch: Path) -> dict[str, Labeler]:
    """The model with the encoder it chose, and with the fp32 one. The preset `fast` leaves the
    encoder as it was, so that is the exported base model."""
    manifest = read_manifest(model)
    chosen = manifest.settings["classifier"]["precision"]["chosen"]
    found = {chosen: Labeler.from_manifest(model, manifest, threads=THREADS)}
    if chosen == "int8":
        other = scratch / "fp32"
        shutil.copytree(model, other, ignore=shutil.ignore_patterns("encoder"))
        export_base_encoder(other / "encoder")
        found["fp32"] = Labeler.from_manifest(other, manifest, threads=THREADS)
    return found


# --- (a) labels ---------------------------------------------------------------------------------


def labels(labelers: dict[str, Labeler], texts: Sequence[str], bars: Bars) -> dict[str, Any]:
    """Both encoders in turns, in batches as the worker reads them."""
    batch = Settings().label_batch
    costs: dict[str, list[Cost]] = {name: [] for name in labelers}
    for labeler in labelers.values():
        reading(labeler, texts[:batch])
    for start in range(0, len(texts), 8 * batch):
        part = texts[start : start + 8 * batch]
        for name, labeler in labelers.items():
            costs[name].append(measured(partial(_read, labeler, part, batch)))
    sums = {name: _sum(of) for name, of in costs.items()}
    for name, bar in (("fp32", 200), ("int8", 350)):
        if name in sums:
            bars.append(verdict(f"labelled a second, {name}", sums[name].a_second, bar))
    return {f"labels, {name}": cost for name, cost in sums.items()}


def _read(labeler: Labeler, texts: Sequence[str], batch: int) -> int:
    for start in range(0, len(texts), batch):
        reading(labeler, texts[start : start + batch])
    return len(texts)


def _sum(costs: Sequence[Cost]) -> Cost:
    names = ("wall", "cpu", "alone")
    sums = (sum(getattr(cost, name) for cost in costs) for name in names)
    return Cost(sum(cost.stories for cost in costs), *sums)


# --- (b) from bytes to stories ------------------------------------------------------------------


class Memory:
    """A client whose web is in memory."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages

    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        """The page."""
        return Response(200, httpx.Headers({"content-type": "text/xml"}), self.pages[url], url)


def document(rows: Sequence[dict[str, str]], feed: str) -> bytes:
    """A feed of these rows, as publishers write one: of today, so that they are compared."""
    published = format_datetime(datetime.now(UTC))
    items = "".join(
        f"<item><title>{escape(row['title'])}</title>"
        f"<link>https://{feed}.example/news/{number}?utm_source=rss</link>"
        f"<guid isPermaLink='false'>{feed}-{number}</guid>"
        f"<description>{escape('<p>' + (row.get('summary') or row['title']) + '</p>')}"
        f"</description><pubDate>{published}</pubDate></item>"
        for number, row in enumerate(rows)
    )
    head = f"<title>{feed}</title><link>https://{feed}.example/</link>"
    return (
        f"<?xml version='1.0'?><rss version='2.0'><channel>{head}{items}</channel></rss>".encode()
    )


@contextmanager
def database(urls: Sequence[str], etag: Callable[[int], str | None]) -> Iterator[Settings]:
    """Settings of a new database that watches these feeds."""
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(
            var_dir=Path(place), fetch_allow=("127.0.0.0/8",), label_batch=Settings().label_batch
        )
        upgrade(settings.database_url, MIGRATIONS)
        engine = make_engine(settings.database_url)
        now = datetime.now(UTC)
        base = {"enabled": True, "next_check_at": now, "error_count": 0, "created_at": now}
        rows = [
            {**base, "name": f"f{n}", "url": url, "host": host_of(url), "etag": etag(n)}
            for n, url in enumerate(urls)
        ]
        with session_factory(engine).begin() as session:
            session.execute(insert(sources), rows)
        engine.dispose()
        yield settings


def monitor_of(settings: Settings, sessions: sessionmaker[Session], client: Any) -> Monitor:
    """As the worker makes it."""
    return Monitor(
        sessions, settings, client, lambda: datetime.now(UTC), "benchmark", random.Random(0)
    )


def bytes_to_stories(labeler: Labeler, rows: list[dict[str, str]], bars: Bars) -> dict[str, Any]:
    """The worker's fetch and label over feeds of 50 entries."""
    parts = [rows[start : start + ENTRIES] for start in range(0, len(rows), ENTRIES)]
    pages = {f"https://f{n}.example/rss": document(part, f"f{n}") for n, part in enumerate(parts)}
    with database(list(pages), lambda n: None) as settings:
        engine = make_engine(settings.database_url)
        sessions = session_factory(engine)
        monitor = monitor_of(settings, sessions, Memory(pages))

        def fetch() -> int:
            monitor.fetch_due(Event())
            return len(rows)

        stored = measured(fetch, pool=True)
        labelling = measured(
            lambda: monitor.label_pending(lambda texts: reading(labeler, texts), Event())
        )
        with sessions() as session:
            kept = session.execute(select(func.count()).select_from(stories)).scalar_one()
        engine.dispose()
    both = replace(_sum([stored, labelling]), stories=len(rows))
    print(f"{len(rows)} entries became {kept} stories")
    bars.append(verdict("bytes to stored story, no labels, a second", stored.a_second, 120))
    bars.append(verdict("bytes to labelled story, a second", both.a_second, 120))
    return {"stored": stored, "stored and labelled": both}


# --- (c) a round of feeds -----------------------------------------------------------------------


def one_round(rows: list[dict[str, str]], bars: Bars) -> dict[str, Any]:
    """All feeds once."""
    rng = random.Random(1)
    words = [word for row in rows for word in row["title"].split()]
    pages = []
    for number in range(FEEDS // 2):
        chosen = rng.sample(rows, ENTRIES)
        # A fifth repeats what other feeds carry; the rest are stories of their own.
        told = [
            row if rng.random() < 0.2 else {**row, "title": " ".join(rng.sample(words, 10))}
            for row in chosen
        ]
        pages.append(document(told, f"f{number}"))
    with FeedServer(pages, FEEDS) as server:
        tags = {n: '"1"' if kind_of(n, FEEDS) == "unchanged" else None for n in range(FEEDS)}
        with database([server.url(n) for n in range(FEEDS)], tags.get) as settings:
            engine = make_engine(settings.database_url)
            sessions = session_factory(engine)
            policy = FetchPolicy(
                max_bytes=settings.max_feed_bytes, allow=settings.fetch_allow, retries=1
            )
            with GuardedClient(policy) as client:
                monitor = monitor_of(settings, sessions, client)
                cost = measured(lambda: _until_nothing_is_due(monitor), pool=True)
            with sessions() as session:
                failed = select(func.count()).where(sources.c.error_count > 0)
                failing = session.execute(failed).scalar_one()
            engine.dispose()
    expected = sum(kind_of(n, FEEDS) not in ANSWERED for n in range(FEEDS))
    print(f"{cost.stories} new stories; {failing} feeds failed, {expected} were made to")
    bars.append(verdict("a round of 1,000 feeds, seconds", cost.wall, 60, at_least=False))
    return {"round": cost}


def _until_nothing_is_due(monitor: Monitor) -> int:
    total = 0
    for _ in range(FEEDS):
        found = monitor.fetch_due(Event())
        total += found
        if not found:
            break
    return total


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an artefact of the preset fast")
    parser.add_argument("--only", choices=["labels", "stories", "round"])
    asked = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    rows = headlines()
    bars: Bars = []
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as place:
        if asked.only != "round":
            model = asked.model or trained(Path(place) / "model")
            labelers = both_precisions(model, Path(place))
            if asked.only != "stories":
                costs |= labels(labelers, [row["title"] for row in rows], bars)
            if asked.only != "labels":
                costs |= bytes_to_stories(labelers.get("int8") or labelers["fp32"], rows, bars)
        if asked.only in (None, "round"):
            costs |= one_round(rows, bars)
    print()
    lines = [
        [name, c.stories, f"{c.wall:.1f}", f"{c.cpu:.1f}", f"{c.alone:.1f}", f"{c.a_second:.0f}"]
        for name, c in costs.items()
    ]
    table(["", "stories", "clock s", "CPU s", "alone s", "a second"], lines)
    print(f"\nof the feeds of (c): {', '.join(f'{n} {kind}' for kind, n in KINDS)}; others fresh")
    figures = {
        name: {
            "stories": c.stories,
            "seconds": c.wall,
            "cpu_seconds": c.cpu,
            "alone_seconds": c.alone,
        }
        for name, c in costs.items()
    }
    save("monitor_throughput", {"threads": THREADS, "costs": figures, "bars": bars})


if __name__ == "__main__":
    main()
