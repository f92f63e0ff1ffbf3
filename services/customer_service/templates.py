"""Which words does an intent answer with?

Pure. The variant is chosen by a hash of conversation and intent: a repeated question in one
conversation gets the same words, another conversation may get others, and nothing is random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.customer_service.answers import PLACEHOLDER, Intent, Slot, placeholders

Variant = TypeVar("Variant")


@dataclass(frozen=True, slots=True)
class Said:
    """`text` as it is sent; `needed`: slots that the intent's answers have a place for; `asks`: the
    slot that is asked for, where nothing can be said without it."""

    text: str
    needed: tuple[str, ...] = ()
    asks: str | None = None


def render(
    intent: Intent,
    language: str,
    fallback: str,
    values: Mapping[str, str],
    slots: Mapping[str, Slot],
    seed: str,
) -> Said | None:
    """The answer in `language`, else in `fallback`, else in any; None where there is none at all.

    Cases are none of its business: `Intent.in_case` chose among them before.
    `values`: slot values known by now. A variant that needs a value which is unknown is never
    said: another variant, `without_slots`, or the question for the slot takes its place.
    """
    answers = in_language(intent.answers, language, fallback)
    needed = tuple(dict.fromkeys(name for text in answers for name in placeholders(text)))
    said = fullest(answers, values, seed)
    if said is not None:
        return Said(said, needed)
    without = in_language(intent.without_slots, language, fallback)
    if without:
        return Said(pick(without, seed), needed)
    for name in needed:
        slot = slots.get(name)
        if name not in values and slot is not None and slot.ask:
            asked = (
                slot.ask.get(language) or slot.ask.get(fallback) or next(iter(slot.ask.values()))
            )
            return Said(asked, needed, asks=name)
    return None


def fullest(answers: Sequence[str], values: Mapping[str, str], seed: str) -> str | None:
    """Of the variants whose every value is known one that needs the most of them: where the order
    is known, a text that names it is the better answer. None where there is none."""
    speakable = [text for text in answers if set(placeholders(text)) <= set(values)]
    most = max((len(placeholders(text)) for text in speakable), default=0)
    speakable = [text for text in speakable if len(placeholders(text)) == most]
    return fill(pick(speakable, seed), values) if speakable else None


def in_language(
    texts: Mapping[str, tuple[Variant, ...]], language: str, fallback: str
) -> tuple[Variant, ...]:
    """The variants in this language, else in the fallback one, else in any."""
    return texts.get(language) or texts.get(fallback) or next(iter(texts.values()), ())


def pick(variants: Sequence[str], seed: str) -> str:
    """One of the variants (at least one), the same for the same seed on every machine."""
    digest = hashlib.sha256(seed.encode("utf-8", "replace")).digest()
    return variants[int.from_bytes(digest[:8], "big") % len(variants)]


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with the values that are known; what stands in a value is never a place."""
    # Not str.format: a template is a company's text and may hold any other braces.
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)
