"""Which stories are told in nearly the same words, or mean nearly the same?

Words: the share of common terms (stems of English words, pairs of Chinese signs) of two headlines.
MinHash bands find the stories worth comparing: each of `BANDS` hashes `ROWS` minima of a signature,
and two headlines with a share s of common terms meet in one with the chance 1 − (1 − s^ROWS)^BANDS
(Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4). Meaning: the cosine of embeddings.
Either needs guards.py to agree.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.text import comparison_key
from services.finance_sentiment.guards import bare_title, refusal, with_digits

WINDOW = timedelta(hours=72)
BANDS, ROWS = 24, 3

_PART = re.compile(r"[a-z]+|\d+(?:[.,]\d+)*|[\u3400-\u9fff]+")
_STOP = frozenset(
    [
        *("a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "is", "it", "its", "of"),
        *("on", "or", "over", "says", "said", "that", "the", "to", "will", "with", "after", "amid"),
        *("because", "due", "following", "has", "have"),
    ]
)
_HASHES = np.random.default_rng(20260302)
_FACTORS = _HASHES.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
_OFFSETS = _HASHES.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_ENDINGS = re.compile(r"(?:ings?|ed|es|s|ly)$")


@lru_cache(maxsize=20_000)
def terms(title: str) -> frozenset[str]:
    """What two headlines are compared by."""
    found: set[str] = set()
    for part in _PART.findall(with_digits(comparison_key(bare_title(title)).lower())):
        if part[0] > "\u33ff":
            found.update(part[n : n + 2] for n in range(max(1, len(part) - 1)))
        elif part not in _STOP:
            found.add(_ENDINGS.sub("", part)[:6] if len(part) > 4 else part)
    return frozenset(found)


def common_share(first: str, second: str) -> float:
    """Jaccard: terms of both, of those of either; 0 where one has none."""
    one, other = terms(first), terms(second)
    return len(one & other) / len(one | other) if one and other else 0.0


@lru_cache(maxsize=5_000)
def bands(title: str) -> tuple[int, ...]:
    """The numbers that near headlines share, signed 64-bit; none where a headline says too little
    to be told from others by its words."""
    own = terms(title)
    if len(own) < 3:
        return ()
    raw = b"".join(hashlib.blake2b(t.encode(), digest_size=8).digest() for t in sorted(own))
    hashed = np.frombuffer(raw, dtype="<u8").astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed = hashed[None, :] * _FACTORS[:, None] + _OFFSETS[:, None]
        mixed ^= mixed >> np.uint64(31)
    minima = mixed.min(axis=1).reshape(BANDS, ROWS)
    return tuple(
        int.from_bytes(
            hashlib.blake2b(bytes([n]) + row.tobytes(), digest_size=8).digest(), "big", signed=True
        )
        for n, row in enumerate(minima)
    )


# Chosen on the part of near_duplicates.csv that is there for choosing (benchmarks/
# near_duplicates.py): of the pairs that the guards let pass and that are not one story, the highest
# share is .44; .45 gives up none that is one, .50 two of 58. In meaning .75 lets four wrong pairs
# through and .80 one. In a stream each story meets thousands, and at .8 some 99 % of what is merged
# in the sample stream (replay.csv, 72 hours, frozen encoder) is one story by its key.
NEAR_IN_WORDS = 0.45
NEAR_IN_MEANING = 0.8


def near_in_words(first: str, second: str) -> float:
    """The common share of two headlines where they are one story by their words, else 0. One of
    them may say more; where each says something else ("by strike", "by drought") words do not
    decide."""
    one, other = terms(first), terms(second)
    latin_one, latin_other = ({t for t in own if t < "\u3400"} for own in (one, other))
    if latin_one - latin_other and latin_other - latin_one:
        return 0.0
    share = common_share(first, second)
    return share if share >= NEAR_IN_WORDS and not refusal(first, second) else 0.0


def nearest_in_meaning(
    vector: npt.NDArray[np.float32],
    title: str,
    others: npt.NDArray[np.float32],
    titles: list[str],
) -> int | None:
    """The row of `others` (unit vectors, with their headlines) that is the same story; the nearest
    first, None where none is near enough and passes the guards."""
    if not len(others):
        return None
    cosines = others @ vector
    for row in np.argsort(-cosines):
        if cosines[row] < NEAR_IN_MEANING:
            return None
        if not refusal(title, titles[row]):
            return int(row)
    return None
