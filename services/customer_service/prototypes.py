"""Which intent does a message take from the examples that a team taught?

    the same words     (comparison key)                       certain
    near enough        to an example, by the model's own bar  its intent; nearer, that is, than to
    (nearness.py)                                             any training row of another intent
    else                                                      what the classifier says

The result is a `Reading` like the classifier's, so whatever decides on it need not know. `find` and
`taught_reading` are pure; `Taught` is the copy that a process holds.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from core.data.records import OUT_OF_SCOPE
from core.inference.encoder import UNKNOWN_LIMIT, TextEncoder
from services.customer_service.domain import Candidate, Reading
from services.customer_service.examples import Example, ExampleStore, key_of
from services.customer_service.understanding import RANKED, FloatArray, IntentModel, Understood

_PORTION: Final = 64
_NO_VECTORS: Final = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Match:
    """The intent that a message takes, and the chance that this is right, (0, 1]."""

    intent: str
    chance: float


@dataclass(frozen=True)
class Prototypes:
    """The examples at one `version`, for the encoder `encoder_id`.

    `exact`: key of the text → intent. `vectors` (m, width), of unit length, with their `intents`:
    those that the encoder can read.
    """

    version: int = -1
    encoder_id: str | None = None
    exact: Mapping[str, str] = field(default_factory=dict)
    intents: tuple[str, ...] = ()
    vectors: FloatArray = field(default_factory=lambda: _NO_VECTORS)

    def __bool__(self) -> bool:
        return bool(self.exact)

    def find(self, text: str, embedding: FloatArray | None, model: IntentModel) -> Match | None:
        """What the message takes. `embedding` (width,) is of the model's search encoder; None
        where that cannot read the text: then only the same words count."""
        same = self.exact.get(key_of(text))
        if same is not None:
            return Match(same, 1.0)
        bar, nearness = model.example_bar, model.nearness
        if embedding is None or bar is None or nearness is None or not len(self.vectors):
            return None
        if self.encoder_id != model.searcher.encoder_id:
            return None  # vectors of another encoder do not compare
        cosines = self.vectors @ embedding
        best = int(cosines.argmax())
        cosine, intent = float(cosines[best]), self.intents[best]
        if cosine < bar.cosine:
            return None
        if cosine <= nearness.nearest_other(embedding, model.class_of(intent)):
            return None
        return Match(intent, bar.chance)

    def read(self, text: str, understood: Understood, embedding: FloatArray | None,
             model: IntentModel) -> Understood:  # fmt: skip
        """`understood` as it is, or with the intent that was taught."""
        match = self.find(text, embedding, model)
        if match is None:
            return understood
        return replace(understood, reading=taught_reading(understood.reading, match))


def taught_reading(reading: Reading, match: Match) -> Reading:
    """The reading with the taught intent first and the others sharing what is left.

    A message taught to be out of scope keeps its ranking, and nothing in it is sure.
    """
    if match.intent == OUT_OF_SCOPE:
        rest = 1.0 - match.chance
        return replace(
            reading,
            chance=min(reading.chance, rest),
            pair_chance=min(reading.pair_chance, rest),
            sure=False,
        )
    others = [c for c in reading.ranked if c.intent != match.intent]
    left = 1.0 - match.chance
    ranked = (
        Candidate(match.intent, match.chance),
        *(Candidate(c.intent, c.probability * left) for c in others[: RANKED - 1]),
    )
    return Reading(ranked, match.chance, max(match.chance, reading.pair_chance), sure=True)


class Vectors(Protocol):
    """Where the vectors of texts are kept, by the digest of the text; `ContentStore` is one."""

    def vectors(self, encoder_id: str, digests: Sequence[str]) -> dict[str, FloatArray]: ...
    def put_vectors(self, encoder_id: str, vectors: Mapping[str, FloatArray]) -> None: ...


def prototypes_of(
    examples: Sequence[Example], version: int, vectors: Vectors, model: IntentModel | None
) -> Prototypes:
    """Ready for the model; texts that its search encoder has not read yet are read and stored."""
    exact = {example.key: example.intent for example in examples}
    if model is None:
        return Prototypes(version, None, exact)
    texts = [model.as_read(example.text) for example in examples]
    encoder = model.searcher
    readable = np.flatnonzero(_readable(encoder, texts)).tolist()
    digests = [hashlib.sha256(texts[row].encode()).hexdigest() for row in readable]
    known = vectors.vectors(encoder.encoder_id, digests)
    unread = {
        digest: texts[row]
        for digest, row in zip(digests, readable, strict=True)
        if digest not in known
    }
    for start in range(0, len(unread), _PORTION):
        some = dict(list(unread.items())[start : start + _PORTION])
        read = dict(zip(some, encoder.encode(list(some.values())).embeddings, strict=True))
        vectors.put_vectors(encoder.encoder_id, read)
        known |= read
    found = np.array([known[digest] for digest in digests], dtype=np.float32)
    return Prototypes(
        version,
        encoder.encoder_id,
        exact,
        tuple(examples[row].intent for row in readable),
        found.reshape(-1, encoder.dimensions),
    )


def _readable(encoder: TextEncoder, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n,) whether the encoder can read them; without running it."""
    return np.array([t.unknown_share <= UNKNOWN_LIMIT for t in encoder.tokenize(texts)], dtype=bool)


def understand_all(
    model: IntentModel, taught: Prototypes, texts: Sequence[str]
) -> list[Understood]:
    """Each message as a server with this model and these examples reads it."""
    found: list[Understood] = []
    for start in range(0, len(texts), _PORTION):
        some = texts[start : start + _PORTION]
        understood = model.understand(some)
        if taught:
            vectors = _embeddings(model, some, understood)
            understood = [
                taught.read(text, one, vector, model)
                for text, one, vector in zip(some, understood, vectors, strict=True)
            ]
        found += understood
    return found


def _embeddings(
    model: IntentModel, texts: Sequence[str], understood: Sequence[Understood]
) -> list[FloatArray | None]:
    """Of the search encoder, None where it cannot read the text."""
    if model.classifier.encoder.encoder_id == model.searcher.encoder_id:
        return [u.embedding if u.readable else None for u in understood]
    encoded = model.searcher.encode([model.as_read(text) for text in texts])
    pairs = zip(encoded.embeddings, encoded.readable, strict=True)
    return [embedding if readable else None for embedding, readable in pairs]


class Taught:
    """The examples that hold now in this process; readers take `current` and never wait."""

    def __init__(self, store: ExampleStore, vectors: Vectors) -> None:
        self._store = store
        self._vectors = vectors
        self._lock = threading.Lock()
        self._current = Prototypes()

    def current(self) -> Prototypes:
        """The copy that holds now."""
        return self._current

    def refresh(self, model: IntentModel | None) -> bool:
        """Build a new copy if the examples or the encoder are others. True when it changed."""
        with self._lock:
            encoder_id = None if model is None else model.searcher.encoder_id
            held = self._current
            if (self._store.version(), encoder_id) == (held.version, held.encoder_id):
                return False
            version, examples = self._store.read()
            self._current = prototypes_of(examples, version, self._vectors, model)
            return True
