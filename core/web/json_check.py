"""What may JSON from outside not hold, although a parser would take it?

NaN and Infinity (no JSON at all) and numbers so large that they would become it, NUL and halves of
surrogate pairs (no database stores them), text that is not UTF-8, and nesting without end. What is
merely malformed is left to the endpoint's own parser, whose message says where.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from core.errors import InvalidInput

MAX_DEPTH = 50
# Each of these may be the start of trouble or stand in an innocent text; only where one is found
# is the body parsed here, a second time.
_SUSPECT = re.compile(rb"NaN|Infinity|\\u0000|\\u[dD][89a-fA-F]|\d[eE]\+?\d{3}|\d{200}")


def check_json(body: bytes) -> None:
    """InvalidInput where the body holds what no endpoint should see."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"the body is not UTF-8 (byte {error.start})", mend="Send JSON in UTF-8."
        ) from error
    openers = body.count(b"[") + body.count(b"{")
    if openers <= MAX_DEPTH and not _SUSPECT.search(body):
        return
    try:
        value = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError:
        # Not JSON at all; InvalidInput, of our own tree, passes.
        return
    _walk(value)


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is not a JSON number", mend="Leave the value out, or send null.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidInput("a number is too large for a float", mend="Leave it out, or send null.")
    return number


def _walk(value: Any) -> None:
    """Look at every text and count the depth, without recursion of our own."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict | list):
            if depth >= MAX_DEPTH:
                raise _too_deep()
            children = item if isinstance(item, list) else [*item.keys(), *item.values()]
            pending.extend((child, depth + 1) for child in children)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise InvalidInput(
            "a text holds a NUL character", mend="Remove the escapes \\u0000 from it."
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "a text holds half of a surrogate pair",
            mend="Cut texts between characters, not inside one.",
        ) from error


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the JSON is nested deeper than {MAX_DEPTH} levels")
