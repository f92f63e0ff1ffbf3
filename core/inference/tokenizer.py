"""Which token ids does a text become, and how much of it can the encoder read?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt

if TYPE_CHECKING:
    from tokenizers import Encoding

# Characters looked at per token of the limit: no tokenizer we serve gives fewer tokens than one
# per 16 characters of real text, and a megabyte must not reach the tokenizer.
_CHARS_PER_TOKEN = 16


@dataclass(frozen=True)
class Tokens:
    """One text. `ids`: (seq_len,) int64 with special tokens; `unknown_share`: 0 to 1.

    `unknown_share` is the share of unknown tokens among the others than special ones; it is 1
    for a text without any token, of which nothing can be read either.
    """

    ids: npt.NDArray[np.int64]
    unknown_share: float


class TextTokenizer:
    """A `tokenizer.json`, without padding, truncated to `max_length` tokens."""

    def __init__(self, path: Path, max_length: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelCorrupt(
                f"{path} is no readable tokenizer: {error}", mend="Fetch the model again."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self.max_length = max_length
        self._unknown_id = self._find_unknown()

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in order. Any string is accepted, the empty one too."""
        limit = self.max_length * _CHARS_PER_TOKEN
        # A lone surrogate cannot be handed to the Rust side; it becomes a question mark.
        clean = [t[:limit].encode("utf-8", "replace").decode("utf-8") for t in texts]
        return [self._tokens(e) for e in self._tokenizer.encode_batch(clean)]

    def _tokens(self, encoding: Encoding) -> Tokens:
        ids = np.asarray(encoding.ids, dtype=np.int64)
        special = np.asarray(encoding.special_tokens_mask)
        # Some tokenizers count the unknown token as special: what matters is who put it there.
        content = (special == 0) | (ids == self._unknown_id)
        if not content.any():
            return Tokens(ids, 1.0)
        return Tokens(ids, float((ids[content] == self._unknown_id).mean()))

    def _find_unknown(self) -> int:
        for name in ("[UNK]", "<unk>"):
            found = self._tokenizer.token_to_id(name)
            if found is not None:
                return int(found)
        return -1  # byte-level vocabularies know every text
