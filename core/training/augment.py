"""What else could a customer have typed?

Small edits of a text that leave its meaning and its label: typing errors, words dropped or swapped
(Wei and Zou 2019, "EDA: Easy Data Augmentation Techniques"), and synonyms from the company's own
list. Chinese is edited by character. Numbers, negations, placeholders such as `[email]` and
addresses are never touched: they may be what tells two labels apart. Every draw comes from the
generator that is passed in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.data.fields import text_field
from core.data.tables import iterate_table
from core.errors import InvalidInput
from core.training.batches import Tokens

if TYPE_CHECKING:
    from core.inference.tokenizer import TextTokenizer

Synonyms = Mapping[str, Sequence[str]]

# word and han (one Chinese character) may be edited; fixed and mark (spaces, punctuation) may not.
# A synonym that was put in is fixed too: one edit a place is enough.
Kind = Literal["word", "han", "fixed", "mark"]
Piece = tuple[Kind, str]

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,60}\]|\{{1,2}[^{}\n]{1,60}\}{1,2}|<[^<>\n]{1,60}>")
_CHUNK = re.compile(rf"\s+|[{_HAN}]|[^\s{_HAN}]+")
_WORD = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)*)")
_ADDRESS = re.compile(r"@|://|^www\.", re.IGNORECASE)
# Numbers are known by their characters (一 and 百 are numeric too), or are one of these words.
_NUMBER = re.compile(
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    "sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|"
    "hundred|thousand|million|billion|half|twice|first|second|third"
)
_NEGATION = re.compile("no|not|nor|never|none|nothing|nobody|without|cannot|.*n't|[不没無无未别]")

_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Below this a typing error makes another word of it, or none ("in", "not").
_TYPO_LETTERS = 4
_SHORT_TEXT = 3
# Texts a class tells apart by one word in four would lose it too often beyond this.
_MOST_DROPPED = 4


def _neighbouring_keys() -> dict[str, str]:
    """Of each letter those beside, above and below it on a QWERTY keyboard."""
    place = {key: (x, y) for y, row in enumerate(_KEY_ROWS) for x, key in enumerate(row)}
    return {
        key: "".join(k for k, (u, v) in place.items() if 0 < abs(u - x) + abs(v - y) <= 1)
        for key, (x, y) in place.items()
    }


_NEIGHBOURS = _neighbouring_keys()


@dataclass(frozen=True)
class Augmenter:
    """How often each edit happens; all rates in [0, 1].

    typo      a word of 4 letters or more gets a neighbouring key, two letters swapped, one dropped
              or one doubled, never its first
    drop      a word goes, at most a quarter of them; of Chinese a character
    swap      a word and the one right behind it change places; of Chinese characters
    synonym   a word that `synonyms` (case-folded word → its synonyms) holds is replaced, case kept

    A text of fewer than 3 words gets one typing error at most, whatever the rates; numbers and
    placeholders count as words, and so does a Chinese character.
    """

    typo: float = 0.06
    drop: float = 0.05
    swap: float = 0.04
    synonym: float = 0.2
    synonyms: Synonyms = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InvalidInput for a rate out of range."""
        for name in ("typo", "drop", "swap", "synonym"):
            rate = getattr(self, name)
            if not 0 <= rate <= 1:
                raise InvalidInput(f"the rate of {name} must be in [0, 1], was: {rate}")

    def __call__(self, text: str, rng: np.random.Generator) -> str:
        """`text` with edits drawn from `rng`; the text itself where none was drawn."""
        pieces = list(_pieces(text))
        if sum(kind != "mark" for kind, _ in pieces) < _SHORT_TEXT:
            return _joined(self._one_typo(pieces, rng))
        pieces = self._with_synonyms(pieces, rng)
        pieces = self._swapped(pieces, rng)
        pieces = self._dropped(pieces, rng)
        typos = [
            (kind, typed_wrongly(word, rng)) if self._slips(kind, word, rng) else (kind, word)
            for kind, word in pieces
        ]
        return _joined(typos)

    def _slips(self, kind: Kind, word: str, rng: np.random.Generator) -> bool:
        return kind == "word" and len(word) >= _TYPO_LETTERS and rng.random() < self.typo

    def _one_typo(self, pieces: list[Piece], rng: np.random.Generator) -> list[Piece]:
        for i, (kind, word) in enumerate(pieces):
            if self._slips(kind, word, rng):
                return [*pieces[:i], (kind, typed_wrongly(word, rng)), *pieces[i + 1 :]]
        return pieces

    def _with_synonyms(self, pieces: list[Piece], rng: np.random.Generator) -> list[Piece]:
        """Words one by one; of Chinese, the longest word of the list that begins here."""
        if not self.synonyms:
            return pieces
        longest = max(map(len, self.synonyms))
        found: list[Piece] = []
        at = 0
        while at < len(pieces):
            taken, old = _known_at(pieces, at, self.synonyms, longest)
            if old and rng.random() < self.synonym:
                options = self.synonyms[old.casefold()]
                chosen = options[int(rng.integers(len(options)))]
                found.append(("fixed", _in_case_of(old, chosen)))
            else:
                found += pieces[at : at + taken]
            at += taken
        return found

    def _swapped(self, pieces: list[Piece], rng: np.random.Generator) -> list[Piece]:
        """Only what stands side by side: white space between words, nothing in Chinese."""
        pieces = list(pieces)
        at = 0
        while at < len(pieces):
            other = _right_behind(pieces, at)
            if other is not None and rng.random() < self.swap:
                pieces[at], pieces[other] = pieces[other], pieces[at]
                at = other
            at += 1
        return pieces

    def _dropped(self, pieces: list[Piece], rng: np.random.Generator) -> list[Piece]:
        places = [i for i, (kind, _) in enumerate(pieces) if kind in ("word", "han")]
        most = min(max(1, len(places) // _MOST_DROPPED), len(places) - 1)
        drawn = [i for i in places if rng.random() < self.drop]
        if len(drawn) > most:
            drawn = sorted(rng.permutation(drawn)[: max(0, most)].tolist())
        gone = set(drawn)
        for i in drawn:  # with a word goes the space before it, or else the one behind
            if pieces[i][0] == "word":
                beside = (j for j in (i - 1, i + 1) if 0 <= j < len(pieces) and j not in gone)
                gone.update(itertools.islice((j for j in beside if pieces[j][1].isspace()), 1))
        return [piece for i, piece in enumerate(pieces) if i not in gone]


def augment(text: str, rng: np.random.Generator, synonyms: Synonyms | None = None) -> str:
    """`text` with edits at the usual rates. `synonyms`: case-folded word → its synonyms."""
    return Augmenter(synonyms=synonyms or {})(text, rng)


def typed_wrongly(word: str, rng: np.random.Generator) -> str:
    """`word`, of two letters or more, with one typing error behind its first letter."""
    at = int(rng.integers(1, len(word)))
    letter = word[at]
    slip = int(rng.integers(4))
    near = _NEIGHBOURS.get(letter.casefold())
    if slip == 0 and near:
        other = near[int(rng.integers(len(near)))]
        return word[:at] + (other.upper() if letter.isupper() else other) + word[at + 1 :]
    if slip == 1 and at + 1 < len(word):
        return word[:at] + word[at + 1] + letter + word[at + 2 :]
    if slip == 2:
        return word[:at] + word[at + 1 :]
    return word[:at] + letter + word[at:]


def read_synonyms(path: str | Path) -> dict[str, tuple[str, ...]]:
    """A file of `word,synonym`, a pair a row, as case-folded word → synonyms in the file's order.

    It holds one way only: "parcel,package" never makes a parcel of a package. Raises DataError for
    a bad file.
    """
    path = Path(path)
    found: dict[str, dict[str, None]] = {}
    for row in iterate_table(path, ["word", "synonym"]):
        word = text_field(path, row, "word").casefold()
        found.setdefault(word, {})[text_field(path, row, "synonym")] = None
    return {word: tuple(synonyms) for word, synonyms in found.items()}


def varying(
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    share: float,
    seed: int,
    augmenter: Augmenter | None = None,
) -> Callable[[int, int], Tokens | None]:
    """What `fine_tune` takes as `vary`: (epoch, row) → other tokens for the row, None for its own.

    A `share` in [0, 1] of the rows varies, others each epoch. The answer depends on seed, epoch
    and row alone, so a resumed run sees the texts that an uninterrupted one would have seen. It is
    asked for training rows only; held-out rows are read as they are.
    """
    edit = augmenter or Augmenter()

    def vary(epoch: int, row: int) -> Tokens | None:
        rng = np.random.default_rng((seed, epoch, row))
        if rng.random() >= share:
            return None
        other = edit(texts[row], rng)
        return None if other == texts[row] else tokenizer.encode([other])[0].ids

    return vary


def _pieces(text: str) -> Iterator[Piece]:
    """The text cut so that joining the pieces gives it back."""
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        yield from _pieces_between(text[end : match.start()])
        yield "fixed", match.group()
        end = match.end()
    yield from _pieces_between(text[end:])


def _pieces_between(text: str) -> Iterator[Piece]:
    for chunk in _CHUNK.findall(text):
        if chunk.isspace():
            yield "mark", chunk
        elif any(c.isnumeric() for c in chunk) or _ADDRESS.search(chunk):
            yield "fixed", chunk
        elif re.match(f"[{_HAN}]", chunk):
            yield ("fixed" if _NEGATION.fullmatch(chunk) else "han"), chunk
        else:
            for i, part in enumerate(_WORD.split(chunk)):
                if part:
                    yield _kind_of(part) if i % 2 else "mark", part


def _kind_of(word: str) -> Kind:
    plain = word.casefold().replace("’", "'")
    return "fixed" if _NUMBER.fullmatch(plain) or _NEGATION.fullmatch(plain) else "word"


def _right_behind(pieces: Sequence[Piece], at: int) -> int | None:
    """The place of the piece of the same kind with which this one may change places."""
    kind = pieces[at][0]
    other = at + 1
    if kind == "word" and other < len(pieces) and pieces[other][1].isspace():
        other += 1
    elif kind != "han":
        return None
    return other if other < len(pieces) and pieces[other][0] == kind else None


def _known_at(
    pieces: Sequence[Piece], at: int, synonyms: Synonyms, longest: int
) -> tuple[int, str]:
    """(how many pieces, the word they make if the list holds it, else "")."""
    kind, word = pieces[at]
    if kind == "word":
        return 1, word if word.casefold() in synonyms else ""
    run = itertools.takewhile(lambda piece: piece[0] == "han", pieces[at : at + longest])
    characters = "".join(character for _, character in run)
    for length in range(len(characters), 0, -1):
        if characters[:length] in synonyms:
            return length, characters[:length]
    return 1, ""


def _in_case_of(old: str, new: str) -> str:
    """PARCEL → PACKAGE, Parcel → Package, parcel → package (as the list spells it)."""
    if old.isupper() and len(old) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _joined(pieces: Sequence[Piece]) -> str:
    return "".join(word for _, word in pieces)
