"""How do the patterns read a text, and which word beside a number says what the number is?

A plain text has the length of its original, so positions in one are positions in the other:
digits of any script and full-width signs are the ASCII ones, spaces and dashes are one kind each.
Whatever was found already is covered with `]`, which no pattern takes in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, cast

Span = tuple[int, int]
Cue = Literal["phone", "order", "card", "version", "ip"]

COVER = "]"
# Where a number may begin: not inside a word or a code such as LY-204518, #4711 or SF1234567.
STARTS = r"(?<![A-Za-z0-9#])(?<![A-Za-z0-9][-_/.])"
ENDS = r"(?![A-Za-z0-9])"

_BEFORE = 32
_AFTER = 24


class _Plain(dict[int, int]):
    """Code point → code point, filled as characters are met; at most all of Unicode."""

    def __missing__(self, code: int) -> int:
        self[code] = plain = self._plain(code)
        return plain

    @staticmethod
    def _plain(code: int) -> int:
        character = chr(code)
        decimal = unicodedata.decimal(character, None)
        if decimal is not None:
            return ord("0") + decimal
        if 0xFF01 <= code <= 0xFF5E:
            return code - 0xFEE0
        category = unicodedata.category(character)
        if category == "Zs":
            return ord(" ")
        return ord("-") if category == "Pd" or character == "−" else code


_PLAIN = _Plain()


def plain_of(text: str) -> str:
    """The text with the same length and ASCII digits, signs, spaces and dashes."""
    return text if text.isascii() else text.translate(_PLAIN)


def covered(plain: str, spans: Iterable[Span]) -> str:
    """The text with `]` over each span; spans do not overlap."""
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        parts += (plain[at:start], COVER * (end - start))
        at = end
    return "".join((*parts, plain[at:]))


_CLAUSE_END = re.compile(r"[!?;,\n。、\[\]]|(?<=[^\W\d_]{5})\.\s")


def _words(stems: str) -> str:
    """A pattern for words that begin with one of `stems`; `=` ends a stem that is a whole word."""
    alternatives = "|".join(stem.replace("=", r"(?![^\W\d_])") for stem in stems.split())
    return rf"(?<![^\W\d_])(?:{alternatives})"


_CUES: dict[Cue, str] = {
    "phone": _words(
        r"phone telephone call ring= rang= tel= mobile cell= cellphone whats\s?app sms= text fax"
        " reach contact hotline landline ph= dial telefon handy anruf ruf rückruf mobil erreich"
        " festnetz portable= appel téléph tél= joindre fixe= m[óo]vil ll[áa]m tel[ée]f celular"
        " cellulare chiam"
    )
    + "|电话|電話|手机|手機|联系|聯繫|致电|拨打|打|座机|微信|号码是",
    "order": _words(
        r"order invoice receipt tracking parcel shipment package ref= reference case ticket sku"
        r" ean= isbn upc= item article product model part\sn serial s/n imei batch lot\sn booking"
        " voucher coupon code points balance total amount costs?= dhl= ups= fedex= transaction"
        " bestell auftrag rechnung sendung artikel kundenn vorgang paket commande facture colis"
        " réf suivi pedido factura env[ií]o seguimiento referencia ordine fattura zam[óo]wieni"
    )
    + "|订单|訂單|运单|單號|单号|快递单|物流|编号|編號|型号|发票|工单|工号|货号|货单|序列号"
    "|条形码|条码|优惠|兑换|积分|商品|邮编|票号|批次|流水号|金额",
    "card": _words("card visa mastercard amex karte kredit carte tarjeta") + "|卡",
    "version": _words("version ver= v= firmware release build update upgrade driver= patch")
    + "|版本|固件",
    "ip": _words("ip= ip- address server host ping") + "|地址",
}
_CUE = re.compile("|".join(f"(?P<{cue}>{words})" for cue, words in _CUES.items()), re.IGNORECASE)


def cue_before(plain: str, start: int) -> Cue | None:
    """What the nearest telling word before `start`, in the same clause, says a number is."""
    cue: Cue | None = None
    for match in _CUE.finditer(clause_before(plain, start)):
        cue = cast(Cue, match.lastgroup)
    return cue


def cue_after(plain: str, end: int) -> Cue | None:
    """What the first telling word after `end`, in the same clause, says a number was."""
    match = _CUE.search(clause_after(plain, end))
    return cast(Cue, match.lastgroup) if match else None


def clause_before(plain: str, start: int) -> str:
    """Up to 32 characters before `start`, from the last end of a clause on."""
    window = plain[max(0, start - _BEFORE) : start]
    ends = [match.end() for match in _CLAUSE_END.finditer(window)]
    return window[ends[-1] :] if ends else window


def clause_after(plain: str, end: int) -> str:
    """Up to 24 characters after `end`, to the first end of a clause."""
    window = plain[end : end + _AFTER]
    first = _CLAUSE_END.search(window)
    return window[: first.start()] if first else window
