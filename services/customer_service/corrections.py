"""Does a customer say that the last answer was not what was meant?

Pure. "No, I meant a refund" is a new question with something ruled out; "that's wrong" alone rules
out and asks nothing; "yes" and "no" answer the one question that the bot asked back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.text import comparison_key

_LONGEST: Final = 60  # characters of a bare yes or no


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split("|"))


_YES: Final = _set(
    "yes|yep|yeah|yup|ja|exactly|right|correct|thats it|thats right|yes it is|yes please|sure"
    "|indeed|of course|yes exactly|yes thats it|true|i do|y"
    "|对|对的|是|是的|没错|嗯|嗯嗯|就是|就是这个|正是|是这个|对对|可以|好|好的|行"
)
_NO: Final = _set(
    "no|nope|nah|no no|wrong|thats wrong|this is wrong|that is wrong|thats not it|not that|not this"
    "|no thats wrong|no thats not it|no its not|its not|neither|none|none of these|none of them"
    "|none of those|neither of them|neither of these|incorrect|not correct|not right"
    "|thats not right|no not that|no it isnt|it isnt|no none of these|n"
    "|thats not what i asked|not what i asked"
    "|thats not what i meant|not what i meant|thats not what i want|not what i wanted"
    "|thats not what i wanted|no thats not what i asked|no thats not what i meant"
    "|that is not what i asked|that is not what i meant|this is not what i asked"
    "|you misunderstood|you misunderstood me|you got me wrong|wrong answer|that doesnt help"
    "|that didnt help|this doesnt help|that does not help|not helpful|that is not helpful"
    "|thats not helpful|that doesnt answer my question|you didnt answer my question"
    "|不|不是|不对|不是的|不是这个|都不是|错了|错|不是不是|不对不对|没有"
    "|答错了|你答错了|你理解错了|你搞错了"
    "|我问的不是这个|我不是问这个|不是这个意思|我不是这个意思|没用|没帮助|没有帮助|不是我要的|答非所问"
)
_NO_START: Final = (
    r"(?:(?:no+|nope|nah|sorry|wrong|oh|hm+|ah|well|wait|not that|actually)\b[\s,.!;:-]*)*"
)
_STRONG = re.compile(
    rf"^{_NO_START}(?:(?:that(?:'|’)?s|that is|this is|it(?:'|’)?s|you)\b[^.,;:!]{{0,40}}"
    r"\b(?:not what i (?:asked|meant|want(?:ed)?)(?: (?:for|about))?|not it|not right|wrong"
    r"|misunderstood(?: me)?)[\s,.;:!-]+(?:and |but )?)?"
    r"(?:what i (?:mean|meant|asked|wanted)(?: to ask| to say)? (?:is|was)\b"
    r"|i (?:actually |really )?(?:mean|meant|was (?:asking|talking) about|asked about|asked for"
    r"|am (?:asking|talking) about)\b)[\s,:]*(?:to ask|to say|that|rather)?[\s,:]*",
    re.IGNORECASE,
)
_NOT_ASKED = re.compile(
    rf"^{_NO_START}(?:that(?:'|’)?s|that is|this is|it(?:'|’)?s) (?:not what i (?:asked|meant"
    r"|want(?:ed)?)(?: (?:for|about))?|not it|wrong)[\s]*[,.;:!-]+\s*",
    re.IGNORECASE,
)
_WEAK = re.compile(r"^(?:no+|nope|nah|wrong)\s*[,.;:!-]+\s*(?=\S)", re.IGNORECASE)
_STRONG_ZH = re.compile(
    r"^(?:不是的?|不对|错了|不|你?理解错了|你?搞错了)?(?:这个)?(?:意思)?[\s,.!;:、。]*"
    r"我(?:说的是|是说|问的是|是问|的意思是|想问的是|指的是|是想问|想说的是|要问的是)[\s,:]*"
)
_NOT_ASKED_ZH = re.compile(r"^(?:我问的不是这个|我不是问这个|不是这个意思|答非所问)[\s,.!;:、。]+")
_WEAK_ZH = re.compile(r"^(?:不是的?|不对|错了)[\s]*[,.!;:、。]+\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class Correction:
    """`rest`: what is asked instead. `certain`: the words can only mean that the last answer was
    not wanted; "no, my parcel is not here" may go with it."""

    rest: str
    certain: bool


def correction_of(text: str) -> Correction | None:
    """The new question of a normalised message that corrects; None where it corrects nothing, or
    asks nothing instead (`denies`)."""
    for certain, patterns in (
        (True, (_STRONG, _NOT_ASKED, _STRONG_ZH, _NOT_ASKED_ZH)),
        (False, (_WEAK, _WEAK_ZH)),
    ):
        for pattern in patterns:
            match = pattern.match(text)
            if match is not None and match.end() > 0:
                rest = text[match.end() :].strip()
                if any(character.isalnum() for character in rest):
                    return Correction(rest, certain)
    return None


def denies(text: str) -> bool:
    """Whether a message says no to the answer before it, and nothing else."""
    return len(text) <= _LONGEST and comparison_key(text) in _NO


def agrees(text: str) -> bool:
    """Whether a message says yes and nothing else."""
    return len(text) <= _LONGEST and comparison_key(text) in _YES
