"""Which words does a text have, and which token stands for each?

A word here is what the tokenizer splits at spaces and punctuation; in a script written without
spaces each character is one. The first token of a word speaks for it, so whatever is said of words
covers whole words, with offsets into the text as it came.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt
from core.text import is_cjk_heavy

if TYPE_CHECKING:
    from tokenizers import Encoding

IntArray = npt.NDArray[np.int64]
# As in core.inference.tokenizer: no real text has more characters a token.
_CHARS_PER_TOKEN = 16
_SPACES = re.compile(r"\s*")


@dataclass(frozen=True)
class Words:
    """One text. `ids` (seq_len,) token ids with special ones; `first` (words,) positions in `ids`;
    `offsets` (words, 2) start and end in the text; `read`: characters that were read."""

    ids: IntArray
    first: IntArray
    offsets: IntArray
    read: int


class WordTokenizer:
    """A `tokenizer.json`, truncated to `max_length` tokens."""

    def __init__(self, path: Path, max_length: int) -> None:
        self._tokenizer = load_tokenizer(path, max_length)
        self.max_length = max_length

    def encode(self, texts: Sequence[str]) -> list[Words]:
        """Words of each text, in order. Any string is accepted, the empty one too."""
        limit = self.max_length * _CHARS_PER_TOKEN
        clean = [readable(text[:limit]) for text in texts]
        encodings = self._tokenizer.encode_batch(clean)
        return [_words(e, t, limit) for e, t in zip(encodings, texts, strict=True)]


def load_tokenizer(path: Path, max_length: int) -> Any:
    """The tokenizer of a file, without padding. ModelCorrupt where it cannot be read."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises bare Exception
        raise ModelCorrupt(
            f"{path} is no readable tokenizer: {error}", mend="Fetch the model again."
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def readable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which the Rust side cannot take."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _words(encoding: Encoding, text: str, limit: int) -> Words:
    first: list[int] = []
    offsets: list[tuple[int, int]] = []
    last_word = None
    last_end = -1
    for position, (word, span) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        start, end = _trimmed(text, *span)
        if word is None or start >= end:
            continue
        alone = is_cjk_heavy(text[start:end])
        if word == last_word and not alone and start <= last_end:
            offsets[-1] = (offsets[-1][0], max(end, offsets[-1][1]))
        else:
            first.append(position)
            offsets.append((start, end))
        last_word = None if alone else word
        last_end = offsets[-1][1]
    cut = bool(encoding.overflowing) or len(text) > limit
    read = (offsets[-1][1] if offsets else 0) if cut else len(text)
    return Words(
        np.asarray(encoding.ids, dtype=np.int64),
        np.asarray(first, dtype=np.int64),
        np.asarray(offsets, dtype=np.int64).reshape(-1, 2),
        read,
    )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The offsets without the spaces that some tokenizers count to a token, and with the accents
    behind a letter that some leave out."""
    while start < end < len(text) and unicodedata.combining(text[end]):
        end += 1
    inner = text[start:end]
    spaces = _SPACES.match(inner)
    left = spaces.end() if spaces else 0
    return start + left, start + max(left, len(inner.rstrip()))
