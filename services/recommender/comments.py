"""What did people write about items, and which of it has no vector yet?

A comment's text is kept with its event, its vector beside those of the items, by digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import EventKind
from core.inference.encoder import TextEncoder
from core.text import normalize
from services.recommender.interests import Said
from services.recommender.model import Embedding, embed
from services.recommender.store import ItemStore
from services.recommender.tables import events, item_vectors

# Newest comments of a user that are read; each costs a comparison with every item.
READ: Final = 10


def text_of(kind: EventKind, text: str | None) -> str | None:
    """What the encoder reads of a comment; None where there is nothing to read, or it is none."""
    said = normalize(text) if kind == "comment" and text else ""
    return said or None


def said_in(session: Session, encoder_id: str, seqs: Sequence[int]) -> dict[int, Said]:
    """What the comments with these numbers say; the newest `READ` with the vector that the encoder
    has of them, if it has one."""
    vector = (item_vectors.c.text_digest == events.c.text_digest) & (
        item_vectors.c.encoder_id == encoder_id
    )
    query = (
        select(events.c.seq, events.c.text, item_vectors.c.unknown_share, item_vectors.c.embedding)
        .outerjoin(item_vectors, vector)
        .where(events.c.seq.in_(seqs[-READ:]))
    )
    found = {seq: Said("", None, readable=False) for seq in seqs}
    for row in session.execute(query):
        values, readable = None, False
        if row.embedding is not None:
            embedding = Embedding(np.frombuffer(row.embedding, "<f2"), float(row.unknown_share))
            values, readable = embedding.values.astype(np.float32), embedding.readable
        found[row.seq] = Said(row.text, values, readable)
    return found


def encode_comments(
    comments: CommentStore, items: ItemStore, encoder: TextEncoder, at_most: int
) -> int:
    """Give at most `at_most` comments without a vector of this encoder theirs; how many."""
    missing = comments.without_vector(encoder.encoder_id, at_most)
    if missing:
        found = embed(encoder, list(missing.values()))
        items.put_vectors(encoder.encoder_id, dict(zip(missing, found, strict=True)))
    return len(missing)


class CommentStore:
    """Which texts wait for the encoder."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers

    def without_vector(self, encoder_id: str, limit: int) -> dict[str, str]:
        """Digest → text of comments that this encoder has not seen, the newest first."""
        vector = (item_vectors.c.text_digest == events.c.text_digest) & (
            item_vectors.c.encoder_id == encoder_id
        )
        query = (
            select(events.c.text_digest, events.c.text)
            .outerjoin(item_vectors, vector)
            .where(events.c.text_digest.is_not(None), item_vectors.c.text_digest.is_(None))
            .order_by(events.c.seq.desc())
            .limit(limit)
        )
        with self._readers() as session:
            return {row.text_digest: row.text for row in session.execute(query)}
