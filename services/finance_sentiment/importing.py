"""How do feeds and past stories come into the database from files?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from core.files import written_whole
from services.finance_sentiment.alert_store import forget_baselines
from services.finance_sentiment.history import PastStory, read_history, rebased
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.opml import Outline, write_opml
from services.finance_sentiment.source_lists import read_sources
from services.finance_sentiment.sources import all_sources, save_sources

# Stories of one transaction: short enough that a server can write in between.
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """`added` of `read` stories; the others were there already."""

    read: int
    added: int
    unlabelled: int


def import_sources(sessions: sessionmaker[Session], path: Path, now: datetime) -> tuple[int, int]:
    """(added, known) feeds of a YAML list or an OPML file."""
    listed = read_sources(path)
    with sessions.begin() as session:
        return save_sources(session, listed, now)


def import_stories(
    sessions: sessionmaker[Session],
    path: Path,
    *,
    now: Callable[[], datetime],
    anchor: datetime | None = None,
    leave_out: timedelta = timedelta(),
    relabel: bool = False,
    as_news: bool = False,
) -> Imported:
    """Keep the stories of a file that are new.

    With `anchor` all are moved so that the last one was published then; those of the `leave_out`
    before it are not taken. `relabel` drops the labels they came with: the model will read them.
    History makes the detector learn anew; `as_news` says that these stories are none.
    """
    moment = now()
    past = read_history(path, anchor=anchor or moment)
    if anchor is not None:
        past = rebased(past, anchor)
        if leave_out:
            past = [story for story in past if story.published_at < anchor - leave_out]
    if relabel:
        past = [replace(story, sentiment="", topic="") for story in past]
    added = 0
    for source, stories in _by_source(past).items():
        for start in range(0, len(stories), _CHUNK):
            incoming = [Incoming(s.entry(), s.label()) for s in stories[start : start + _CHUNK]]
            with sessions.begin() as session:
                added += add_stories(session, incoming, source=source, source_id=None, now=moment)
    if added and not as_news:
        with sessions.begin() as session:
            forget_baselines(session)
    return Imported(len(past), added, sum(1 for story in past if not story.sentiment))


def _by_source(past: Sequence[PastStory]) -> dict[str, list[PastStory]]:
    found: dict[str, list[PastStory]] = defaultdict(list)
    for story in past:
        found[story.source].append(story)
    return found


def export_sources(sessions: sessionmaker[Session], path: Path) -> int:
    """Write all feeds as OPML; how many."""
    with sessions() as session:
        feeds = [Outline(row.name, row.url) for row in all_sources(session)]
    with written_whole(path) as file:
        file.write(write_opml(feeds, "Feeds of the news monitor"))
    return len(feeds)
