"""Which answers and articles hold now, in this process?

What a company taught lives in the database; here is a copy in memory with an index over it. A look
at one number tells whether the copy is old. It is looked at after every change made through this
process, and every half second for changes that others made. A new copy is built aside and takes
the old one's place in one assignment.

The search encoder comes with the model, so another model may mean another encoder: its index is
built before it is used.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.inference.encoder import UNKNOWN_LIMIT, TextEncoder
from core.progress import SILENT, Progress
from services.customer_service.answers import AnswerBook
from services.customer_service.articles import passages_of
from services.customer_service.content import ContentStore, Taught
from services.customer_service.contrast import CONTRAST
from services.customer_service.knowledge import Knowledge, Vectors

_log = logging.getLogger(__name__)

# So many texts are encoded at once before the new copy is used; of more, in the background.
_AT_ONCE: Final = 64
_CHUNK: Final = 16
_CONTRAST_DIGESTS: Final = tuple(hashlib.sha256(t.encode()).hexdigest() for t in CONTRAST)


@dataclass(frozen=True)
class Copy:
    """What holds: `searcher` is the encoder that the index was made with."""

    version: int
    book: AnswerBook
    knowledge: Knowledge
    searcher: TextEncoder | None

    @property
    def encoder_id(self) -> str | None:
        """Of the encoder in use."""
        return None if self.searcher is None else self.searcher.encoder_id


class Live:
    """One writer at a time; readers take `current` and never wait."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._current = Copy(-1, AnswerBook(), Knowledge([]), None)
        self._missing: dict[str, str] = {}  # digest → text, not encoded yet

    def current(self) -> Copy:
        """The copy that holds now."""
        return self._current

    def refresh(self, searcher: TextEncoder | None) -> bool:
        """Build a new copy if the content or the encoder is another one. True when it changed."""
        with self._lock:
            version = self._store.version()
            encoder_id = None if searcher is None else searcher.encoder_id
            held = self._current
            if (version, encoder_id) == (held.version, held.encoder_id):
                return False
            taught = self._store.read()
            texts = _texts(taught)
            self._missing = self._unread(texts, searcher)
            if searcher is not None and 0 < len(self._missing) <= _AT_ONCE:
                self._encode(self._missing, searcher)
            if self._missing and held.searcher is not None and held.version == taught.version:
                # Only the encoder is new: the old one serves until the new one has read all.
                return False
            self._take(taught, texts, searcher)
            return True

    def catch_up(
        self,
        searcher: TextEncoder | None,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = SILENT,
    ) -> bool:
        """Encode what is not encoded yet, then use it. True when the copy changed.

        `stop` is asked between portions; what was encoded until then is kept.
        """
        if searcher is None or not self._missing:
            return False
        _log.info("reading passages", extra={"passages": len(self._missing)})
        with self._lock:
            portions = portions_of(self._missing)
        for portion in progress.bar(portions, len(portions), "reading passages"):
            if stop():
                return False
            self._encode(portion, searcher)
        with self._lock:
            taught = self._store.read()
            texts = _texts(taught)
            self._missing = self._unread(texts, searcher)
            self._take(taught, texts, searcher)
        return True

    def _take(self, taught: Taught, texts: dict[str, str], searcher: TextEncoder | None) -> None:
        vectors = None if searcher is None else self._vectors(texts, searcher)
        knowledge = Knowledge(taught.articles, vectors)
        self._current = Copy(taught.version, taught.book, knowledge, searcher)

    def _unread(self, texts: Mapping[str, str], searcher: TextEncoder | None) -> dict[str, str]:
        return {} if searcher is None else _unread(self._store, texts, searcher.encoder_id)

    def _encode(self, texts: Mapping[str, str], searcher: TextEncoder) -> None:
        read_texts(self._store, searcher, texts)
        self._missing = {d: t for d, t in self._missing.items() if d not in texts}

    def _vectors(self, texts: dict[str, str], searcher: TextEncoder) -> Vectors | None:
        known = self._store.vectors(searcher.encoder_id, list(texts))
        if not all(digest in known for digest in _CONTRAST_DIGESTS):
            return None
        of = known | {t: known[d] for t, d in zip(CONTRAST, _CONTRAST_DIGESTS, strict=True)}
        return Vectors(searcher.encoder_id, searcher.dimensions, of, _readable(searcher))


def unread_texts(store: ContentStore, encoder_id: str) -> dict[str, str]:
    """Digest → text of all that search needs a vector for and this encoder has not read yet."""
    return _unread(store, _texts(store.read()), encoder_id)


def portions_of(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """As many as are read before anybody looks whether to stop."""
    pairs = list(texts.items())
    return [dict(pairs[start : start + _CHUNK]) for start in range(0, len(pairs), _CHUNK)]


def read_texts(store: ContentStore, searcher: TextEncoder, texts: Mapping[str, str]) -> None:
    """Store the vectors of the texts; those that another process has read meanwhile stay."""
    known = store.vectors(searcher.encoder_id, list(texts))
    new = {digest: text for digest, text in texts.items() if digest not in known}
    if new:
        embeddings = searcher.encode(list(new.values())).embeddings
        store.put_vectors(searcher.encoder_id, dict(zip(new, embeddings, strict=True)))


def _unread(store: ContentStore, texts: Mapping[str, str], encoder_id: str) -> dict[str, str]:
    if len(texts) == len(CONTRAST):
        return {}  # no article to compare them with
    known = store.vectors(encoder_id, list(texts))
    return {digest: text for digest, text in texts.items() if digest not in known}


def _texts(taught: Taught) -> dict[str, str]:
    """Digest → text of all that search has a vector for; contrast questions first."""
    texts = dict(zip(_CONTRAST_DIGESTS, CONTRAST, strict=True))
    for article in taught.articles:
        texts.update({passage.digest: passage.searched for passage in passages_of(article)})
    return texts


def _readable(searcher: TextEncoder) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(contrast questions,) whether the encoder can read them; without running it."""
    shares = [tokens.unknown_share for tokens in searcher.tokenize(CONTRAST)]
    return np.array(shares) <= UNKNOWN_LIMIT
