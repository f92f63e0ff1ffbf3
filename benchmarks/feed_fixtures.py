"""Are the test sets of three feed parsers read: none raises, none hangs, titles and dates right?

    python -m benchmarks.feed_fixtures [--only PART_OF_A_PATH]

Data: `feed_fixtures` of the public sets (feedparser, gofeed, miniflux). Each file goes the whole
way, from the bytes of an answer to stories in a database. A fixture of feedparser states what it
expects in its opening comment, one of gofeed in a JSON file beside it; where these speak of titles
or of dates that we read, ours have to be the same. Every one that is not is listed with its reason.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import public_data, save, table, verdict
from benchmarks.fixture_expectations import (
    Stated,
    reason_of,
    response_headers,
    stated_by,
    with_titles,
)
from core.db.engine import make_engine, session_factory
from core.markup import plain_text
from core.net import Response
from services.finance_sentiment.domain import MAX_TITLE
from services.finance_sentiment.feeds import Fetched, Source, fetch_feed
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.tables import metadata

LIMIT_SECONDS = 2.0
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Tally:
    """What came of all the files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    raised: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    slowest: float = 0.0
    compared: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    exceptions: list[dict[str, str]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    stories: int = 0
    # gofeed's files of what it expects: no feeds, refused as such.
    expectations: int = 0


class FileClient:
    """A client whose one answer is a file."""

    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        self._body = body
        self._headers = headers

    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        """The file, with the headers that it states."""
        return Response(200, httpx.Headers(self._headers), self._body, url)


class TooLate(BaseException):
    """Not an Exception: nothing on the way may take it for a broken feed."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TooLate after so many seconds."""

    def ring(number: int, frame: object) -> None:
        raise TooLate

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_file(path: Path, name: str, sessions: Any, tally: Tally) -> None:
    """One file from bytes to stored stories, then compared with what it states."""
    body = path.read_bytes()
    client = FileClient(body, response_headers(body))
    source = Source(1, name, "https://fixture.example/feed")
    began = time.perf_counter()
    try:
        with time_limit(LIMIT_SECONDS):
            fetched = fetch_feed(client, source, now=NOW, max_entries=500)
            incoming = [Incoming(entry) for entry in fetched.entries]
            with sessions.begin() as session:
                tally.stories += add_stories(
                    session, incoming, source=name[:200], source_id=None, now=NOW
                )
    except TooLate:
        tally.late.append(name)
        return
    except Exception as error:  # the very thing that is counted here
        tally.raised.append(f"{name}: {error!r}"[:300])
        return
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    tally.outcomes[fetched.outcome] += 1
    if fetched.outcome == "failed" and path.suffix == ".json" and path.with_suffix(".xml").exists():
        tally.expectations += 1
    elif fetched.outcome == "failed":
        tally.refused.append({"file": name, "said": fetched.error})
    dated = fetched
    for stated in stated_by(path, body):
        if stated.what == "date" and not fetched.entries:
            # A date and nothing else: such an entry is no story. With a title it is read.
            client = FileClient(with_titles(body), response_headers(body))
            dated = fetch_feed(client, source, now=NOW, max_entries=500)
        compare(name, stated, dated if stated.what == "date" else fetched, tally)


def compare(name: str, stated: Stated, fetched: Fetched, tally: Tally) -> None:
    """Count one statement, and keep it where ours differs."""
    ours, expected = found_for(stated, fetched)
    tally.compared[stated.what] += 1
    if ours == expected:
        tally.right[stated.what] += 1
        return
    tally.exceptions.append(
        {
            "file": name,
            "what": f"{stated.what} of {'feed' if stated.index is None else stated.index}",
            "stated": str(expected)[:120],
            "ours": str(ours)[:120],
            "reason": reason_of(name),
        }
    )


def found_for(stated: Stated, fetched: Fetched) -> tuple[object, object]:
    """(what we read, what the fixture expects in the form that we keep)."""
    if stated.what == "title":
        expected = plain_text(str(stated.value), MAX_TITLE)
        if stated.index is None:
            return fetched.title, expected
        entries = fetched.entries
        # An entry without words is left out, which is what an empty title expects.
        return (entries[stated.index].title if stated.index < len(entries) else ""), expected
    index = stated.index or 0
    return (
        fetched.entries[index].published_at if index < len(fetched.entries) else None
    ), stated.value


def main() -> None:
    """Run all files, print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="files whose path holds this")
    only = parser.parse_args().only
    folder = public_data("feed_fixtures")
    if folder is None:
        return
    tally = Tally()
    with tempfile.TemporaryDirectory() as place:
        engine = make_engine(f"sqlite:///{place}/fixtures.db")
        metadata.create_all(engine)
        sessions = session_factory(engine)
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_file() and only in name and path.name != "LICENSE.upstream":
                run_file(path, name, sessions, tally)
        engine.dispose()
    report(tally, write=not only)


def report(tally: Tally, *, write: bool) -> None:
    """Counts, then every exception with its reason."""
    files = sum(tally.outcomes.values()) + len(tally.raised) + len(tally.late)
    print(f"{files} files, {tally.stories} stories kept, slowest {tally.slowest:.2f} s")
    print(
        f"read {tally.outcomes['fresh']}, refused with a reason {tally.outcomes['failed']}, "
        f"of which {tally.expectations} are no feeds but what gofeed expects\n"
    )
    table(
        ("stated", "compared", "right", "exceptions"),
        [(k, n, tally.right[k], n - tally.right[k]) for k, n in sorted(tally.compared.items())],
    )
    for title, rows in (("exceptions", tally.exceptions), ("refused", tally.refused)):
        print(f"\n{title}:")
        for row in rows:
            print("  " + " | ".join(row.values()))
    print()
    bars = [
        verdict("files that raise", len(tally.raised), 0, at_least=False),
        verdict(f"files over {LIMIT_SECONDS:g} s", len(tally.late), 0, at_least=False),
        verdict(
            "exceptions without a reason",
            sum(not row["reason"] for row in tally.exceptions),
            0,
            at_least=False,
        ),
    ]
    for line in (*tally.raised, *tally.late):
        print(f"  {line}")
    if write:
        kept = ("stories", "slowest", "exceptions", "refused", "raised", "late")
        counts = {"files": files, "compared": dict(tally.compared), "right": dict(tally.right)}
        save(
            "feed_fixtures",
            {**counts, **{name: getattr(tally, name) for name in kept}, "bars": bars},
        )


if __name__ == "__main__":
    main()
