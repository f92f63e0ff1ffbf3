"""Which words of a text are hidden from a model that must guess them?

Masked-language modelling as in Devlin et al. 2019, "BERT": of the words drawn, 80 % of the tokens
become the mask, 10 % a random token, 10 % stay. Whole words are drawn, so that no piece of a word
gives the rest away. transformers' collator takes words from gaps in the text, which makes one word
of a whole Chinese sentence; here they are those of the tokenizer. Every draw depends on seed, epoch
and row alone. Training only: torch is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from core.errors import ModelRefused
from core.inference.onnx_session import pad
from core.training.batches import Key, Tokens

_MASKS = ("[MASK]", "<mask>")
# A longer "word" is a sentence of a script that the tokenizer does not cut; its tokens are words.
_LONGEST_WORD = 8
_CHUNK = 1000
# What cross-entropy leaves out.
IGNORED = -100


@dataclass(frozen=True)
class WordTokens:
    """One text. `ids` (seq_len,) with special tokens; `words` (seq_len,): the number of the word
    that a token belongs to, from 0 in order, −1 for special tokens."""

    ids: Tokens
    words: npt.NDArray[np.int32]


class WordTokenizer:
    """A `tokenizer.json` that tells which tokens make a word.

    Raises ModelRefused where its vocabulary has no token that stands for a hidden one.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        known = [found for name in _MASKS if (found := self._tokenizer.token_to_id(name))]
        if not known:
            raise ModelRefused(
                f"the tokenizer has none of the tokens {', '.join(_MASKS)}",
                mend="Use a base model that was pre-trained with masked words, such as BERT's kin.",
            )
        self.mask_id = int(known[0])
        self.size = int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[WordTokens]:
        """Tokens and words of each text, in order."""
        found = []
        for start in range(0, len(texts), _CHUNK):  # the library's own form takes 50 times the room
            clean = [t.encode("utf-8", "replace").decode() for t in texts[start : start + _CHUNK]]
            for encoding in self._tokenizer.encode_batch(clean):
                words = [-1 if w is None else w for w in encoding.word_ids]
                ids = np.asarray(encoding.ids, dtype=np.int64)
                found.append(WordTokens(ids, _renumbered(words)))
        return found


def _renumbered(words: Sequence[int]) -> npt.NDArray[np.int32]:
    """From 0 without gaps, with overlong words cut into their tokens."""
    of = np.asarray(words, dtype=np.int32)
    begins = np.ones(len(of), dtype=np.bool_)
    begins[1:] = of[1:] != of[:-1]
    sizes = np.bincount(of[of >= 0], minlength=1)
    begins |= (of >= 0) & (sizes[of] > _LONGEST_WORD)
    return np.where(of >= 0, np.cumsum(begins & (of >= 0)) - 1, -1).astype(np.int32)


class MaskedRows:
    """A data set by (epoch, row): ids with hidden words, and what was there.

    A `share` of each text's words is hidden, one at least.
    """

    def __init__(
        self, rows: Sequence[WordTokens], tokenizer: WordTokenizer, share: float, seed: int
    ) -> None:
        self.lengths = [len(text.ids) for text in rows]
        self._rows = rows
        self._mask_id = tokenizer.mask_id
        self._size = tokenizer.size
        self._share = share
        self._seed = seed

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Key) -> tuple[Tokens, Tokens]:
        """(ids, labels), both (seq_len,); labels are IGNORED where nothing is to be guessed."""
        epoch, row = key
        rng = np.random.default_rng((self._seed, epoch, row))
        text = self._rows[row]
        hidden = self._hidden(text, rng)
        labels = np.where(hidden, text.ids, IGNORED)
        lot = rng.random(len(text.ids))
        other = rng.integers(0, self._size, len(text.ids))
        ids = np.where(hidden & (lot < 0.8), self._mask_id, text.ids)
        return np.where(hidden & (lot >= 0.9), other, ids), labels

    def _hidden(self, text: WordTokens, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        count = int(text.words.max(initial=-1)) + 1
        drawn = rng.permutation(count)[: max(1, round(self._share * count))]
        return np.isin(text.words, drawn)


def collate_masked(examples: Sequence[tuple[Tokens, Tokens]]) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask`, `labels`, each (batch_size, seq_len)."""
    ids, mask = pad([ids for ids, _ in examples])
    labels, _ = pad([labels for _, labels in examples])
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "labels": torch.from_numpy(np.where(mask == 1, labels, IGNORED)),
    }
