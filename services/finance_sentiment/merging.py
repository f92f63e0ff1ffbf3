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
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.domain import PENDING, Label
from services.finance_sentiment.duplicates import NEAR_IN_MEANING, WINDOW, nearest_in_meaning
from services.finance_sentiment.tables import mentions, stories, story_keys, story_vectors

Vectors = npt.NDArray[np.float32]
# Two labels that speak against one story have a product below 0.
_SIDES = {"positive": 1, "negative": -1}


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


class _Memory:
    """Stories with their vectors, in a matrix that grows by half when it is full: what is compared
    with every story that comes is not copied for each."""

    def __init__(self) -> None:
        self.told: list[_Told] = []
        self._place: dict[int, int] = {}
        self._matrix: Vectors = np.zeros((0, 0), np.float32)
        self._seconds: npt.NDArray[np.float64] = np.zeros(0)
        self._sides: npt.NDArray[np.int8] = np.zeros(0, np.int8)

    @property
    def matrix(self) -> Vectors:
        """(stories, width)."""
        return self._matrix[: len(self.told)]

    def remember(self, told: _Told, vector: Vectors) -> int:
        """Keep a story, in the place of its earlier words; its row."""
        row = self._place.get(told.story, len(self.told))
        if row == len(self.told):
            self._room_for(row + 1, len(vector))
            self.told.append(told)
            self._place[told.story] = row
        self.told[row] = told
        # As precise as it comes back from the database.
        self._matrix[row] = vector.astype(np.float16)
        self._seconds[row] = told.published.timestamp()
        self._sides[row] = _SIDES.get(told.sentiment or "", 0)
        return row

    def candidates(self, told: _Told, cosines: Vectors) -> list[int]:
        """Rows that may be the same story: near, of these days, not of the opposite sentiment."""
        rows = len(self.told)
        near = cosines[:rows] >= NEAR_IN_MEANING
        found = np.flatnonzero(near)
        apart = np.abs(self._seconds[found] - told.published.timestamp())
        side = _SIDES.get(told.sentiment or "", 0)
        fits = (apart <= WINDOW.total_seconds()) & (self._sides[found] * side >= 0)
        return [int(row) for row in found[fits] if self.told[row].story != told.story]

    def forget_before(self, oldest: datetime) -> None:
        """Drop what was published earlier."""
        keep = [n for n, one in enumerate(self.told) if one.published >= oldest]
        if len(keep) == len(self.told):
            return
        self.told = [self.told[n] for n in keep]
        self._place = {one.story: row for row, one in enumerate(self.told)}
        self._matrix = self._matrix[keep]
        self._seconds, self._sides = self._seconds[keep], self._sides[keep]

    def _room_for(self, rows: int, width: int) -> None:
        if rows <= len(self._matrix):
            return
        room = max(1024, rows + rows // 2)
        matrix = np.zeros((room, width), np.float32)
        seconds, sides = np.zeros(room), np.zeros(room, np.int8)
        if filled := len(self.told):
            matrix[:filled] = self._matrix[:filled]
            seconds[:filled], sides[:filled] = self._seconds[:filled], self._sides[:filled]
        self._matrix, self._seconds, self._sides = matrix, seconds, sides


@dataclass
class RecentVectors:
    """Embeddings of the stories of the last days by one version of the model, kept between
    batches."""

    version: str = ""
    last_row: int = 0
    memory: _Memory = field(default_factory=_Memory)

    def merge(
        self, session: Session, ids: Sequence[int], reading: Reading, now: datetime
    ) -> dict[int, int]:
        """Fold stories into those that they repeat; those that are gone, with the id that each is
        now part of. The others' vectors are kept. To be called in the transaction that writes
        the labels."""
        if reading.vectors is None or not ids:
            return {}
        self._catch_up(session, reading.labels[0].model_version, now)
        columns = (stories.c.id, stories.c.title, stories.c.published_at)
        # Another worker may have been faster, where this one held its lease for too long.
        waiting = stories.c.state == PENDING
        query = select(*columns).where(stories.c.id.in_(ids), waiting)
        rows = {row.id: row for row in session.execute(query)}
        # Room for those of this batch, whose rows are filled in as they are kept.
        known = self.memory.matrix
        cosines = np.zeros((len(known) + len(ids), len(ids)), np.float32)
        if len(known):
            cosines[: len(known)] = known @ reading.vectors.T
        gone: dict[int, int] = {}
        kept: list[tuple[_Told, Vectors]] = []
        for number, (story, label) in enumerate(zip(ids, reading.labels, strict=True)):
            row, vector = rows.get(story), reading.vectors[number]
            if row is None or not vector.any():
                continue
            told = _Told(story, row.title, row.published_at, label.sentiment)
            same = self._same(told, vector, cosines[:, number])
            if same is None:
                place = self.memory.remember(told, vector)
                cosines[place] = reading.vectors @ self.memory.matrix[place]
                kept.append((told, vector))
            else:
                fold(session, story, same)
                gone[story] = same
        self._keep(session, kept)
        return gone

    def _same(self, told: _Told, vector: Vectors, cosines: Vectors) -> int | None:
        rows = self.memory.candidates(told, cosines)
        if not rows:
            return None
        titles = [self.memory.told[row].title for row in rows]
        found = nearest_in_meaning(vector, told.title, self.memory.matrix[rows], titles)
        return None if found is None else self.memory.told[rows[found]].story

    def _keep(self, session: Session, kept: Sequence[tuple[_Told, Vectors]]) -> None:
        if not kept:
            return
        ids = [told.story for told, _ in kept]
        session.execute(delete(story_vectors).where(story_vectors.c.story_id.in_(ids)))
        values = [_values(told.story, self.version, told.published, v) for told, v in kept]
        session.execute(insert(story_vectors), values)

    def _catch_up(self, session: Session, version: str, now: datetime) -> None:
        """Read what was added since the last batch; drop what is too old to be compared."""
        if version != self.version:
            self.version, self.last_row, self.memory = version, 0, _Memory()
        oldest = now - 2 * WINDOW
        session.execute(delete(story_vectors).where(story_vectors.c.published_at < oldest))
        joined = story_vectors.join(stories, stories.c.id == story_vectors.c.story_id)
        query = (
            select(story_vectors, stories.c.title, stories.c.sentiment)
            .select_from(joined)
            .where(story_vectors.c.model_version == version, story_vectors.c.id > self.last_row)
            .order_by(story_vectors.c.id)
        )
        for row in session.execute(query):
            self.last_row = row.id
            told = _Told(row.story_id, row.title, row.published_at, row.sentiment)
            raw = np.frombuffer(row.vector, np.float16)
            self.memory.remember(told, raw.astype(np.float32))
        self.memory.forget_before(oldest)


def _values(story: int, version: str, published: datetime, vector: Vectors) -> dict[str, Any]:
    return {
        "story_id": story,
        "model_version": version,
        "published_at": published,
        "vector": vector.astype(np.float16).tobytes(),
    }


def keep_vector(
    session: Session, story: int, version: str, published: datetime, vector: Vectors
) -> None:
    """Keep what this version of the model makes of a story, in the place of what was kept."""
    session.execute(delete(story_vectors).where(story_vectors.c.story_id == story))
    values = _values(story, version, published, vector)
    session.execute(insert(story_vectors).values(values))


def fold(session: Session, story: int, into: int) -> None:
    """Make a story that waits for its label a mention of another one."""
    moved = {"story_id": into}
    known = moved | {"known_by": "embedding"}
    session.execute(update(mentions).where(mentions.c.story_id == story).values(known))
    session.execute(update(story_keys).where(story_keys.c.story_id == story).values(moved))
    session.execute(delete(stories).where(stories.c.id == story))
