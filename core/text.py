"""How is text cleaned, cut into words and sentences, and chunked for search?

Pure functions on strings, the same for training and serving: what a model saw in training is what
it sees later. Nothing here needs a dictionary or a model; languages are told apart by script.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

Language = Literal["en", "zh", "other"]

# Control characters that are no white space, soft hyphens, zero-width spaces, marks and overrides
# of writing direction, byte order marks, lone surrogates: they carry no meaning for a model, hide
# differences from a reader, or break UTF-8. Zero-width (non-)joiners stay: scripts and emoji need
# them.
_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060"
    "\u2066-\u2069\ufeff\ud800-\udfff]"
)
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA_HANGUL = "\u1100-\u11ff\u3041-\u30ff\u31f0-\u31ff\uac00-\ud7af"
# Thai, Lao, Burmese, Khmer: also written without spaces between words.
_SOUTH_EAST = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
_UNSPACED = _HAN + _KANA_HANGUL + _SOUTH_EAST
_APOSTROPHES = "'\u2019\u02bc"

_HAN_LETTER = re.compile(f"[{_HAN}]")
_KANA_HANGUL_LETTER = re.compile(f"[{_KANA_HANGUL}]")
_SOUTH_EAST_LETTER = re.compile(f"[{_SOUTH_EAST}]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00aa-\u024f\u1e00-\u1eff]+")
_OTHER_WORD = re.compile(
    rf"(?:(?![A-Za-z\u00aa-\u024f\u1e00-\u1eff{_UNSPACED}])[^\W\d_])+", re.UNICODE
)
_LINK = re.compile(r"\bhttps?://[^\s<>\"']*", re.IGNORECASE)
_NEEDLESS_SPACE = re.compile(f"(?<=[{_UNSPACED}]) | (?=[{_UNSPACED}])")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")

# The Unicode stream-safe limit (UAX #15): no language stacks more marks on one letter, and without
# a limit the ordering of marks inside normalisation takes quadratic time on hostile input.
_MAX_MARKS = 30
_MARKS_CHECKED_FROM = 500


def normalize(text: str) -> str:
    """Text in Unicode form NFKC, without control characters, with white space folded to one space.

    Full-width letters become plain ones. Upper and lower case stay. Idempotent.
    """
    text = without_hidden(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _limit_marks(text))
    return " ".join(text.split())


def for_model(text: str) -> str:
    """What a model reads of a text: character references resolved, links left out.

    A link is a dozen tokens that say nothing and repeat nowhere; a text that is nothing but links
    stays as it is. Idempotent up to character references of character references.
    """
    if "&" in text:
        text = html.unescape(text)
    if "://" not in text:
        return text
    return " ".join(_LINK.sub(" ", text).split()) or text


def without_hidden(text: str) -> str:
    """Text without the characters that no reader sees: control characters, marks of direction and
    of width zero, lone surrogates. White space and joiners stay."""
    return _DROPPED.sub("", text)


def _limit_marks(text: str) -> str:
    if len(text) < _MARKS_CHECKED_FROM:
        return text
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def comparison_key(text: str) -> str:
    """What two texts share when a reader would call them the same: for finding duplicates.

    Normalised, case-folded, apostrophes dropped, other punctuation read as a space; no space beside
    characters of scripts that are written without. Symbols such as `+` or `$` stay: "+5" and "5"
    differ. A text of punctuation alone is its own key.
    """
    folded = normalize(normalize(text).casefold())
    spaced = " ".join("".join(map(_compared_as, folded)).split())
    return (spaced if spaced.isascii() else _NEEDLESS_SPACE.sub("", spaced)) or folded


@lru_cache(maxsize=1 << 12)
def _compared_as(character: str) -> str:
    if character in _APOSTROPHES:
        return ""
    return " " if unicodedata.category(character).startswith("P") else character


@dataclass(frozen=True, slots=True)
class _Units:
    """How much of each script a text holds: a word counts 1, and so does a character of a script
    that is written without spaces."""

    han: int
    kana_hangul: int
    south_east: int
    latin: int
    other: int

    @property
    def total(self) -> int:
        return self.han + self.kana_hangul + self.south_east + self.latin + self.other


def _count_units(text: str) -> _Units:
    return _Units(
        han=len(_HAN_LETTER.findall(text)),
        kana_hangul=len(_KANA_HANGUL_LETTER.findall(text)),
        south_east=len(_SOUTH_EAST_LETTER.findall(text)),
        latin=len(_LATIN_WORD.findall(text)),
        other=len(_OTHER_WORD.findall(text)),
    )


def is_cjk_heavy(text: str) -> bool:
    """True when at least half of the text is Chinese, Japanese or Korean (see `language_of`)."""
    units = _count_units(text)
    return units.total > 0 and 2 * (units.han + units.kana_hangul) >= units.total


def language_of(text: str) -> Language:
    """The language by script alone: a cheap guess that picks answers and slices reports.

    "zh": Chinese characters make at least half of the units (a word is a unit, a Chinese character
    too), with under a tenth of kana or Hangul beside them. "en": words in Latin letters make more
    than half, so French counts as "en". Anything else, and a text without letters, is "other".
    """
    units = _count_units(text)
    if units.total == 0:
        return "other"
    if 2 * units.han >= units.total and 9 * units.kana_hangul < units.han:
        return "zh"
    return "en" if 2 * units.latin > units.total else "other"


@cache
def _word_pattern() -> re.Pattern[str]:
    """A run of unspaced script, or a word of any other; marks belong to the letter before them.

    Python's `\\w` holds no combining marks, which would cut words of Hindi or Arabic in pieces.
    """
    marks = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M")
    letter = rf"(?:(?![{_UNSPACED}])[^\W_]|[{re.escape(marks)}])"
    return re.compile(
        rf"(?P<unspaced>[{_UNSPACED}]+)|{letter}+(?:[{_APOSTROPHES}]{letter}+)*", re.UNICODE
    )


def word_tokens(text: str) -> list[str]:
    """Lower-cased words, for BM25 and overlap of words.

    Apostrophes go ("don't" → "dont"), a possessive s too ("shop's" → "shop"). Scripts without
    spaces give each character and each pair of neighbours: 退货费 → 退 货 费 退货 货费.
    """
    folded = normalize(text).casefold()
    if folded.isascii():
        return [_plain(word) for word in _ASCII_WORD.findall(folded)]
    tokens: list[str] = []
    for match in _word_pattern().finditer(folded):
        run = match.group()
        if match.lastgroup == "unspaced":
            tokens.extend(run)
            tokens.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            tokens.append(_plain(run))
    return tokens


def _plain(word: str) -> str:
    for apostrophe in _APOSTROPHES:
        if apostrophe in word:
            word = word.removesuffix(f"{apostrophe}s").replace(apostrophe, "")
    return word


# --- sentences ---------------------------------------------------------------------------------

_CLOSERS = "\"'”’」』）)\\]】》»"
_STOP = re.compile(rf"[。！？…｡]+[{_CLOSERS}]*|[.!?]+[{_CLOSERS}]*")
_ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "vs", "etc", "e.g", "i.e", "eg", "ie", "no"}
    | {"inc", "ltd", "co", "corp", "plc", "approx", "dept", "est", "fig", "al", "u.s", "u.k"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)
_PARAGRAPH_BREAK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t])")
_LAST_WORD = re.compile(r"([\w.]+)\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of an English or Chinese text, in order, with white space folded.

    A sentence ends at 。！？… at once, at . ! ? before white space, and at an empty line or a new
    list item. Common abbreviations and initials ("e.g.", "Inc.", "J.") do not end one, nor does a
    stop before a lower-case word. No character other than white space is lost.
    """
    sentences: list[str] = []
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for paragraph in _PARAGRAPH_BREAK.split(text):
        sentences.extend(_sentences_of_paragraph(" ".join(paragraph.split())))
    return sentences


def _sentences_of_paragraph(paragraph: str) -> list[str]:
    sentences: list[str] = []
    start = 0
    for match in _STOP.finditer(paragraph):
        if match.group()[0] in ".!?" and not _ends_sentence(paragraph, start, match):
            continue
        sentences.append(paragraph[start : match.end()].strip())
        start = match.end()
    sentences.append(paragraph[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends_sentence(paragraph: str, start: int, stop: re.Match[str]) -> bool:
    space, following = (
        paragraph[stop.end() : stop.end() + 1],
        paragraph[stop.end() + 1 : stop.end() + 2],
    )
    if (space and not space.isspace()) or following.islower():
        return False
    if stop.group() != ".":
        return True
    # Only the last word matters; a bounded look back keeps long texts linear.
    before = _LAST_WORD.search(paragraph[max(start, stop.start() - 20) : stop.start() + 1])
    if before is None:
        return True
    word = before.group(1).lower()
    if word.isdigit() and stop.start() - start == len(word):
        return False  # "3. Press the button": the number of a list item
    initial = len(word) == 1 and word.isalpha() and word != "i"
    return not (initial or word in _ABBREVIATIONS)


# --- chunks ------------------------------------------------------------------------------------

_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_CLOSING_HASHES = re.compile(r"(?:^|(?<=[ \t]))#++$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document with the headings above it, outermost first."""

    heading_path: tuple[str, ...]
    text: str


def chunk_markdown(text: str, max_chars: int = 700) -> list[Chunk]:
    """A Markdown document as chunks of at most `max_chars` characters, for search and quoting.

    A chunk never crosses a heading. Paragraphs are packed while they fit; one that is longer is
    cut between sentences, a longer sentence between words. A `#` inside a code fence is no
    heading. A heading with nothing below it gives no chunk; its text lives on in the paths of its
    sub-headings.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, was: {max_chars}")
    chunks: list[Chunk] = []
    for path, blocks in _sections(without_hidden(text.replace("\r\n", "\n").replace("\r", "\n"))):
        chunks.extend(Chunk(path, body) for body in _pack(blocks, max_chars))
    return chunks


def _sections(text: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """(heading path, blocks) of each stretch between headings; blocks are split at empty lines."""
    sections: list[tuple[tuple[str, ...], list[list[str]]]] = [((), [[]])]
    headings: list[tuple[int, str]] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark.group(1).startswith(fence)):
            fence = "" if fence else mark.group(1)
        heading = None if fence or mark else _HEADING.match(line)
        blocks = sections[-1][1]
        if heading:
            level, title = len(heading.group(1)), _heading_title(line[heading.end() :])
            headings = [*(h for h in headings if h[0] < level), (level, title)]
            sections.append((tuple(title for _, title in headings if title), [[]]))
        elif line.strip() or fence:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [(path, ["\n".join(lines) for lines in blocks]) for path, blocks in sections]


def _heading_title(rest: str) -> str:
    return _CLOSING_HASHES.sub("", rest.strip()).strip()


def _pack(blocks: list[str], max_chars: int) -> list[str]:
    packed: list[str] = []
    current = ""
    for block in filter(None, (b.strip() for b in blocks)):
        pieces = [block] if len(block) <= max_chars else _cut(block, max_chars)
        for number, piece in enumerate(pieces):
            joint = "\n\n" if number == 0 else " "
            if current and len(current) + len(joint) + len(piece) <= max_chars:
                current += joint + piece
            else:
                packed.append(current)
                current = piece
    packed.append(current)
    return [body for body in packed if body]


def _cut(block: str, max_chars: int) -> list[str]:
    """A long block as sentences, and a longer sentence as runs of words."""
    pieces: list[str] = []
    for sentence in split_sentences(block):
        start = 0
        while len(sentence) - start > max_chars:
            space = sentence.rfind(" ", start + 1, start + max_chars + 1)
            end = space if space > 0 else start + max_chars
            pieces.append(sentence[start:end])
            start = end + 1 if sentence[end] == " " else end
        pieces.append(sentence[start:])
    return pieces
