"""What does the bot say on its own account, in words that fit any company?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Phrase = Literal["clarify", "confirm", "maybe", "abstain", "handoff", "person"]

_PHRASES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "clarify": "I want to be sure that I got you right. Which of these do you mean?",
        "confirm": "I want to be sure that I got you right. Is it this?",
        "maybe": "I'm not certain that this is what you are after, but it may help:",
        "abstain": (
            "I'm not sure about that one and would rather not guess. Could you say it in other "
            "words? Or ask for a person."
        ),
        "handoff": (
            "I have no reliable answer to this, so I'm passing it to a colleague, who will see "
            "what you have written."
        ),
        "person": "Talk to a person",
    },
    "zh": {
        "clarify": "我想确认一下您的意思，您问的是哪一个？",
        "confirm": "我想确认一下您的意思，您问的是这个吗？",
        "maybe": "不确定这是否是您想知道的，供您参考：",
        "abstain": (
            "这个问题我没有把握，不想随便猜测。可以换个说法再问一次吗？您也可以要求转人工客服。"
        ),
        "handoff": "这个问题我没有可靠的答案，已转交给同事，他们能看到您写的内容。",
        "person": "转人工客服",
    },
}


def phrase(name: Phrase, language: str, fallback: str) -> str:
    """The phrase in this language, else in the fallback one."""
    return _PHRASES.get(language, _PHRASES[fallback])[name]
