"""What does a text ask for, and which items answer it? Pure.

    "warm waterproof jacket under 100"  →  the words, and the filter {"price": {"lte": 100}}

    score = text + words + interest
    text       how near the item's text is to the query's (cosine of the plain vectors), scaled to
               0 to 1 between the farthest and the nearest item
    words      the share of the query's words that stand in title, brand, category and tags, each
               counted by how rare it is
    interest   p_interest of the user, or of anybody where nobody is named: it decides between items
               that answer equally well, since it is rarely far from 0

A prices' phrase becomes a filter, and leaves the words. A number with another unit (2 kg, 40 l) is
none. Both halves count the same (as nothing says otherwise before there are clicks on searches);
where the encoder cannot read the query, the words alone speak.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.text import normalize, word_tokens
from services.recommender.catalogue import Shelf
from services.recommender.diversity import best_first
from services.recommender.explain import Explanation, Reason
from services.recommender.filters import Condition, Every, parse
from services.recommender.interests import Interaction
from services.recommender.model import Embedding, Model
from services.recommender.places import Placed
from services.recommender.recommend import (
    Recommendation,
    Request,
    arrange,
    may_stand,
    score,
    understood,
)
from services.recommender.rules import Rules, added_to

FloatArray = npt.NDArray[np.float32]

MOST_CHARS: Final = 500
# Items, by text and words, for which the user's interest is worked out.
_SCORED: Final = 2_000
_NUMBER = r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.\d{1,4})?"
_SIGN: Final = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "CNY", "￥": "CNY"}
_NAME: Final = {
    "eur": "EUR", "euro": "EUR", "euros": "EUR", "usd": "USD", "dollar": "USD", "dollars": "USD",
    "bucks": "USD", "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "quid": "GBP", "chf": "CHF",
    "cny": "CNY", "rmb": "CNY", "yuan": "CNY", "元": "CNY", "块钱": "CNY", "块": "CNY",
}  # fmt: skip
_SIGNS: Final = f"[{''.join(_SIGN)}]"
_NAMES: Final = "|".join(rf"{name}\b" if name.isascii() else name for name in _NAME)
# What makes a number a measure of something else.
_UNITS: Final = (
    "%|°|\"|'|x|kg|g|mg|lbs?|oz|mm|cm|m|km|ft|feet|inch|inches|ml|cl|l|litres?|liters?|w|kw|watts?|v|"
    "mah|gb|tb|mb|hz|mp|people|persons?|pieces?|packs?|years?|months?|days?|hours?|h|minutes?|min|"
    "jahren?|personen|stück|米|厘米|公斤|克|升|人|岁"
)
_NO_UNIT: Final = rf"(?![\d.,]*\d)(?!\s?-?(?:{_UNITS})(?!\w))"


def _amount(name: str) -> str:
    with_money = rf"{_SIGNS}\s?{_NUMBER}|{_NUMBER}\s?(?:{_SIGNS}|{_NAMES})"
    return rf"(?P<{name}>{with_money}|{_NUMBER}{_NO_UNIT})"


_LOW, _HIGH = _amount("low"), _amount("high")
_BETWEEN: Final = (
    rf"\b(?:between|from|zwischen|von)\s+{_LOW}\s+(?:and|to|und|bis)\s+{_HIGH}",
    rf"{_LOW}\s?(?:到|至)\s?{_HIGH}(?:之间)?",
)
_UP_TO: Final = (
    r"\b(?:up to|at most|no more than|not more than|max(?:imum)?(?: of)?|bis(?: zu)?|höchstens)"
    rf"\s+{_HIGH}",
    rf"{_HIGH}\s+or\s+(?:less|under|below)\b",
    rf"(?:不超过|最多)\s?{_HIGH}",
    rf"{_HIGH}\s?(?:以内|以下)",
)
_FROM: Final = (
    rf"\b(?:at least|no less than|from|min(?:imum)?(?: of)?|ab|mindestens)\s+{_LOW}",
    rf"{_LOW}\s+or\s+(?:more|over|above)\b",
    rf"(?:至少|不低于)\s?{_LOW}",
    rf"{_LOW}\s?以上",
)
_BELOW: Final = (
    rf"\b(?:under|below|less than|cheaper than|unter|weniger als)\s+{_HIGH}",
    rf"(?:低于|少于|小于)\s?{_HIGH}",
)
_ABOVE: Final = (
    rf"\b(?:over|above|more than|über|mehr als)\s+{_LOW}",
    rf"(?:高于|超过|大于)\s?{_LOW}",
)
# "from 20 to 40" before "from 20", "no more than" before "more than".
_PHRASES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), low, high)
    for patterns, low, high in (
        (_BETWEEN, "gte", "lte"),
        (_UP_TO, "", "lte"),
        (_FROM, "gte", ""),
        (_BELOW, "", "lt"),
        (_ABOVE, "gt", ""),
    )
    for pattern in patterns
)


@dataclass(frozen=True)
class Query:
    """What was understood: `text` without the phrases of price, the `filter` they became (as JSON
    that `filters.parse` reads, {} for none), and the `phrases`."""

    text: str
    filter: dict[str, Any]
    phrases: Sequence[str]

    def condition(self) -> Condition | None:
        """The filter as a condition, None without one."""
        return parse(self.filter) if self.filter else None


def understand(text: str, shelf: Shelf) -> Query:
    """Read a query; each bound is taken once. A currency counts where the shop has items in it."""
    rest, phrases = normalize(text)[:MOST_CHARS], []
    price: dict[str, float] = {}
    currency = ""
    for pattern, *operators in _PHRASES:
        found = pattern.search(rest)
        bounds = [(op, end) for op, end in zip(operators, ("low", "high"), strict=True) if op]
        if found is None or any(op[:2] in {one[:2] for one in price} for op, _ in bounds):
            continue
        for operator, end in bounds:
            price[operator], named = _money(found[end])
            currency = named or currency
        phrases.append(found[0].strip())
        rest = f"{rest[: found.start()]} {rest[found.end() :]}"
    wanted: dict[str, Any] = {"price": price} if price else {}
    if price and currency and len(shelf.fields.currency.holding(currency)):
        wanted["currency"] = currency
    return Query(" ".join(rest.split()), wanted, phrases)


def _money(text: str) -> tuple[float, str]:
    """(amount, currency or "") of what `_amount` matched."""
    number = re.search(_NUMBER, text)
    assert number is not None
    around = (text[: number.start()] + text[number.end() :]).strip().casefold()
    return float(number[0].replace(",", "")), _SIGN.get(around) or _NAME.get(around, "")


def search(
    model: Model,
    shelf: Shelf,
    history: Sequence[Interaction],
    query: Query,
    embedding: Embedding | None,
    request: Request,
    now: float,
    rules: Rules,
    rng: np.random.Generator,
) -> list[Recommendation]:
    """The items that answer the query, the best first: none where neither words nor encoder know
    it. `embedding` is of the query's text, None where it has none left; then the price and the
    user decide."""
    text, words = _text(model, shelf, query, embedding), _words(shelf, query)
    boost = added_to([*rules.boosts, *request.boosts], shelf)
    mask = may_stand(shelf, request, rules)
    if query.text and not text.any():
        mask &= words > 0
    # The user decides between items that answer about as well, so the others need no score.
    rows = np.sort(best_first(text + words + boost, mask, at_most=_SCORED))
    scored = score(model, shelf, understood(model, shelf, history, now), now, rows)
    interest = model.ranker.probability(scored.scores)
    scores = text + words + interest + boost
    placed = arrange(shelf, scores, mask, mask, request, rules, now, rng, known=True)
    parts = {"text": text, "words": words, "interest": interest, "boost": boost}
    return _answer(shelf, placed, parts, interest, query, request)


def _text(model: Model, shelf: Shelf, query: Query, embedding: Embedding | None) -> FloatArray:
    nothing = np.zeros(len(shelf), dtype=np.float32)
    if embedding is None or not embedding.readable or len(shelf) == 0:
        return nothing
    rows = embedding.values.astype(np.float32)[None]
    vectors = model.tower.vectors(rows, np.array([True]), [query.text])
    cosines = shelf.plain @ vectors.plain[0]
    known = cosines[shelf.has_text & shelf.shown]
    if not len(known) or float(known.max()) <= float(known.min()):
        return nothing
    scaled = (cosines - known.min()) / (known.max() - known.min())
    return np.where(shelf.has_text, np.clip(scaled, 0.0, 1.0), 0.0).astype(np.float32)


def _words(shelf: Shelf, query: Query) -> FloatArray:
    return shelf.fields.words.coverage(word_tokens(query.text), len(shelf)).astype(np.float32)


def _answer(
    shelf: Shelf,
    placed: Placed,
    parts: dict[str, FloatArray],
    interest: FloatArray,
    query: Query,
    request: Request,
) -> list[Recommendation]:
    asked = set(word_tokens(query.text))
    answer = []
    for rank, row in enumerate(placed.rows.tolist(), start=1 + request.first_place):
        signals = {name: float(values[row]) for name, values in parts.items()}
        if not signals["boost"]:
            del signals["boost"]
        answer.append(
            Recommendation(
                item_id=shelf.ids[row],
                rank=rank,
                score=sum(signals.values()),
                p_interest=float(interest[row]),
                source="exploration" if row in placed.explored else "search",
                explanation=_why(shelf, row, signals, asked) if request.explain else None,
                propensity=placed.explored.get(row),
            )
        )
    return answer


def _why(shelf: Shelf, row: int, signals: dict[str, float], asked: set[str]) -> Explanation:
    reasons = []
    held = [word for word in word_tokens(shelf.titles[row]) if word in asked]
    if signals["words"] > 0 and held:
        told = ", ".join(dict.fromkeys(held))
        reasons.append(Reason("words", signals["words"], f"its title says: {told}"))
    elif signals["words"] > 0:
        reasons.append(Reason("words", signals["words"], "brand, category or tags match"))
    if signals["text"] > 0:
        reasons.append(Reason("text", signals["text"], "its text is near to the query"))
    reasons.sort(key=lambda reason: -reason.contribution)
    return Explanation("search", signals, reasons)


def both(first: Condition | None, second: Condition | None) -> Condition | None:
    """Both conditions together."""
    given = tuple(part for part in (first, second) if part is not None)
    return Every(given) if len(given) > 1 else (given[0] if given else None)
