"""Is a message nothing but a greeting, thanks, a farewell, a nod or abuse?

Pure. Short messages alone, by word lists: enough that a shop which has taught no such intents says
something sensible. An intent that the model is sure of comes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from core.text import comparison_key

Talk = Literal["greeting", "thanks", "goodbye", "nod", "abuse"]

_LONGEST: Final = 60  # characters
_MOST_WORDS: Final = 8


# Besides these a message of that kind may hold only `_AROUND`.
def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS: Final[Mapping[Talk, frozenset[str]]] = {
    "abuse": _set(
        "idiot idiots stupid dumb moron morons useless crap shit bullshit fuck fucking fucker"
        " asshole bastard bitch scum scammers suck sucks loser losers garbage trash pathetic damn"
        " wtf stfu dickhead piss screw"
    ),
    "thanks": _set("thanks thank thx ty tysm cheers thankyou merci danke appreciated"),
    "goodbye": _set("bye goodbye ciao cya farewell"),
    "greeting": _set("hi hello hey hiya hallo hola greetings morning howdy yo"),
    "nod": _set(
        "ok okay k great perfect fine super cool awesome wonderful alright understood nice got"
        " lovely good"
    ),
}
_AROUND: Final = _set(
    "there you u all everyone everybody anyone team sir madam dear good evening afternoon day night"
    " very much so a lot many again and for your the help quick answer reply folks guys have nice"
    " weekend just really later now ok okay well oh ah great bye thanks thank hi hello hey thats"
)
_AROUND_ABUSE: Final = _AROUND | _set(
    "are is this that it its what an off of shut up bot to me such bloody no youre piece absolute"
    " total totally go yourself service shop company"
)
_PHRASES: Final[Mapping[str, Talk]] = {
    "good morning": "greeting",
    "good afternoon": "greeting",
    "good evening": "greeting",
    "good day": "greeting",
    "hi there": "greeting",
    "anyone there": "greeting",
    "is anyone there": "greeting",
    "anybody there": "greeting",
    "see you": "goodbye",
    "see you later": "goodbye",
    "good night": "goodbye",
    "have a nice day": "goodbye",
    "have a good day": "goodbye",
    "shut up": "abuse",
    "go to hell": "abuse",
    "all good": "nod",
    "got it": "nod",
    "i see": "nod",
    "that is all": "goodbye",
    "thats all": "goodbye",
    "no thanks": "thanks",
    "no thank you": "thanks",
    "much appreciated": "thanks",
}
_CHINESE: Final[tuple[tuple[Talk, str], ...]] = (
    (
        "abuse",
        "傻逼|傻[子瓜]|白痴|笨蛋|垃圾|混蛋|王八蛋|滚蛋?|去死|他妈的|妈的|废物|脑残|骗子|神经病",
    ),
    ("thanks", "非常感谢|谢谢|多谢|感谢|谢了|辛苦了?|麻烦了"),
    ("goodbye", "再见|拜拜|拜|回头见|晚安|祝你?您?愉快"),
    ("greeting", "早上好|上午好|下午好|晚上好|早安|你好|您好|大家好|哈喽|嗨|喂|有人吗|在吗|在不在"),
    ("nod", "好的|好吧|好|明白了?|知道了?|了解了?|收到|没问题|可以了?|行|不用了?|没有了|没事了?"),
)
_AROUND_ZH = re.compile("[啊呀了哦嗯吧呢的啦您你们都这真是个太就客服机器人东西很先]+")


def small_talk(text: str) -> Talk | None:
    """What kind of small talk a message is, and nothing beside it; None where there is more."""
    if len(text) > _LONGEST:
        return None
    key = comparison_key(text)
    if not key:
        return None
    if key in _PHRASES:
        return _PHRASES[key]
    return _chinese(key) if any("\u3400" <= c <= "\u9fff" for c in key) else _by_words(key)


def _by_words(key: str) -> Talk | None:
    words = key.split()
    if len(words) > _MOST_WORDS:
        return None
    for kind, known in _WORDS.items():
        if not known.isdisjoint(words):
            around = _AROUND_ABUSE if kind == "abuse" else _AROUND
            return kind if set(words) <= known | around else None
    return None


def _chinese(key: str) -> Talk | None:
    rest, kinds = key.replace(" ", ""), []
    for kind, pattern in _CHINESE:
        rest, hits = re.subn(pattern, "", rest)
        if hits:
            kinds.append(kind)
    return kinds[0] if kinds and not _AROUND_ZH.sub("", rest) else None
