"""In which encoding was a document written that does not say so?

Asked only where neither the answer's headers nor the document name one, there is no byte order
mark, and the bytes are no UTF-8. Each encoding with two bytes a sign has its common signs in known
rows of its table (GB 2312 and Big5: level 1; Japanese: kana; Korean: syllables); Russian is told by
words that lie wholly above ASCII, and its two encodings by which of them leaves the text in small
letters. Everything else is left to the feed parser, which takes it for Western European.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DECLARED = re.compile(rb"<\?xml[^>]*\bencoding\s*=", re.IGNORECASE)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff", b"L\x6f\xa7\x94")
_PIECE = 100_000
# Fewer signs than that say nothing.
_LEAST = 4
_CYRILLIC_WORD = re.compile(rb"[\x80-\xff]{3,}")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
_MARKUP = re.compile(rb"<[^<>]*>")


def in_utf8(body: bytes, content_type: str) -> bytes:
    """The document in UTF-8 where its encoding was found out, else as it came."""
    if "charset" in content_type.lower() or body.startswith(_MARKS):
        return body
    if _DECLARED.search(body[:1000]) or b"\0" in body[:200]:
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        encoding = guessed(body)
        # What the guess cannot read is shown as such, rather than all of it as nonsense.
        return body.decode(encoding, "replace").encode() if encoding else body
    return body


def guessed(body: bytes) -> str | None:
    """The Python name of the encoding; None where nothing speaks for one of those known here."""
    text = _MARKUP.sub(b" ", body[:_PIECE])
    signs = {name: _signs(text, name) for name in ("shift_jis", "euc_jp", "euc_kr")}
    for name in ("shift_jis", "euc_jp"):
        if _share(signs[name], _is_kana) >= 0.2:
            return name
    if _share(signs["euc_kr"], lambda sign: "가" <= sign <= "힣") >= 0.9:
        return "euc_kr"
    chinese = {
        "gb18030": _share(_signs(text, "gb18030"), lambda s: _lead(s, "gb2312", 0xB0, 0xD7)),
        "big5": _share(_signs(text, "big5"), lambda s: _lead(s, "big5", 0xA4, 0xC6)),
    }
    best = max(chinese, key=lambda name: chinese[name])
    cyrillic = _looks_cyrillic(text)
    # Second bytes of Big5 lie in ASCII too, which tears its words apart as odd ones.
    if chinese[best] >= 0.8 and (best == "big5" or not cyrillic):
        return best
    if not cyrillic:
        return None
    # Hebrew has no small letters: its 27 signs are those that Russian has its small ones on.
    if all(0xE0 <= sign <= 0xFA for sign in text if sign > 0x7F):
        return "windows-1255"
    return _cyrillic(text)


def _signs(text: bytes, encoding: str) -> str:
    """The signs beyond ASCII; "" where a tenth of them cannot be read in this encoding."""
    signs = "".join(sign for sign in text.decode(encoding, "replace") if sign > "\x7f")
    return "" if signs.count("\ufffd") * 10 > len(signs) else signs


def _share(signs: str, common: Callable[[str], bool]) -> float:
    if len(signs) < _LEAST:
        return 0.0
    return sum(common(sign) for sign in signs) / len(signs)


def _is_kana(sign: str) -> bool:
    return "ぁ" <= sign <= "ヺ"


def _lead(sign: str, encoding: str, first: int, last: int) -> bool:
    """Whether the sign's first byte lies in the rows of the common ones."""
    try:
        return first <= sign.encode(encoding)[0] <= last
    except UnicodeEncodeError:
        return False


def _looks_cyrillic(text: bytes) -> bool:
    """Whether half of the letters stand in words of odd and even lengths all beyond ASCII."""
    letters = sum(map(len, _LETTERS.findall(text)))
    words = _CYRILLIC_WORD.findall(text)
    odd = sum(len(word) % 2 for word in words)
    return (
        len(words) >= _LEAST
        and sum(map(len, words)) * 2 > letters
        # Two bytes a sign make even runs; Russian words are as often odd.
        and odd * 4 > len(words)
    )


def _cyrillic(text: bytes) -> str | None:
    small = {}
    for name in ("windows-1251", "koi8-r"):
        signs = [s for s in text.decode(name, "replace") if s > "\x7f"]
        letters = [s for s in signs if "а" <= s.lower() <= "я"]
        if len(letters) < 0.9 * len(signs):
            continue
        small[name] = sum(s.islower() for s in letters) / len(letters)
    best = max(small, key=lambda name: small[name], default=None)
    return best if best and small[best] > 0.7 else None
