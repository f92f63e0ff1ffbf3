"""Does a message lean on the question before it, and what does it add?

Pure. "And for Germany?" says nothing alone. Words tell that a message may be such a one (a
connective at its start, a pronoun with nothing to point at, too little to be a sentence); the
model's reading and the articles tell whether the two together mean something. Three kinds:

    fragment    "and for Germany?", 那德国呢: the same question about something else
    reference   "how much is it then?", 多久: another question about the same thing
    bare        "express", 德国: a word or two, either a fragment or a topic of its own

A follow-up counts only where what is new in it is spoken of: joined with "how much is shipping?",
"and the weather?" still reads like a question about shipping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final, Literal

from core.text import is_cjk_heavy
from services.customer_service.compose import ScoredPassage
from services.customer_service.domain import Candidate, Reading
from services.customer_service.evidence import coverage, words_of

Kind = Literal["fragment", "reference", "bare"]

# Longer messages hold what they are about.
_MOST_WORDS: Final = 8
_MOST_BARE_WORDS: Final = 3
_MOST_CHARACTERS: Final = 12
_MOST_BARE_CHARACTERS: Final = 4
# One that points at something adds no more than this, else it has a topic of its own: "if I cancel
# now, does it cost anything?"
_MOST_ADDED: Final = 2
# More than half of what a follow-up adds must stand where the answer is taken from.
_SAID: Final = 0.5

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LEAD = re.compile(
    r"(?:(?:and|or|but|so|also|ok|okay|well|then|oh|hm+|yes|thanks|thank you|great|alright)\b"
    r"[\s,.!]*)*"
    r"(?:(?:what|how) about\b|what if\b|same (?:thing )?(?:for|with)\b|even\b|only\b)?\s*",
    re.IGNORECASE,
)
_NOD = re.compile(
    r"^(?:(?:so|ok|okay|well|oh|hm+|yes|thanks|thank you|great|alright)\b[\s,.!]*)+", re.IGNORECASE
)
_MARKED = re.compile(
    r"(?:and|or|but|also|even|then|only|what about|how about|what if|same|for|with|without|in|to|on"
    r"|from|by|at|via)\b|.*\b(?:too|as well|instead|also)\W*$",
    re.IGNORECASE | re.DOTALL,
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CONDITION = re.compile(r"(?:and |but |or )?what if\b", re.IGNORECASE)
_POINTS: Final = _set(
    "it its it's it’s that that's that’s this these those they they're they’re them their one ones"
    " itself same"
)
# A message with one of these is a sentence, and what it is about stands in it.
_CLAUSE: Final = _set(
    "is are was were am be do does did have has had can could will would should may might must i we"
    " you i'm i’m i've i’ve i'd i’d isn't aren't don't doesn't didn't can't won't hasn't haven't my"
    " our who what when where why which how whose please want need help get"
)
_ASKS: Final = _set("how when where why what which who")
# Words that say nothing of what a message is about.
_EMPTY: Final = (
    _POINTS
    | _CLAUSE
    | _set(
        "and or but so also too then a an the of for to in on with without from by at as about even"
        " only just still not no if than well same instead much many long often far soon some any"
        " me us your ok okay yes there thing now been being via though other else"
    )
)

_LEAD_ZH = re.compile(
    r"^(?:好的|谢谢|嗯|哦|请问|[,.!、。!\s])*(?:那么|那|还有|另外|如果|要是|换成|改成|而且|只是|但是)?"
)
_MARKED_ZH = re.compile(
    r"^(?:那么?|还有|如果|要是|换成|改成)|呢$|(?:也|都)(?:可以|行|能|一样|要|是)?吗?$"
)
_POINTS_ZH = re.compile("它|这个|那个|这种|那种|这些|那些|这样|那样|这款|那款|这边|那边")
_ASKS_ZH = re.compile("怎么|什么|多久|多少|几天|几个|哪|为什么|如何|何时|谁|能不能|可不可以|要不要")
_WHOLE_ZH = re.compile("我|你|您|想|请|帮|需要")
_EMPTY_ZH = re.compile(
    "这个|那个|这种|那种|这些|那些|这样|那样|这款|那款|这边|那边|它"
    "|那么|那|还有|另外|如果|要是|换成|改成|可以|一样|怎么|什么|多久|多少|为什么|如何|能不能|请问|好的|[呢吗啊呀吧的了也都要能行是会有给用几哪]"
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_END = re.compile(r"[\s?!.,;:。！？，…~]+$")


def is_short(text: str) -> bool:
    """Whether a message may be a piece of one: a longer one says what it is about."""
    if is_cjk_heavy(text):
        return len(_HAN.findall(text)) <= _MOST_CHARACTERS
    return len(_WORD.findall(text)) <= _MOST_WORDS


def kind_of(text: str) -> Kind | None:
    """How a normalised message may lean on another one; None where it stands on its own."""
    if len(text) > 200:
        return None
    return _kind_zh(text) if is_cjk_heavy(text) else _kind_en(text)


def _kind_en(text: str) -> Kind | None:
    words = [word.lower() for word in _WORD.findall(text)]
    rest = [word.lower() for word in _WORD.findall(text[_lead_end(text) :])]
    if not rest or len(words) > _MOST_WORDS:
        return None
    points = any(word in _POINTS for word in rest)
    if points or _CONDITION.match(text):
        return "reference" if len(added_words(text)) <= _MOST_ADDED else None
    if rest[0] in _ASKS and set(rest) <= _EMPTY:
        return "reference"  # "how much?", "and when?"
    if any(word in _CLAUSE for word in rest):
        return None
    if _MARKED.match(_NOD.sub("", text)) is not None:
        return "fragment"
    value = any(character.isdigit() for character in text)
    return "bare" if len(words) <= _MOST_BARE_WORDS and not value else None


def _lead_end(text: str) -> int:
    match = _LEAD.match(text)
    return 0 if match is None else match.end()


def _kind_zh(text: str) -> Kind | None:
    said = _END.sub("", text)
    rest = _LEAD_ZH.sub("", said)
    length = len(_HAN.findall(said))
    if length > _MOST_CHARACTERS or _WHOLE_ZH.search(rest):
        return None
    asks = _ASKS_ZH.search(rest) is not None
    if _POINTS_ZH.search(rest) or (asks and not added_words(said)):
        return "reference"
    if _MARKED_ZH.search(said):
        return "reference" if asks else "fragment"
    return "bare" if length <= _MOST_BARE_CHARACTERS and not asks else None


def added_words(text: str) -> frozenset[str]:
    """The words of a message that say what it is about; often none in a reference."""
    if is_cjk_heavy(text):
        return words_of(_EMPTY_ZH.sub(" ", text))
    kept = [word for word in _WORD.findall(text) if word.lower() not in _EMPTY]
    return words_of(" ".join(kept))


def join(*texts: str) -> str:
    """Texts as one, in order, read as sentences of their own."""
    return " ".join(text for text in texts if text)


def says(added: AbstractSet[str], weights: Mapping[str, float], words: AbstractSet[str]) -> bool:
    """Whether `words` hold more than half of what was added, by `weights` (1 where none is known);
    true where nothing was added."""
    weighed = {word: weights.get(word, 1.0) for word in added}
    return not weighed or coverage(weighed, words) > _SAID


def prefer(
    found: Sequence[ScoredPassage], added: AbstractSet[str], weights: Mapping[str, float]
) -> tuple[ScoredPassage, ...]:
    """The passages that say what was added, in their order: the others speak to the question
    before alone."""
    return tuple(s for s in found if says(added, weights, words_of(s.passage.searched)))


def without(reading: Reading, ruled_out: AbstractSet[str]) -> Reading:
    """The reading of somebody who has said what is not meant.

    A reading that is sure of something ruled out is sure of nothing: its chance was that of the
    first intent. The next ones get what is left of the chance that one of the first two is right.
    """
    if not any(candidate.intent in ruled_out for candidate in reading.ranked):
        return reading
    left = tuple(c for c in reading.ranked if c.intent not in ruled_out)
    if left and left[0] == reading.ranked[0]:
        return replace(reading, ranked=left)
    total = sum(c.probability for c in left)
    scaled = tuple(Candidate(c.intent, c.probability / total) for c in left) if total else ()
    return Reading(scaled, 0.0, 0.0, sure=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """A message read together with those before it.

    `kind` None: they came in one burst. `before`: the intent that was answered last; `added`: what
    the message is about.
    """

    text: str
    reading: Reading
    kind: Kind | None
    before: str | None
    added: frozenset[str]


def joined_intent(
    joined: Joined, answers_say: Mapping[str, AbstractSet[str]], passage_says: bool
) -> str | None:
    """The intent that a joined reading is sure of and that may be answered; None: it does not
    count.

    `answers_say`: the words of each intent's own answers; `passage_says`: whether a passage that
    speaks to the joined text says what was added.
    """
    if not joined.reading.sure or not joined.reading.ranked:
        return None
    intent = joined.reading.ranked[0].intent
    if intent not in answers_say:
        return None
    if joined.kind is None:
        return intent
    said = says(joined.added, {}, answers_say[intent])
    if intent != joined.before:
        # A word or two can be a topic of their own, which the question before drowns.
        return intent if said or (passage_says and joined.kind != "bare") else None
    # The same again: right for "and Germany?", wrong for "how much is it?".
    if joined.kind == "fragment" and joined.added:
        return intent if said or passage_says else None
    return intent if joined.kind == "bare" and joined.added and said else None
