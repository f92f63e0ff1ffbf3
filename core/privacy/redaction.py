"""How does a text read without the personal data in it?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.data.records import LabeledText
from core.privacy.addresses import emails, ip_addresses, url_secrets
from core.privacy.numbers import cards, ibans, national_ids
from core.privacy.phones import phones
from core.privacy.plain import Span, covered, plain_of
from core.progress import Progress

Detector = Callable[[str], Iterator[Span]]

# In order: what an earlier one takes, a later one does not see.
_DETECTORS: Final[dict[str, Detector]] = {
    "secret": url_secrets,
    "email": emails,
    "ip": ip_addresses,
    "iban": ibans,
    "national_id": national_ids,
    "card": cards,
    "phone": phones,
}
KINDS: Final = tuple(_DETECTORS)

_MAY_HOLD = re.compile(r"[\d@＠=＝]|://")
# A find may end the word that hid another one. Texts need one round and one that finds nothing;
# the bound keeps the work linear for a text that was built to need more.
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Redacted:
    """`text` with placeholders such as `[email]`; `found`: (kind, start, end) of each in the
    original text, in order, `end` exclusive."""

    text: str
    found: tuple[tuple[str, int, int], ...]


def redact(text: str) -> Redacted:
    """The text with every e-mail, phone, card, IBAN, national id, IP address and URL secret
    replaced by its kind in brackets.

    Redacting the result again changes nothing. A text without a digit, `@`, `=` and `://` comes
    back at once. The work grows with the length of the text, whatever is in it.
    """
    if _MAY_HOLD.search(text) is None:
        return Redacted(text, ())
    found = tuple((kind, start, end) for start, end, kind in sorted(_find(text)))
    parts: list[str] = []
    at = 0
    for kind, start, end in found:
        parts += (text[at:start], f"[{kind}]")
        at = end
    return Redacted("".join((*parts, text[at:])), found)


def _find(text: str) -> list[tuple[int, int, str]]:
    plain = plain_of(text)
    found: list[tuple[int, int, str]] = []
    for _ in range(_ROUNDS):
        before = len(found)
        for kind, detect in _DETECTORS.items():
            spans = _without_overlaps(detect(plain))
            if spans:
                plain = covered(plain, spans)
                found += ((start, end, kind) for start, end in spans)
        if len(found) == before:
            break
    return found


def _without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """Ascending; of two that overlap the earlier, and of those the longer."""
    kept: list[Span] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def redact_rows(rows: Iterable[LabeledText]) -> tuple[list[LabeledText], Counter[str]]:
    """The rows with redacted texts, and how often each kind was found. Labels, lines and extra
    columns stay as they are."""
    kinds: Counter[str] = Counter()
    redacted = []
    for row in rows:
        result = redact(row.text)
        kinds.update(kind for kind, _, _ in result.found)
        redacted.append(replace(row, text=result.text) if result.found else row)
    return redacted, kinds


def for_training(
    rows: Sequence[LabeledText], *, keep: bool, progress: Progress
) -> list[LabeledText]:
    """The rows that are learnt from: redacted, with a word on what was replaced, unless `keep`."""
    if keep:
        return list(rows)
    clean, kinds = redact_rows(rows)
    if kinds:
        progress.say(f"personal data replaced before training: {describe(kinds)}")
    return clean


def describe(kinds: Counter[str]) -> str:
    """The counts in words: `3 email, 1 phone`, the most frequent first."""
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
