"""How long do we wait before asking again?"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 10.0
_FIRST_WAIT = 0.25


def backoff(attempt: int, rng: random.Random) -> float:
    """Seconds before the next try: doubling from 0.25, at most 10, with half of it left to chance.

    The chance keeps many callers that failed together from coming back together.
    """
    full = min(LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt, 16))
    return full * rng.uniform(0.5, 1.0)


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (a number or a date); 0 where it says nothing."""
    if not value:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
