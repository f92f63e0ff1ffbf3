"""How do found passages become a short answer with its sources?

Pure. One to three sentences, word for word from the passages, each with its source. Nothing is
made up, so nothing in an article or a message can make the bot say what no article says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.text import split_sentences
from services.customer_service.articles import Passage
from services.customer_service.evidence import coverage, words_of

MAX_SENTENCES: Final = 3
_MAX_QUOTE: Final = 400  # characters
# A further passage is quoted only when it speaks to the question nearly as strongly, and its
# sentence says this much more of what was asked.
_NEARLY: Final = 0.85
_SAYS_MORE: Final = 0.2
# A passage is written to be read from its start: a later sentence must earn its place.
_OPENING: Final = 0.15

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_EMPHASIS = re.compile(r"(\*\*|__|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|`+|~~)")
_MARKER = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)]|>|#{1,6})[ \t]+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage with the strength of its evidence."""

    passage: Passage
    strength: float


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of the answer comes from; `quote` is that part."""

    title: str
    url: str
    quote: str


@dataclass(frozen=True, slots=True)
class Composed:
    """`text` is the quotes in order."""

    text: str
    sources: tuple[Source, ...]


def compose(
    question: Mapping[str, float], found: Sequence[ScoredPassage], needed: float, language: str
) -> Composed | None:
    """An answer from the passages, best first, that are strong enough; None where none is.

    `question`: its words with their weights. Where passages in `language` are strong enough,
    others are left out.
    """
    strong = [s for s in found if s.strength >= needed]
    strong = [s for s in strong if s.passage.language == language] or strong
    sources: list[Source] = []
    left = MAX_SENTENCES
    said: frozenset[str] = frozenset()
    for scored in strong:
        if left == 0:
            break
        if scored.strength < _NEARLY * strong[0].strength:
            continue
        sentences = _quote(question, scored.passage.text, 1 if sources else MAX_SENTENCES)
        quote = join_sentences(sentences)
        words = said | words_of(quote)
        more = coverage(question, words) - coverage(question, said)
        if not quote or (sources and more < _SAYS_MORE):
            continue
        sources.append(Source(scored.passage.title, scored.passage.url, quote))
        said = words
        left -= len(sentences)
    if not sources:
        return None
    return Composed(join_sentences([source.quote for source in sources]), tuple(sources))


def plain(markdown: str) -> str:
    """Markdown without its marks: links as their text, no emphasis, no list markers."""
    text = _LINK.sub(r"\1", markdown)
    return _EMPHASIS.sub("", _MARKER.sub("", text))


def join_sentences(sentences: Sequence[str]) -> str:
    """One text; after a Chinese full stop no blank is written."""
    text = ""
    for sentence in sentences:
        blank = "" if not text or text[-1] in "。！？…；：" else " "
        text += blank + sentence
    return text


def _quote(question: Mapping[str, float], text: str, at_most: int) -> list[str]:
    """The run of sentences that says most about the question; of equal ones the earliest.

    A run keeps what belongs together: "It is valid for a year" says nothing on its own.
    """
    # Sentences are found first: a list marker is what parts two of them.
    sentences = [s for s in (plain(raw).strip() for raw in split_sentences(text)) if s]
    best: list[str] = []
    most = -1.0
    for start in range(len(sentences)):
        run = _run(sentences[start : start + at_most])
        score = coverage(question, words_of(" ".join(run)))
        score += _OPENING if start == 0 else 0.0
        if score > most + 1e-9:
            best, most = run, score
    return best


def _run(sentences: Sequence[str]) -> list[str]:
    """The first sentence, and those after it for which there is room."""
    run = [_shortened(sentences[0])]
    for sentence in sentences[1:]:
        if sum(map(len, run)) + len(sentence) > _MAX_QUOTE:
            break
        run.append(sentence)
    return run


def _shortened(sentence: str) -> str:
    if len(sentence) <= _MAX_QUOTE:
        return sentence
    cut = sentence[:_MAX_QUOTE]
    return cut[: cut.rfind(" ")].rstrip() + " …" if " " in cut else cut + "…"
