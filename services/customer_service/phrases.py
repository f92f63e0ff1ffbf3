"""What does the bot say on its own account, in words that fit any company?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Phrase = Literal[
    "clarify",
    "confirm",
    "maybe",
    "abstain",
    "handoff",
    "person",
    "left",
    "back",
    "invalid",
    "nothing",
    "instead",
    "give_up",
    "call_failed",
    "yes",
    "no",
    "sorry",
    "sorry_one",
    "sorry_none",
    "left_open",
    "go_ahead",
    "greeting",
    "thanks",
    "goodbye",
    "nod",
    "abuse",
    "abuse_again",
    "reading_along",
    "in_line",
    "desk_open",
    "desk_open_within",
    "desk_closed",
    "desk_closed_until",
]

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
        "left": "All right, I've dropped that. Nothing was sent.",
        "back": "Back to what we were doing:",
        "invalid": "That can't be right, I'm afraid.",
        "nothing": "I couldn't find that in your message. To leave this, say “cancel”.",
        "instead": "Tell me what should be different, or say “cancel” to leave this.",
        "give_up": (
            "I don't get any further with this, so I'm passing it to a colleague, who will see "
            "what you have written."
        ),
        "call_failed": (
            "I can't look that up right now, so I'm passing it to a colleague, who will see what "
            "you have written."
        ),
        "yes": "Yes",
        "no": "No",
        "sorry": "Sorry, I got that wrong. Is it one of these?",
        "sorry_one": "Sorry, I got that wrong. Is it this?",
        "sorry_none": "Sorry, I got that wrong. Could you say it in other words?",
        "left_open": "About “{question}” I'm not sure. Please ask me that again in other words.",
        "go_ahead": "Go ahead: what is it about?",
        "greeting": "Hello! How can I help you?",
        "thanks": "You're welcome! Just write if there is anything else.",
        "goodbye": "Goodbye! Just write again whenever you need something.",
        "nod": "All right. Just write if there is anything else.",
        "abuse": (
            "I'm sorry that this is frustrating. Tell me what happened, and I'll do my best to "
            "help."
        ),
        "abuse_again": "I would like to help, but I can't like this. A colleague can take over.",
        "reading_along": "A colleague is reading along and will answer you here.",
        "in_line": (
            "You are in line for a colleague (number {position}), who will see what you have "
            "written."
        ),
        "desk_open": "A colleague will take over soon.",
        "desk_open_within": "A colleague will take over, usually within {minutes} minutes.",
        "desk_closed": (
            "Nobody is at the desk right now. You can leave your e-mail address here, and a "
            "colleague will write to you."
        ),
        "desk_closed_until": (
            "We are back {moment}. You can leave your e-mail address here, and a colleague will "
            "write to you."
        ),
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
        "left": "好的，已经取消，没有提交任何内容。",
        "back": "我们继续刚才的事：",
        "invalid": "这个好像不对。",
        "nothing": "没有在您的消息里找到需要的内容。如需退出，请说“取消”。",
        "instead": "请告诉我哪里需要修改，或者说“取消”退出。",
        "give_up": "这个我处理不了，已转交给同事，他们能看到您写的内容。",
        "call_failed": "暂时无法查询，已转交给同事，他们能看到您写的内容。",
        "yes": "是的",
        "no": "不对",
        "sorry": "抱歉，我理解错了。您问的是下面哪一个？",
        "sorry_one": "抱歉，我理解错了。您问的是这个吗？",
        "sorry_none": "抱歉，我理解错了。可以换个说法再问一次吗？",
        "left_open": "关于“{question}”，我没有把握，请换个说法再问一次。",
        "go_ahead": "请说，是什么问题？",
        "greeting": "您好！请问有什么可以帮您？",
        "thanks": "不客气！还有问题随时告诉我。",
        "goodbye": "再见！有需要随时再来。",
        "nod": "好的。还有问题随时告诉我。",
        "abuse": "很抱歉给您带来不愉快。请告诉我发生了什么，我会尽力帮您。",
        "abuse_again": "我很想帮您，但这样我帮不上忙。可以由同事来接手。",
        "reading_along": "同事正在查看您的消息，会在这里回复您。",
        "in_line": "您正在排队等候人工客服（第{position}位），同事能看到您写的内容。",
        "desk_open": "同事很快会接手。",
        "desk_open_within": "同事会接手，通常在{minutes}分钟之内。",
        "desk_closed": "现在没有同事值班。您可以在这里留下邮箱，同事会写信给您。",
        "desk_closed_until": ("我们{moment}回来。您可以在这里留下邮箱，同事会写信给您。"),
    },
}


def phrase(name: Phrase, language: str, fallback: str) -> str:
    """The phrase in this language, else in the fallback one."""
    return _PHRASES.get(language, _PHRASES[fallback])[name]


def spoken(language: str, fallback: str) -> str:
    """The language that `phrase` speaks for this one."""
    return language if language in _PHRASES else fallback


def opens_with(name: Phrase, text: str) -> bool:
    """Whether a text begins with the phrase, in any language."""
    return any(text.startswith(said[name]) for said in _PHRASES.values())
