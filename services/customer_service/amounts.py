"""Which sums of money does a message name?

Pure. "20 euros", €20, 1.234,56 EUR, ¥20, 20元, 3万元 become "20.00 EUR" and so on. Of two
separators the last one is the decimal sign; a single one with three digits behind it groups
thousands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from services.customer_service.slots import NUMERAL, Span, han_number

CURRENCY: Final = re.compile(r"[A-Z]{3}")

# ISO 4217 code ← how it is written, before or behind the number.
_WRITTEN: Final[Mapping[str, str]] = {
    "EUR": "€ eur euro euros 欧元",
    "USD": "us$ usd dollar dollars bucks 美元 美金",
    "GBP": "£ gbp pound pounds 英镑",
    "CNY": "cny rmb yuan renminbi 人民币 元 块钱 块",
    "JPY": "jpy yen 日元 円",
    "HKD": "hk$ hkd 港元 港币",
    "CHF": "chf franken francs",
    "CAD": "c$ ca$ cad 加元",
    "AUD": "a$ au$ aud 澳元",
    "SGD": "s$ sgd 新元",
    "INR": "₹ inr rupees rupee 卢比",
    "KRW": "₩ krw 韩元",
}
_CODES: Final = {word: code for code, words in _WRITTEN.items() for word in words.split()}
# Signs of several currencies: the slot's own where it is among these, else the first.
_SHARED: Final[Mapping[str, tuple[str, ...]]] = {
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN"),
    "¥": ("CNY", "JPY"),
    "￥": ("CNY", "JPY"),
    "dollar": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD"),
    "dollars": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD"),
}
_MANY: Final = {"": 1, "千": 1_000, "万": 10_000, "亿": 100_000_000}

_WORDS = sorted({*_CODES, *_SHARED}, key=lambda word: (-len(word), word))
_SIGNS = "|".join(
    re.escape(word) if not word[:1].isascii() or not word.isalpha() else rf"(?<![A-Za-z]){word}"
    for word in _WORDS
    if word != "块"
)
# 块 is also a piece, as in 一块屏幕.
_BEHIND = "|".join(
    rf"{re.escape(word)}(?![A-Za-z])" if word[-1].isascii() and word[-1].isalpha()
    else r"块(?![\u4e00-\u9fff])" if word == "块"
    else re.escape(word)
    for word in _WORDS
)  # fmt: skip
_NUMBER = r"[0-9]{1,3}(?:[ ,.'’][0-9]{3}){1,3}(?:[.,][0-9]{1,2})?|[0-9]{1,12}(?:[.,][0-9]{1,2})?"
# Not inside a number, nor its last group: "10 500 euros" is no 500.
_START = r"(?<![0-9.,])(?<![A-Za-z_]-)(?:(?<![0-9] )|(?![0-9]{3}(?![0-9])))"
_END = r"(?![.,']?[0-9])"
_PREFIXED = re.compile(rf"(?P<sign>{_SIGNS})\s?(?P<number>{_NUMBER}){_END}(?P<many>[万亿]?)", re.I)
_SUFFIXED = re.compile(
    rf"{_START}(?<![A-Za-z_])(?P<number>{_NUMBER}){_END}(?P<many>[千万亿]?)\s?(?P<sign>{_BEHIND})",
    re.I,
)
_HAN = re.compile(
    rf"(?P<number>{NUMERAL}{{1,8}})(?P<many>[万亿]?)(?P<sign>欧元|美元|元|块钱|英镑|日元|港元)"
)
_BARE = re.compile(rf"\s*(?P<number>{_NUMBER})(?P<many>[千万亿]?)\s*")


def amount_spans(text: str, currency: str = "") -> list[Span]:
    """The sums named. `currency`: the code of a message that is a bare number, and of a sign that
    several currencies share; "" for none."""
    found: list[Span] = []
    for pattern in (_PREFIXED, _SUFFIXED, _HAN):
        for match in pattern.finditer(text):
            value = _value(match["number"], match["many"])
            if value is not None:
                code = _code(match["sign"].lower(), currency)
                found.append(Span(match.start(), match.end(), f"{value:.2f} {code}"))
    bare = _BARE.fullmatch(text) if currency and not found else None
    if bare is not None and (value := _value(bare["number"], bare["many"])) is not None:
        return [Span(0, len(text), f"{value:.2f} {currency}")]
    found.sort(key=lambda span: (span.start, -span.end))
    return [s for n, s in enumerate(found) if not any(s.start < o.end for o in found[:n])]


def _code(sign: str, currency: str) -> str:
    shared = _SHARED.get(sign, ())
    if currency in shared:
        return currency
    return shared[0] if shared else _CODES[sign]


def _value(number: str, many: str) -> Decimal | None:
    """None where it makes no number, such as 1.234.56."""
    if number[0] not in "0123456789":
        han = han_number(number)
        return None if han is None else Decimal(han) * _MANY[many]
    separators = re.findall("[^0-9]", number)
    decimal = separators[-1] if separators and _is_decimal(number, separators) else ""
    groups = set(separators[:-1] if decimal else separators)
    if len(groups) > 1 or decimal in groups:
        return None
    whole, _, rest = number.rpartition(decimal) if decimal else (number, "", "0")
    return Decimal(f"{re.sub('[^0-9]', '', whole)}.{rest or '0'}") * _MANY[many]


def _is_decimal(number: str, separators: list[str]) -> bool:
    behind = len(number) - number.rfind(separators[-1]) - 1
    if behind != len("000"):
        return separators[-1] in ".,"
    # 0.500 groups nothing.
    return number.startswith("0") and len(separators) == 1 and separators[-1] in ".,"
