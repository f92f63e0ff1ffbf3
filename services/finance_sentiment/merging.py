"""Which stories, once the model has read them, turn out to be one that is there already?

The pass that labels a story also gives its embedding, so meaning costs no second pass. A story that
waits for its label and means the same as one of the last 72 hours becomes a mention of that one
before anybody has counted it; a labelled story never disappears. Embeddings are compared only
within one version of the model, and two that the model labels positive and negative are two.

Who labels holds a lease, so one process at a time adds vectors; what another added is read from
the table at the next batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.domain import Label
from services.finance_sentiment.duplicates import WINDOW, nearest_in_meaning
from services.finance_sentiment.tables import mentions, stories, story_keys, story_vectors

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says of some texts. `vectors`: (n, width) of unit length, a row of zeros for
    a text that it cannot read; None where it gives none."""

    labels: list[Label]
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """A labelled story in memory."""

    story: int
    title: str
    published: datetime
    sentiment: str | None


@dataclass
class RecentVectors:
    """Embeddings of the stories of the last days by one version of the model, kept between
    batches."""

    version: str = ""
    last_row: int = 0
    told: list[_Told] = field(default_factory=list)
    matrix: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def merge(
        self, session: Session, ids: Sequence[int], reading: Reading, now: datetime
    ) -> set[int]:
        """Fold stories into those that they repeat; the ids of those that are gone. The others'
        vectors are kept. To be called in the transaction that writes the labels."""
        if reading.vectors is None or not ids:
            return set()
        self._catch_up(session, reading.labels[0].model_version, now)
        columns = (stories.c.id, stories.c.title, stories.c.published_at)
        query = select(*columns).where(stories.c.id.in_(ids))
        rows = {row.id: row for row in session.execute(query)}
        gone: set[int] = set()
        for story, label, vector in zip(ids, reading.labels, reading.vectors, strict=True):
            row = rows.get(story)
            if row is None or not vector.any():
                continue
            told = _Told(story, row.title, row.published_at, label.sentiment)
            same = self._same(told, vector)
            if same is None:
                self._keep(session, told, vector)
            else:
                fold(session, story, same)
                gone.add(story)
        return gone

    def _same(self, told: _Told, vector: Vectors) -> int | None:
        rows = [
            number
            for number, other in enumerate(self.told)
            if other.story != told.story
            and abs(other.published - told.published) <= WINDOW
            and {other.sentiment, told.sentiment} != {"positive", "negative"}
        ]
        if not rows:
            return None
        titles = [self.told[number].title for number in rows]
        found = nearest_in_meaning(vector, told.title, self.matrix[rows], titles)
        return None if found is None else self.told[rows[found]].story

    def _keep(self, session: Session, told: _Told, vector: Vectors) -> None:
        session.execute(delete(story_vectors).where(story_vectors.c.story_id == told.story))
        values = {
            "story_id": told.story,
            "model_version": self.version,
            "published_at": told.published,
            "vector": vector.astype(np.float16).tobytes(),
        }
        session.execute(insert(story_vectors).values(values))
        self._remember([told], vector[None].astype(np.float16))

    def _remember(self, told: Sequence[_Told], vectors: npt.NDArray[np.float16]) -> None:
        # An edited story stands here once, with its latest words.
        fresh = {one.story for one in told}
        kept = [number for number, one in enumerate(self.told) if one.story not in fresh]
        before = self.matrix[kept] if kept else np.zeros((0, vectors.shape[1]), np.float32)
        self.told = [self.told[number] for number in kept] + list(told)
        self.matrix = np.concatenate([before, vectors.astype(np.float32)])

    def _catch_up(self, session: Session, version: str, now: datetime) -> None:
        """Read what was added since the last batch; drop what is too old to be compared."""
        if version != self.version:
            self.version, self.last_row, self.told = version, 0, []
        oldest = now - 2 * WINDOW
        session.execute(delete(story_vectors).where(story_vectors.c.published_at < oldest))
        joined = story_vectors.join(stories, stories.c.id == story_vectors.c.story_id)
        query = (
            select(story_vectors, stories.c.title, stories.c.sentiment)
            .select_from(joined)
            .where(story_vectors.c.model_version == version, story_vectors.c.id > self.last_row)
            .order_by(story_vectors.c.id)
        )
        rows = list(session.execute(query))
        if rows:
            self.last_row = rows[-1].id
            told = [_Told(r.story_id, r.title, r.published_at, r.sentiment) for r in rows]
            raw = np.frombuffer(b"".join(r.vector for r in rows), np.float16)
            self._remember(told, raw.reshape(len(rows), -1))
        if any(one.published < oldest for one in self.told):
            recent = [n for n, one in enumerate(self.told) if one.published >= oldest]
            self.told, self.matrix = [self.told[n] for n in recent], self.matrix[recent]


def fold(session: Session, story: int, into: int) -> None:
    """Make a story that waits for its label a mention of another one."""
    moved = {"story_id": into}
    known = moved | {"known_by": "embedding"}
    session.execute(update(mentions).where(mentions.c.story_id == story).values(known))
    session.execute(update(story_keys).where(story_keys.c.story_id == story).values(moved))
    session.execute(delete(stories).where(stories.c.id == story))
