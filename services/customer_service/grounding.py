"""Is what a language model wrote said by the passages that it cites?

Pure. A generated sentence is kept where one of the passages that it cites supports it:

    words      the share of its words, weighted by rarity, that stand in two sentences of the
               passage that follow each other, or in its headings, is at least ENOUGH
    facts      every number (with its unit), name, e-mail address and link stands there too
    denial     each clause denies as often as the passage's nearest clause does

Everything else is dropped, whole sentences at a time. No model judges another one here, so nothing
that an article or a message says can talk its way through; the price is that a good sentence in
entirely other words is dropped too. What is not seen: words of one passage put together into a
claim that it does not make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.text import split_sentences
from services.customer_service import facts
from services.customer_service.articles import Passage
from services.customer_service.compose import plain
from services.customer_service.evidence import coverage, words_of

Weigh = Callable[[Iterable[str]], Mapping[str, float]]

# Measured on FeedbackQA (docs/GENERATION.md): of sentences held against the passages nearest to
# them that they are not from, at most one in twenty passes this and the facts.
ENOUGH: Final = 0.75
MAX_SENTENCES: Final = 6
_LONGEST: Final = 600  # characters of one sentence
_LONGEST_QUOTE: Final = 400

_CITATION: Final = re.compile(
    r"[ \t]{0,3}(?:\[|【)(\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)(?:\]|】)(?!\()"
)
# "It is free. [1]" is cited by what stands behind its end.
_BEHIND: Final = re.compile(
    r"(?<![.!?。！？])([.!?。！？]+)"
    r"((?:[ \t]{0,3}(?:\[|【)\d{1,2}(?:\s*[,，、]\s*\d{1,2})*(?:\]|】))+)"
)
# Written for a model and for no reader. From such a sentence on, a passage is no evidence.
_ORDER: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule|guideline)s?\b"
    r"|\bsystem (?:prompt|message)\b|\byou are now\b|\blanguage model\b|\bas an ai\b"
    r"|(?:忽略|无视|忘记|忘掉).{0,20}(?:指令|提示|要求|规则)|系统提示|你现在是|语言模型",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A sentence without its marks, the number (from 0) of the passage that supports it, and what
    that says, word for word."""

    text: str
    passage: int
    quote: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sentence that is not said, and why: uncited, words, number, name, link, email, denial,
    markup, length."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Grounded:
    """What is left of a generated text, in order, and what is not."""

    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One passage, prepared: sentences, and clauses with their words; facts of the whole."""

    sentences: tuple[str, ...]
    # of stems
    windows: tuple[frozenset[str], ...]
    clauses: tuple[tuple[frozenset[str], int], ...]
    amounts: frozenset[facts.Amount]
    names: frozenset[str]
    emails: frozenset[str]

    @classmethod
    def of(cls, passage: Passage) -> Evidence:
        """What a passage gives for evidence; without what was written for a model."""
        told = readable_text(passage)
        sentences = [s for s in (plain(raw).strip() for raw in split_sentences(told)) if s]
        heading = f"{passage.title}. {passage.heading}"
        everything = f"{heading}\n{told}"
        clauses = [part for s in (heading, *sentences) for part in (s, *facts.clauses(s))]
        return cls(
            tuple(sentences),
            _windows(heading, sentences),
            tuple((_stems(part), facts.denials(part)) for part in clauses),
            frozenset(facts.amounts(everything)),
            frozenset(facts.names(everything, all_words=True)),
            frozenset(facts.emails(everything)),
        )


def _windows(heading: str, sentences: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Words of each two sentences that follow each other, with those of the headings: a whole
    passage holds the words of nearly any claim about its theme."""
    words, under = [_stems(s) for s in sentences], _stems(heading)
    return tuple(
        one | following | under
        for one, following in zip(words, [*words[1:], frozenset[str]()], strict=True)
    )


def readable_text(passage: Passage) -> str:
    """The passage up to the first sentence that was written for a model."""
    order = _ORDER.search(passage.text)
    if order is None:
        return passage.text
    before = passage.text[: order.start()]
    # The sentence that the order stands in goes as a whole.
    ends = [match.end() for match in re.finditer(r"[.!?]\s|[。！？]|\n", before)]
    return before[: ends[-1]] if ends else ""


def ground(
    generated: str, passages: Sequence[Passage], weigh: Weigh, enough: float = ENOUGH
) -> Grounded:
    """What of a generated text may be said; [n] cites `passages[n - 1]`.

    `weigh` gives words their weights, by their rarity among all passages.
    """
    evidence = [Evidence.of(passage) for passage in passages]
    texts = "\n".join(readable_text(p) for p in passages)
    allowed = facts.Allowed.of([p.url for p in passages if p.url], texts)
    kept: dict[str, Kept] = {}
    dropped: list[Dropped] = []
    for sentence in sentences_of(generated):
        text, cited = parted(sentence)
        reason = _unfit(text, allowed) or "uncited"
        if reason == "uncited":
            for number in (n - 1 for n in cited if 1 <= n <= len(evidence)):
                reason = objection(text, evidence[number], weigh, enough)
                if not reason:
                    said = plain(text).strip()
                    kept.setdefault(said, Kept(said, number, _quote(text, evidence[number], weigh)))
                    break
        if reason:
            dropped.append(Dropped(text, reason))
    return Grounded(tuple(kept.values())[:MAX_SENTENCES], tuple(dropped))


def sentences_of(generated: str) -> list[str]:
    """The sentences of a generated text, each with its citations before its end."""
    return split_sentences(_BEHIND.sub(r"\2\1", generated))


def parted(sentence: str) -> tuple[str, list[int]]:
    """A sentence without its citations, and the numbers that it cites, in order."""
    cited = [
        int(number)
        for match in _CITATION.finditer(sentence)
        for number in re.findall(r"\d{1,2}", match.group(1))
    ]
    return _CITATION.sub("", sentence).strip(), list(dict.fromkeys(cited))


def _unfit(text: str, allowed: facts.Allowed) -> str:
    """Why a sentence cannot be said whatever it cites; "" where it can."""
    if len(text) > _LONGEST:
        return "length"
    if facts.has_markup(text):
        return "markup"
    if not all(allowed.allows(link) for link in facts.links(text)):
        return "link"
    return ""


def objection(text: str, evidence: Evidence, weigh: Weigh, enough: float = ENOUGH) -> str:
    """Why this passage does not support the sentence; "" where it does."""
    if support(text, evidence, weigh) < enough:
        return "words"
    if not facts.amounts(text) <= evidence.amounts:
        return "number"
    if not facts.names(text) <= evidence.names:
        return "name"
    if not facts.emails(text) <= evidence.emails:
        return "email"
    if any(_denied_otherwise(clause, evidence, weigh) for clause in facts.clauses(text)):
        return "denial"
    return ""


def support(text: str, evidence: Evidence, weigh: Weigh) -> float:
    """The largest share of the sentence's weighted words in one window, from 0 to 1."""
    weights = _weights(plain(text), weigh)
    return max((coverage(weights, window) for window in evidence.windows), default=0.0)


def answered(question: Mapping[str, float], text: str) -> float:
    """The share of a question's weighted words that a text says in any form, from 0 to 1."""
    weights: dict[str, float] = {}
    for word, weight in question.items():
        weights[_stem(word)] = max(weight, weights.get(_stem(word), 0.0))
    return coverage(weights, frozenset(_stem(word) for word in words_of(text)))


def _stems(text: str) -> frozenset[str]:
    """The words of a text, numbers and "not" left out, as stems."""
    return frozenset(_stem(word) for word in words_of(facts.wording(text)))


def _weights(text: str, weigh: Weigh) -> dict[str, float]:
    """Its stems with the weights of the words that they are of, the rarest counting."""
    found: dict[str, float] = {}
    for word, weight in weigh(words_of(facts.wording(text))).items():
        found[_stem(word)] = max(weight, found.get(_stem(word), 0.0))
    return found


def _stem(word: str) -> str:
    """English words without -ed, -ing and a last e: "need" is in "needed". Both sides are cut the
    same, so a stem that is no word does no harm."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) >= len(ending) + 3:
            word = word.removesuffix(ending)
            return word[:-1] if word[-1] == word[-2] else word.removesuffix("e")
    return word.removesuffix("e")


def _denied_otherwise(clause: str, evidence: Evidence, weigh: Weigh) -> bool:
    """Whether what is nearest to the clause in the passage denies more or less than it does."""
    weights = _weights(clause, weigh)
    # Of parts that say equally much of it the shortest: a clause before the sentence around it.
    scores = [
        (round(coverage(weights, words), 9), -len(words), denials)
        for words, denials in evidence.clauses
    ]
    most = max((score[:2] for score in scores), default=(0.0, 0))
    nearest = {denials for *score, denials in scores if tuple(score) == most}
    return facts.denials(clause) not in nearest


def _quote(text: str, evidence: Evidence, weigh: Weigh) -> str:
    """The passage's sentence that says most of it."""
    weights = _weights(text, weigh)
    best = max(evidence.sentences, key=lambda s: coverage(weights, _stems(s)), default="")
    return best if len(best) <= _LONGEST_QUOTE else f"{best[: _LONGEST_QUOTE - 1]}…"
