"""How do entries become stories: which are new, which repeat one that is there, which are edited?

In this order an entry is known by its id within its source, its address, its words, and words that
are nearly the same (duplicates.py). Whoever carries a story is kept as a mention of it; the story
itself is one row and counts once. An entry that comes again with another title is an edit: the
mention is brought up to date, and where it was the story's first, so is the story, which the model
then reads anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from services.finance_sentiment.changes import Change, note
from services.finance_sentiment.company_store import unlink
from services.finance_sentiment.domain import (
    PERSON,
    Entry,
    Label,
    hour_of,
    publication,
)
from services.finance_sentiment.duplicates import WINDOW, bands, near_in_words
from services.finance_sentiment.store import label_values
from services.finance_sentiment.stories import (
    TEXT_KEY_HOLDS,
    TEXT_PREFIX,
    canonical_url,
    identity_keys,
    shared_urls,
    words_of,
)
from services.finance_sentiment.tables import mentions, stories, story_bands, story_keys

# SQLite takes so many variables in one statement, and some more.
_CHUNK = 500
# Any number, as long as all of us take the same: "stories" in ASCII.
_STORING = int.from_bytes(b"stories", "big")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A story on its way in; `label` where it came with one."""

    entry: Entry
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """An entry with its keys, the story it belongs to (below 0: the -n-th new one), and how that
    is known."""

    item: Incoming
    keys: list[str]
    published: datetime
    story: int
    known_by: str


def add_stories(
    session: Session,
    incoming: Sequence[Incoming],
    *,
    source: str,
    source_id: int | None,
    now: datetime,
) -> int:
    """Keep those that are new, and who carried the others; how many were new."""
    if not incoming:
        return 0
    one_at_a_time(session)
    taken = _assigned(session, incoming, source, now)
    fresh = [one for one in taken if one.known_by == "first"]
    ids = _insert_stories(session, fresh, source, source_id, now)
    placed = [(one, ids[-one.story - 1] if one.story < 0 else one.story) for one in taken]
    _keep_keys(session, placed)
    _keep_bands(session, [(i, one.item.entry.title, one.published) for one, i in placed
                          if one.known_by == "first"])  # fmt: skip
    changed = _keep_mentions(session, placed, source[:200], source_id, now)
    # Stories that come with their labels are the past, and told of to nobody.
    note(session, "story", [one for one in changed if one[0] not in ids], now)
    return len(fresh)


def one_at_a_time(session: Session) -> None:
    """Two workers that store the same story at the same moment would both find it new. SQLite has
    one writer as it is; on PostgreSQL they queue here until the other has committed."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STORING})


# --- which story is it? ------------------------------------------------------------------------


def _assigned(
    session: Session, incoming: Sequence[Incoming], source: str, now: datetime
) -> list[_Taken]:
    shared = shared_urls([item.entry for item in incoming])
    keyed = []
    for item in incoming:
        own_url = canonical_url(item.entry.url) not in shared
        keyed.append((item, identity_keys(item.entry, source, own_url=own_url)))
    known = _known_keys(session, {key for _, keys in keyed for key in keys})
    near = _Near(session, [i.entry.title for i, keys in keyed if not any(k in known for k in keys)])
    taken: list[_Taken] = []
    new = 0
    for item, keys in keyed:
        published = publication(item.entry.published_at, now)
        found = _by_keys(keys, known, published) or near.find(item.entry.title, published)
        if found is None:
            new += 1
            found = (-new, "first")
            near.add(-new, item.entry.title, published)
        story, known_by = found
        taken.append(_Taken(item, keys, published, story, known_by))
        for key in keys:
            if key.startswith(TEXT_PREFIX) or key not in known:
                known[key] = (story, published)
    return taken


def _by_keys(
    keys: Sequence[str], known: dict[str, tuple[int, datetime]], published: datetime
) -> tuple[int, str] | None:
    """(story, how it is known) by the strongest key; words hold for three days only."""
    for key in keys:
        if key in known:
            story, seen = known[key]
            if not key.startswith(TEXT_PREFIX) or abs(published - seen) <= TEXT_KEY_HOLDS:
                return story, key.partition(":")[0]
    return None


def _known_keys(session: Session, keys: set[str]) -> dict[str, tuple[int, datetime]]:
    known: dict[str, tuple[int, datetime]] = {}
    columns = (story_keys.c.key, story_keys.c.story_id, story_keys.c.seen_at)
    for chunk in _chunks(sorted(keys)):
        query = select(*columns).where(story_keys.c.key.in_(chunk))
        known.update({row.key: (row.story_id, row.seen_at) for row in session.execute(query)})
    return known


class _Near:
    """Stories of the last days that share a band with what comes in."""

    def __init__(self, session: Session, titles: Iterable[str]) -> None:
        self._bands = {title: bands(title) for title in dict.fromkeys(titles)}
        self._stories: dict[int, tuple[str, datetime]] = {}
        self._of_band: dict[int, list[int]] = defaultdict(list)
        wanted = sorted({band for found in self._bands.values() for band in found})
        columns = (story_bands.c.band, story_bands.c.story_id)
        for chunk in _chunks(wanted):
            query = select(*columns).where(story_bands.c.band.in_(chunk))
            for band, story in session.execute(query):
                self._of_band[band].append(story)
        # A story shares many bands with what is near it: its words are read once.
        near = sorted({story for shared in self._of_band.values() for story in shared})
        told = (stories.c.id, stories.c.title, stories.c.published_at)
        for chunk in _chunks(near):
            for row in session.execute(select(*told).where(stories.c.id.in_(chunk))):
                self._stories[row.id] = (row.title, row.published_at)

    def add(self, story: int, title: str, published: datetime) -> None:
        """A new story, which those that come after it may repeat."""
        self._stories[story] = (title, published)
        for band in self._bands.get(title) or bands(title):
            self._of_band[band].append(story)

    def find(self, title: str, published: datetime) -> tuple[int, str] | None:
        """The story told in the words that are nearest, if any are near enough."""
        own = self._bands.get(title) or bands(title)
        sharing = {story for band in own for story in self._of_band.get(band, ())}
        found = [
            (near, story)
            for story in sharing & self._stories.keys()
            if abs(published - self._stories[story][1]) <= WINDOW
            and (near := near_in_words(title, self._stories[story][0]))
        ]
        return (max(found)[1], "minhash") if found else None


# --- what is kept ------------------------------------------------------------------------------


def _insert_stories(
    session: Session,
    fresh: Sequence[_Taken],
    source: str,
    source_id: int | None,
    now: datetime,
) -> list[int]:
    if not fresh:
        return []
    rows = [
        text_values(one.item.entry)
        | label_values(one.item.label, now)
        | {
            "url": one.item.entry.url,
            "published_at": one.published,
            "published_hour": hour_of(one.published),
            "fetched_at": now,
            "source": source[:200],
            "source_id": source_id,
        }
        for one in fresh
    ]
    adding = insert(stories).returning(stories.c.id, sort_by_parameter_order=True)
    return list(session.execute(adding, rows).scalars())


def text_values(entry: Entry) -> dict[str, Any]:
    """The columns of a story's words."""
    return {
        "title": entry.title,
        "summary": entry.summary,
        "search_text": words_of(entry),
    }


def _keep_keys(session: Session, placed: Sequence[tuple[_Taken, int]]) -> None:
    # The last one wins where words come again after their three days.
    owners = {
        key: {"key": key, "story_id": story, "seen_at": one.published}
        for one, story in placed
        for key in one.keys
    }
    taken = _known_keys(session, set(owners))
    for key, (story, _) in taken.items():
        values = owners[key]
        if key.startswith(TEXT_PREFIX) and values["story_id"] != story:
            session.execute(update(story_keys).where(story_keys.c.key == key).values(values))
    new = [values for key, values in owners.items() if key not in taken]
    if new:
        session.execute(insert(story_keys), new)


def _keep_bands(session: Session, told: Sequence[tuple[int, str, datetime]]) -> None:
    rows = [
        {"band": band, "story_id": story, "published_at": published}
        for story, title, published in told
        for band in set(bands(title))
    ]
    if rows:
        session.execute(insert(story_bands), rows)


def _keep_mentions(
    session: Session,
    placed: Sequence[tuple[_Taken, int]],
    source: str,
    source_id: int | None,
    now: datetime,
) -> list[tuple[int, Change]]:
    """Who carried which story; the stories that were there before and look otherwise now."""
    changed: list[tuple[int, Change]] = []
    there: dict[str, Any] = {}
    for chunk in _chunks([one.keys[0] for one, _ in placed]):
        query = select(mentions).where(mentions.c.entry_key.in_(chunk))
        there.update({row.entry_key: row for row in session.execute(query)})
    rows: dict[str, dict[str, Any]] = {}
    for one, story in placed:
        entry, known = one.item.entry, there.get(one.keys[0])
        if known is not None:
            if known.title != entry.title:
                _edit(session, one, known.id, known.story_id, known.known_by == "first", now)
                if one.item.label:
                    changed.append((known.story_id, "labelled"))
            continue
        if one.keys[0] not in rows:
            changed.append((story, "merged"))
        rows.setdefault(
            one.keys[0],
            {
                "story_id": story,
                "source_id": source_id,
                "source": source,
                "entry_key": one.keys[0],
                "url": entry.url,
                "title": entry.title,
                "published_at": one.published,
                "seen_at": now,
                "known_by": one.known_by,
            },
        )
    if rows:
        session.execute(insert(mentions), list(rows.values()))
    return changed


def _edit(
    session: Session, one: _Taken, mention: int, story: int, first: bool, now: datetime
) -> None:
    """An entry that we have came with another title."""
    entry = one.item.entry
    session.execute(update(mentions).where(mentions.c.id == mention).values(title=entry.title))
    if not first:
        return
    unlink(session, story)
    values = text_values(entry) | {"edited_at": now}
    whose = select(stories.c.model_version).where(stories.c.id == story)
    # What a person said stays, until a person takes it back.
    if session.execute(whose).scalar_one_or_none() != PERSON:
        values |= label_values(one.item.label, now)
    session.execute(update(stories).where(stories.c.id == story).values(values))
    session.execute(delete(story_bands).where(story_bands.c.story_id == story))
    _keep_bands(session, [(story, entry.title, one.published)])


def forget_old(session: Session, now: datetime) -> None:
    """Drop what only finds near stories and is too old for that: late entries may be up to a
    window older than the stories they are compared with."""
    session.execute(delete(story_bands).where(story_bands.c.published_at < now - 2 * WINDOW))


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
