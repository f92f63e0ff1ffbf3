"""What has the shop decided, whatever the model thinks? Pure: JSON into rules, rules for a place.

    {"kind": "pin",   "item_id": "t1", "position": 1}        or "filter" instead of "item_id"
    {"kind": "block", "filter": {"brand": "Alder"}}
    {"kind": "boost", "filter": {"tags": "sale"}, "factor": 2}   or "add": 0.7
    {"kind": "cap",   "field": "brand", "most": 2}
    {"kind": "stock", "hide_out_of_stock": false}

Each may carry `scenarios` (a list: it is for these places alone) and `name`. A boost adds to the
score: the ranking is a logit, in which adding ln f makes an item f times as likely to be chosen, so
`factor` f adds ln f.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import InvalidInput
from services.recommender import filters
from services.recommender.catalogue import Shelf
from services.recommender.filters import Condition, Is

FloatArray = npt.NDArray[np.float32]

MOST_RULES: Final = 200
MOST_POSITION: Final = 100
# A factor of 1,000 or its inverse: enough to bring anything to the top or to the bottom.
MOST_ADDED: Final = math.log(1_000.0)
CAPPED: Final = ("brand", "category")
_MOST_NAMED: Final = 100
_MOST_CHARS: Final = 200
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "pin": ("item_id", "filter", "position"),
    "block": ("filter",),
    "boost": ("filter", "factor", "add"),
    "cap": ("field", "most"),
    "stock": ("hide_out_of_stock",),
}


@dataclass(frozen=True, slots=True)
class Boost:
    """`added` to the score of the items that `condition` means."""

    condition: Condition
    added: float


@dataclass(frozen=True, slots=True)
class Pin:
    """The best of the items that `condition` means stands at `position`, from 1."""

    condition: Condition
    position: int


@dataclass(frozen=True)
class Rules:
    """The rules for one place. `caps`: field of CAPPED → most items with one value of it;
    `hide_out_of_stock` None leaves it to the request."""

    pins: Sequence[Pin] = ()
    blocks: Sequence[Condition] = ()
    boosts: Sequence[Boost] = ()
    caps: Mapping[str, int] = field(default_factory=dict)
    hide_out_of_stock: bool | None = None

    def without_pins(self) -> Rules:
        """The others: what answers a question (search, like this one) is not for pins."""
        return replace(self, pins=())


@dataclass(frozen=True)
class _Scoped:
    rule: Pin | Boost | Condition | tuple[str, int] | bool
    scenarios: frozenset[str]
    path: str

    def applies(self, scenario: str | None) -> bool:
        return not self.scenarios or scenario in self.scenarios

    def meets(self, other: _Scoped) -> bool:
        """Whether there is a place that both are for."""
        if not self.scenarios or not other.scenarios:
            return True
        return bool(self.scenarios & other.scenarios)


@dataclass(frozen=True)
class RuleBook:
    """All rules of one version; `version` 0 is before the first."""

    version: int = 0
    rules: Sequence[_Scoped] = ()

    def of(self, scenario: str | None) -> Rules:
        """The rules for a place on the page; of several pins, in the order of their positions."""
        mine = [rule for rule in self.rules if rule.applies(scenario)]
        caps = [one.rule for one in mine if isinstance(one.rule, tuple)]
        stock = [one.rule for one in mine if isinstance(one.rule, bool)]
        pins = [one.rule for one in mine if isinstance(one.rule, Pin)]
        return Rules(
            pins=sorted(pins, key=lambda pin: pin.position),
            blocks=[one.rule for one in mine if isinstance(one.rule, Condition)],
            boosts=[one.rule for one in mine if isinstance(one.rule, Boost)],
            caps=dict(caps),
            hide_out_of_stock=stock[0] if stock else None,
        )


NO_RULES: Final = Rules()
NO_BOOK: Final = RuleBook()


def added_to(boosts: Sequence[Boost], shelf: Shelf) -> FloatArray:
    """(n,) what the boosts add to the score of each item, all together at most MOST_ADDED either
    way."""
    total = np.zeros(len(shelf), dtype=np.float32)
    for boost in boosts:
        total[filters.mask(boost.condition, shelf)] += np.float32(boost.added)
    return np.clip(total, -MOST_ADDED, MOST_ADDED)


# --- JSON → rules ------------------------------------------------------------------------------


def parse_rules(raw: object, version: int = 0, path: str = "rules") -> RuleBook:
    """The rules that `raw` (a list of JSON objects) writes. InvalidInput names the first that is
    wrong by its place; two that cannot both hold in one place are wrong too."""
    if not isinstance(raw, list):
        raise InvalidInput(f"{path}: expected a list of rules")
    if len(raw) > MOST_RULES:
        raise InvalidInput(
            f"{path}: {len(raw)} rules, at most {MOST_RULES} are taken",
            mend="Give several values in one filter.",
        )
    rules = [_rule(one, f"{path}[{number}]") for number, one in enumerate(raw)]
    _check_clashes(rules)
    return RuleBook(version, rules)


def parse_boost(raw: Mapping[str, object], path: str) -> Boost:
    """A boost from {"filter", "factor" or "add"}, of a rule or of a request."""
    condition = filters.parse(raw.get("filter"), f"{path}.filter")
    if ("factor" in raw) == ("add" in raw):
        raise InvalidInput(f"{path}: expected either factor or add")
    if "add" in raw:
        return Boost(condition, _number(raw["add"], f"{path}.add", -MOST_ADDED, MOST_ADDED))
    factor = _number(raw["factor"], f"{path}.factor", 0.001, 1_000.0)
    return Boost(condition, math.log(factor))


def _rule(raw: object, path: str) -> _Scoped:
    if not isinstance(raw, Mapping):
        raise InvalidInput(f"{path}: expected an object with a kind")
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise InvalidInput(f"{path}.kind: expected one of {', '.join(_KEYS)}")
    known = ("kind", "name", "scenarios", *_KEYS[kind])
    for key in raw:
        if key not in known:
            raise InvalidInput(
                f"{path}.{str(key)[:_MOST_CHARS]}: a {kind} has no such field",
                mend=f"Known are {', '.join(known)}.",
            )
    name = raw.get("name", "")
    if not isinstance(name, str) or len(name) > _MOST_CHARS:
        raise InvalidInput(f"{path}.name: expected a text of at most {_MOST_CHARS} characters")
    return _Scoped(_body(kind, raw, path), _scenarios(raw, path), path)


def _body(
    kind: str, raw: Mapping[str, object], path: str
) -> Pin | Boost | Condition | tuple[str, int] | bool:
    if kind == "pin":
        position = _number(raw.get("position"), f"{path}.position", 1, MOST_POSITION)
        if position != int(position):
            raise InvalidInput(f"{path}.position: expected a whole number")
        return Pin(_pinned(raw, path), int(position))
    if kind == "block":
        return filters.parse(raw.get("filter"), f"{path}.filter")
    if kind == "boost":
        return parse_boost(raw, path)
    if kind == "cap":
        name = raw.get("field")
        if name not in CAPPED:
            raise InvalidInput(f"{path}.field: expected one of {', '.join(CAPPED)}")
        most = _number(raw.get("most"), f"{path}.most", 1, MOST_POSITION)
        return str(name), int(most)
    hide = raw.get("hide_out_of_stock")
    if not isinstance(hide, bool):
        raise InvalidInput(f"{path}.hide_out_of_stock: expected true or false")
    return hide


def _pinned(raw: Mapping[str, object], path: str) -> Condition:
    if ("item_id" in raw) == ("filter" in raw):
        raise InvalidInput(f"{path}: expected either item_id or filter")
    if "filter" in raw:
        return filters.parse(raw["filter"], f"{path}.filter")
    item_id = raw["item_id"]
    if not isinstance(item_id, str) or not 0 < len(item_id) <= _MOST_CHARS:
        raise InvalidInput(f"{path}.item_id: expected a text of 1 to {_MOST_CHARS} characters")
    return Is("item_id", "eq", (item_id,), f"{path}.item_id")


def _scenarios(raw: Mapping[str, object], path: str) -> frozenset[str]:
    given = raw.get("scenarios", [])
    if isinstance(given, list) and len(given) <= _MOST_NAMED:
        names = [one for one in given if isinstance(one, str) and 0 < len(one) <= 100]
        if len(names) == len(given):
            return frozenset(names)
    raise InvalidInput(f"{path}.scenarios: expected a list of at most {_MOST_NAMED} names")


def _number(value: object, path: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"{path}: expected a number from {low:g} to {high:g}")
    return float(value)


def _check_clashes(rules: Sequence[_Scoped]) -> None:
    """Two pins at one position, two caps of one field, two words on stock: which would hold?"""
    said: dict[tuple[str, object], list[_Scoped]] = {}
    for one in rules:
        if isinstance(one.rule, Pin):
            key: tuple[str, object] = ("pin", one.rule.position)
        elif isinstance(one.rule, tuple):
            key = ("cap", one.rule[0])
        elif isinstance(one.rule, bool):
            key = ("stock", None)
        else:
            continue
        for other in said.setdefault(key, []):
            if one.meets(other):
                raise InvalidInput(
                    f"{one.path} and {other.path} say different things of the same place",
                    mend="Take one out, or name different scenarios.",
                )
        said[key].append(one)
