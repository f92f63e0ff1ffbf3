"""Can a slot's pattern be looked for in any message without standing still?

Pure. A repetition inside a repetition, both without an end, such as (a+)+, makes Python's `re` try
exponentially many ways before it gives up. Other slow patterns stay possible; messages and values
are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Behind an atom: *, +, {2,} have no end; ?, {3} and {1,5} do. A ? or + behind makes it lazy or
# possessive.
_QUANTIFIER = re.compile(r"(?:(?P<endless>[*+]|\{\d*,\})|\?|\{\d*(?:,\d+)?\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_GROUP_START = re.compile(r"\((?:\?(?:P?<\w+>|[aiLmsux-]*:|[=!>]|<[=!]|P=\w+|\(\w+\)))?")
# Word characters, but for those of scripts that are written without spaces.
_WORD = r"[^\W\u2e80-\U0003ffff]"


def nests_endless_repeats(pattern: str) -> bool:
    """Whether an endless repetition stands inside another one."""
    inside = [False]  # whether the group at this depth holds an endless repetition
    position = 0
    while position < len(pattern):
        character = pattern[position]
        closed = False
        if character == "(":
            inside.append(False)
            start = _GROUP_START.match(pattern, position)
            position = start.end() if start else position + 1
            continue
        if character == ")" and len(inside) > 1:
            closed = inside.pop()
            inside[-1] |= closed
        position = _atom_end(pattern, position)
        quantifier = _QUANTIFIER.match(pattern, position)
        if quantifier:
            position = quantifier.end()
            if quantifier["endless"]:
                if closed:
                    return True
                inside[-1] = True
    return False


def _atom_end(pattern: str, position: int) -> int:
    if pattern[position] == "\\":
        return position + 2
    if pattern[position] == "[":
        found = _CLASS.match(pattern, position)
        return found.end() if found else len(pattern)  # never closed: no pattern at all
    return position + 1


def any_of(values: Iterable[str]) -> str:
    """A pattern for a list of values: longest first, in any case, not inside a longer word."""
    ordered = sorted(set(values), key=lambda value: (-len(value), value))
    # Beside 订 or 한 a word may begin without a space, so such a value stands anywhere.
    whole = [v for v in ordered if re.match(_WORD, v) and re.match(_WORD, v[-1])]
    anywhere = [v for v in ordered if v not in set(whole)]
    parts = []
    if whole:
        parts.append(f"(?<!{_WORD})(?:{_either(whole)})(?!{_WORD})")
    if anywhere:
        parts.append(_either(anywhere))
    return f"(?i:{'|'.join(parts)})"


def _either(values: Iterable[str]) -> str:
    return "|".join(re.escape(value).replace(r"\ ", r"\s+") for value in values)
