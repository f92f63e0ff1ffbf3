"""Where does a text hold an IBAN, a payment card, or the number of a person's national document?

A pattern finds candidates, python-stdnum checks the digits; where the check is weak (one digit in
ten or eleven passes by chance) a word beside the number must name it, or must not call it an order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from core.privacy.plain import ENDS, STARTS, Span, clause_after, clause_before, cue_before


@cache
def _stdnum(module: str) -> Any:
    return import_module(f"stdnum.{module}")


# --- IBAN ----------------------------------------------------------------------------------------

_IBAN = re.compile(rf"{STARTS}[A-Za-z]{{2}}\d{{2}}(?:[ -]?[A-Za-z0-9]){{11,30}}", re.ASCII)
_SHORTEST_IBAN = 15


def ibans(plain: str) -> Iterator[Span]:
    """IBANs, in groups or not, in capitals or not."""
    at = 0
    while match := _IBAN.search(plain, at):
        span = _iban_in(plain, match)
        at = span[1] if span else match.start() + 1
        if span:
            yield span


def _iban_in(plain: str, match: re.Match[str]) -> Span | None:
    """The longest valid IBAN that begins with the match: words may have been taken for groups."""
    start = match.start()
    for end in range(match.end(), start + _SHORTEST_IBAN - 1, -1):
        if plain[end : end + 1].isascii() and plain[end : end + 1].isalnum():
            continue
        number = re.sub("[ -]", "", plain[start:end]).upper()
        # ISO 7064 mod 97 first: it is quick, and hardly a text passes it.
        digits = "".join(str(int(c, 36)) for c in number[4:] + number[:4])
        if int(digits) % 97 == 1 and _stdnum("iban").is_valid(number):
            return start, end
    return None


# --- payment cards -------------------------------------------------------------------------------

_CARD_SHAPES = tuple(
    re.compile(STARTS + shape + ENDS, re.ASCII)
    for shape in (
        r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}\1\d{3}",
        r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}",
        r"\d{4}([ -]?)\d{6}\1\d{4,5}",
        r"\d{13}",
    )
)
# The issuers' ranges (ISO/IEC 7812): brand by first digits and length.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|220[0-4]\d{12}"  # Mir
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners
    r"|(?:62|81)\d{14}(?:\d{3})?"  # UnionPay
)


def cards(plain: str) -> Iterator[Span]:
    """Payment cards: a known issuer's range, its length, and the Luhn digit."""
    taken: set[int] = set()
    for shape in _CARD_SHAPES:
        for match in shape.finditer(plain):
            number = re.sub("[ -]", "", match.group())
            if match.start() in taken or not _ISSUERS.fullmatch(number):
                continue
            if _stdnum("luhn").is_valid(number) and cue_before(plain, match.start()) != "order":
                taken.add(match.start())
                yield match.span()


# --- national ids --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Document:
    """`module` of stdnum checks what `pattern` finds ("" where the number has no check digit).

    `named_by`: the words one of which must stand beside it; None: none needs to, but for `weak`
    ones no word may call it an order number.
    """

    module: str
    pattern: re.Pattern[str]
    named_by: re.Pattern[str] | None = None
    weak: bool = False


def _document(module: str, shape: str, named_by: str = "", weak: bool = False) -> _Document:
    pattern = re.compile(STARTS + f"(?:{shape})" + ENDS, re.ASCII | re.IGNORECASE)
    words = re.compile(named_by, re.IGNORECASE) if named_by else None
    return _Document(module, pattern, words, weak)


_NINO = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]{0}\d\d{0}\d\d{0}\d\d{0}[A-D]"
_CODICE = r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]"
_DOCUMENTS = (
    _document("cn.ric", r"\d{17}[\dX]"),
    _document("us.ssn", r"\d{3}-\d{2}-\d{4}", weak=True),
    _document("", _NINO.format(" "), weak=True),
    _document("", _NINO.format(" ?"), r"\bnino\b|national insurance|\bni (?:number|no)"),
    _document(
        *("de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}"),
        r"steuer|\bid-?nr|tax (?:id|number)|\btin\b",
    ),
    _document("fr.nir", r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", weak=True),
    _document("es.dni", r"\d{8}-?[A-Z]", weak=True),
    _document("es.nie", r"[XYZ]-?\d{7}-?[A-Z]", weak=True),
    _document("it.codicefiscale", _CODICE),
    _document("nl.bsn", r"\d{9}|\d{4}\.\d{2}\.\d{3}", r"\bbsn\b|burgerservice|\bsofi"),
    _document("pl.pesel", r"\d{11}", "pesel"),
    _document("br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    _document("br.cpf", r"\d{11}", r"\bcpf\b"),
    _document("in_.aadhaar", r"(?<!\d )\d{4} \d{4} \d{4}(?! \d)", weak=True),
    _document("in_.aadhaar", r"\d{12}", r"aadha?ar|आधार|uidai"),
)


def national_ids(plain: str) -> Iterator[Span]:
    """Numbers of national documents; the same place may come twice."""
    for document in _DOCUMENTS:
        for match in document.pattern.finditer(plain):
            if _named(document, plain, match.span()) and _checked(document, match.group()):
                yield match.span()


def _checked(document: _Document, number: str) -> bool:
    return not document.module or bool(_stdnum(document.module).is_valid(number))


def _named(document: _Document, plain: str, span: Span) -> bool:
    if document.named_by is not None:
        beside = f"{clause_before(plain, span[0])}\n{clause_after(plain, span[1])}"
        return document.named_by.search(beside) is not None
    return not document.weak or cue_before(plain, span[0]) != "order"
