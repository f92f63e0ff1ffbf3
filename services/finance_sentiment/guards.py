"""Which two headlines can never be one story, however alike they sound?

Pure rules over two titles, in English and Chinese. They refuse where each side has something that
speaks against the other:

- figures: each holds a number that the other lacks ("12 %" and "21 %"; 1.5 bln is 1,500,000,000);
- names: each holds a capitalised word that the other lacks;
- Chinese words: each has signs that the other lacks, what only joins left aside;
- directions: of the words that only one side has, one says up where the other says down;
- negation: one denies, the other does not;
- sequels and previews: one tells what came after (completed, appealed, restarted) or is only to
  come (to report results), the other does not;
- called off: one says that it is cancelled, the other does not;
- roles: one is about the chief executive, the other about the finance chief;
- swapped sides: the same words, but who did it and to whom have changed places ("A buys B").

Otherwise what only one side mentions refuses nothing: headlines leave things out. A headline in
which every word is capitalised has only names, so its rewordings are kept apart; that errs on the
safe side.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

# Data of our own, read once: the lists are long, and others may want to add to them.
_LISTS: dict[str, str] = yaml.safe_load(
    Path(__file__).with_name("guard_words.yaml").read_text(encoding="utf-8")
)
_TAG = re.compile(
    r"^\s*(?:(?:UPDATE|WRAPUP|RPT|CORRECTED|REFILE|BRIEF|EXCLUSIVE|ANALYSIS|FACTBOX|FOCUS)"
    r"\s*\d*\s*-|[A-Z]{4,12}\s*:|【[^】]{1,8}】"
    r"|(?:快讯|突发|独家|更新|消息称)\s*[：:]?)\s*"
)
_OUTLET = re.compile(
    r"\s+[|·–—]\s+[^|·–—]{2,30}$|\s+-\s+(?:[A-Z][\w.]*\s?){1,4}$"
    r"|\s*[（(](?:图|更新|完|来源[：:][^)）]{1,20})[)）]\s*$"
)
_DOTTED = re.compile(r"\b(?:[A-Za-z]\.){2,}")

_NUMBER = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:[.,]\d+)*)\s*(bln|billion|bn|mln|million|mn|m|b|k|"
                     r"thousand|trillion|trln|万亿|千亿|百亿|十亿|亿|千万|百万|万)?(?![a-z])",
                     re.IGNORECASE)  # fmt: skip
_SCALE = {
    **dict.fromkeys(("k", "thousand"), 1e3),
    **dict.fromkeys(("mln", "million", "mn", "m", "百万"), 1e6),
    **dict.fromkeys(("bln", "billion", "bn", "b", "十亿"), 1e9),
    **dict.fromkeys(("trillion", "trln", "万亿"), 1e12),
    **{"万": 1e4, "千万": 1e7, "亿": 1e8, "百亿": 1e10, "千亿": 1e11},
}
_NUMBER_WORDS = {
    word: number
    for number, words in enumerate(
        [
            *("zero", "one first", "two second", "three third", "four fourth", "five fifth"),
            *("six sixth", "seven seventh", "eight eighth", "nine ninth", "ten tenth"),
            *("eleven eleventh", "twelve twelfth"),
        ]
    )
    for word in words.split()
}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_WORDS |= {word: 10 * tens for tens, word in enumerate(_TENS, 2)}
_MULTIPLES = {"half": "x0.5", "halves": "x0.5", "halved": "x0.5"}
_MULTIPLES |= dict.fromkeys(("double", "doubles", "doubled", "twice"), "x2")
_MULTIPLES |= dict.fromkeys(("triple", "triples", "tripled"), "x3")
_CHINESE_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九十")} | {"两": 2}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
# What stands between two sides without a direction from one to the other.
_BETWEEN = frozenset(
    ["a", "an", "and", "as", "by", "in", "of", "on", "or", "the", "to", "with", *"&与和同及"]
)
# A Chinese numeral is a figure only in front of what it counts: 统一 and 一致 are none.
# One of several signs has a ten or a hundred in it, in order: 三一 is a name, and 十四五 not 15.
_DIGIT, _NUMERAL = "[一二两三四五六七八九]", "[零一二两三四五六七八九十百千]"
_CHINESE_NUMBER = re.compile(
    rf"(百分之)?(?<!{_NUMERAL})((?={_NUMERAL}{{2}})(?=.?[十百千])"
    rf"(?:{_DIGIT}千零?)?(?:{_DIGIT}百零?)?(?:{_DIGIT}?十)?{_DIGIT}?(?!{_NUMERAL})"
    rf"|(?<=百分之)[一二三四五六七八九十](?!{_NUMERAL})|[一二两三四五六七八九十](?=[月周季年个家人次天日倍成名座第万亿]))"
)
# What is no such numeral counts as it stands: 十四五 and 十五五 are other plans.
_CHINESE_RUN = re.compile(f"{_NUMERAL}{{2,}}")
_CHINESE = re.compile("[\u3400-\u9fff]")
_CAPITALISED = re.compile(r"(?<![\w&])[A-Z][\w&]*(?:['’-][A-Z]\w*)*")
_WORD = re.compile(r"[a-z0-9][\w&]*")

_UP = _LISTS["up"].split()
_DOWN = _LISTS["down"].split()
_CHINESE_UP = _LISTS["chinese_up"].split()
_CHINESE_DOWN = _LISTS["chinese_down"].split()
_SIGN = dict.fromkeys(_UP, 1) | dict.fromkeys(_DOWN, -1)
_CHINESE_SIGN = dict.fromkeys(_CHINESE_UP, 1) | dict.fromkeys(_CHINESE_DOWN, -1)
_CHINESE_DIRECTION = re.compile("|".join(sorted(_CHINESE_SIGN, key=len, reverse=True)))
_CHINESE_JOINS = re.compile(
    "|".join(sorted(_LISTS["chinese_joins"].split(), key=len, reverse=True))
)
# About, over, nearly: in front of a figure they say nothing of their own.
_CHINESE_ABOUT = re.compile(r"(?:超过?|逾|将?近|大?约)(?=\d)")
_NEGATION = re.compile(
    r"\b(?:not|no|never|without|cannot|denies|denied|deny)\b|n['’]t\b|没有|并未|未(?!来)|否认|不会"
)
_SEQUEL = re.compile(
    r"\b(?:complet(?:e|es|ed)|finali[sz](?:e|es|ed)|su(?:e|es|ed)|lawsuit|challenges?|challenged|"
    r"appeals?|appealed|anniversary|aftermath|restarts?|restarted|resum(?:e|es|ed)|reopens?|reopened)\b"
    r"|完成|上诉|起诉|诉讼|申诉|重启|恢复"
)
# What is only announced, where the other headline brings the thing itself.
_PREVIEW = re.compile(
    r"\bto (?:report|publish|release|announce|present|vote|decide)\b|将公布|将发布|将于.{1,8}公布"
)
_CALLED_OFF = re.compile(
    r"\b(?:cancel(?:s|led|ed)?|call(?:s|ed)? off|scrap(?:s|ped)?|abandon(?:s|ed)?|"
    r"ditch(?:es|ed)?|shel(?:ve|ves|ved)|walk(?:s|ed)? away)\b"
    r"|取消|撤销|终止|放弃|告吹"
)
# Who goes and comes: a new finance chief is not a new chief executive.
_ROLES = {
    role: re.compile(words)
    for role, words in (
        ("executive", r"\b(?:ceo|chief executive)\b|首席执行官|总裁|总经理"),
        (
            "finance",
            r"\b(?:cfo|chief financial|finance chief|finance director)\b|首席财务官|财务总监",
        ),
        ("operations", r"\b(?:coo|chief operating)\b|首席运营官"),
        ("technology", r"\b(?:cto|chief technology)\b|首席技术官"),
        ("chair", r"\bchair(?:man|woman|person)?\b|董事长|主席"),
    )
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What the guards look at in one headline."""

    figures: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]
    signs: tuple[tuple[str, int], ...]
    chinese: frozenset[str]
    negated: bool
    sequel: bool
    preview: bool
    called_off: bool
    order: tuple[str, ...]
    roles: frozenset[str]


def bare_title(title: str) -> str:
    """The headline without what outlets put around it: wire tags in front, their name behind."""
    text = unicodedata.normalize("NFKC", title)
    text = _DOTTED.sub(lambda found: found[0].replace(".", ""), text)
    return _OUTLET.sub("", _TAG.sub("", text)) or text


@lru_cache(maxsize=20_000)
def marks(title: str) -> Marks:
    """Figures, names, directions and negation of a headline."""
    text = bare_title(title)
    lowered = text.lower()
    latin = _CHINESE.sub(" ", text)
    ordered = [_stem(word) for word in _WORD.findall(latin.lower())]
    words = frozenset(ordered)
    names = {_stem(word.lower()) for word in _CAPITALISED.findall(latin)}
    names -= {_stem(w) for w in (*_NUMBER_WORDS, *_SIGN)}
    signs = [(w, _SIGN[w]) for w in _WORD.findall(lowered) if w in _SIGN]
    signs += [(w, _CHINESE_SIGN[w]) for w in _CHINESE_DIRECTION.findall(text)]
    return Marks(
        figures=frozenset(_figures(lowered)),
        names=frozenset(names),
        words=words,
        signs=tuple(signs),
        chinese=frozenset(_content(text)),
        negated=_NEGATION.search(lowered) is not None,
        sequel=_SEQUEL.search(lowered) is not None,
        preview=_PREVIEW.search(lowered) is not None,
        called_off=_CALLED_OFF.search(lowered) is not None,
        order=tuple(_CHINESE.findall(text) or ordered),
        roles=frozenset(role for role, found in _ROLES.items() if found.search(lowered)),
    )


def refusal(first: str, second: str) -> str:
    """Why two headlines are kept apart; "" where no guard speaks."""
    one, other = marks(first), marks(second)
    reasons = (
        ("other figures", one.figures - other.figures and other.figures - one.figures),
        ("other names", _missing(one, other) and _missing(other, one)),
        ("opposite directions", _opposed(one, other)),
        ("other words", one.chinese - other.chinese and other.chinese - one.chinese),
        ("one denies", one.negated != other.negated),
        ("one is a sequel", one.sequel != other.sequel),
        ("one is a preview", one.preview != other.preview),
        ("one is called off", one.called_off != other.called_off),
        ("swapped sides", _swapped(one, other)),
        ("other roles", one.roles and other.roles and not one.roles & other.roles),
    )
    return next((reason for reason, speaks in reasons if speaks), "")


def _opposed(one: Marks, other: Marks) -> bool:
    """Whether of the words that only one of them has, some say up where others say down. The same
    ups and downs in the same order ("trims as costs climb", "reduces on rising costs") agree."""
    ups = [sign for word, sign in one.signs if word not in dict(other.signs)]
    downs = [sign for word, sign in other.signs if word not in dict(one.signs)]
    return ups != downs and any(-sign in downs for sign in ups)


def _swapped(one: Marks, other: Marks) -> bool:
    """Whether two names before and behind a common word have changed places. Chinese is read sign
    by sign, where single ones are shared by chance: there all of them must be the same."""
    if one.chinese and sorted(one.order) != sorted(other.order):
        return False
    shared = (set(one.order) & set(other.order)) - _BETWEEN
    here = [word for word in one.order if word in shared]
    there = [word for word in other.order if word in shared]
    names = shared if one.chinese else one.names & other.names
    while here and there and here[0] == there[0]:
        here, there = here[1:], there[1:]
    while here and there and here[-1] == there[-1]:
        here, there = here[:-1], there[:-1]
    # here = before + word + behind, there = behind + word + before
    return any(
        there == here[end:] + here[start:end] + here[:start]
        and names.intersection(here[:start])
        and names.intersection(here[end:])
        for start in range(1, len(here) - 1)
        for end in range(start + 1, len(here))
    )


def _content(text: str) -> str:
    """The Chinese signs of a headline that carry its content, without what only joins; words for
    up and down as + and -, since 暴跌 and 大跌 are one, while 扩大 and a word not known are not."""
    marked = _CHINESE_DIRECTION.sub(
        lambda found: "+" if _CHINESE_SIGN[found[0]] > 0 else "-",
        _CHINESE_ABOUT.sub("", with_digits(text)),
    )
    bare = _CHINESE_JOINS.sub("", marked)
    has_chinese = any("\u4e00" <= sign <= "\u9fff" for sign in bare)
    return "".join(s for s in bare if s in "+-" or "\u4e00" <= s <= "\u9fff") if has_chinese else ""


def _missing(one: Marks, other: Marks) -> bool:
    """Whether a name of one is nowhere in the other, in any form of the word."""
    return any(
        name not in other.names and not any(_akin(name, word) for word in other.words)
        for name in one.names
    )


def _akin(name: str, word: str) -> bool:
    # Asia and Asian, Germany and German: four letters and more of a common beginning.
    short, long = sorted((name, word), key=len)
    return short == long or (len(short) >= 4 and long.startswith(short))


def _stem(word: str) -> str:
    return word.removesuffix("'s").removesuffix("’s")


def with_digits(text: str) -> str:
    """The text with Chinese numerals that count something as digits: 三月 is 3月."""
    return _CHINESE_NUMBER.sub(lambda found: f"{_counted(found[2])}{'%' if found[1] else ''}", text)


def _counted(numeral: str) -> int:
    """The value of a Chinese numeral below ten thousand: 六十 is 60."""
    total = digit = 0
    for sign in numeral:
        if unit := _CHINESE_UNITS.get(sign):
            total, digit = total + (digit or 1) * unit, 0
        else:
            digit = _CHINESE_DIGITS[sign]
    return total + digit


def _figures(text: str) -> set[str]:
    text = with_digits(text)
    found = set(_CHINESE_RUN.findall(text))
    for digits, scale in _NUMBER.findall(text):
        plain = re.sub(r",(?=\d{3}(?!\d))", "", digits).replace(",", ".")
        try:
            value = float(plain) * _SCALE.get(scale.lower(), 1.0)
        except ValueError:  # a version or a date: 1.2.3
            found.add(plain)
            continue
        found.add(f"{value:.12g}")
    for word in re.findall(r"[a-z]+", text):
        if word in _NUMBER_WORDS:
            found.add(str(_NUMBER_WORDS[word]))
        elif word in _MULTIPLES:
            found.add(_MULTIPLES[word])
    return found
