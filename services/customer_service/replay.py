"""Which answers would change if another model went live?

Messages that customers sent are read by both models, each with what the team taught. An outcome is
the intent whose answer would be given, or None: the articles, a question back, or a person. Pure.

A replay speaks against a candidate where chance does not explain it (95 %):

    other answers   two models that both keep the risk differ in at most twice the risk of the
                    messages that both answer, as one of the two is wrong each time
    fewer answers   of the messages that one answers and the other does not, too many are those
                    that the live one answers (sign test)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.privacy import redact
from services.customer_service.bounds import beta_cdf, beta_quantile
from services.customer_service.understanding import Understood

_LEVEL: Final = 0.95
# A list that a person reads; the counts are of all.
_SAMPLE: Final = 200
_SHOWN: Final = 300

Outcome = str | None


@dataclass(frozen=True)
class Change:
    """One message, personal data replaced, that would be answered otherwise."""

    text: str
    before: Outcome
    after: Outcome


@dataclass(frozen=True)
class Replay:
    """`both`: messages that both models answer; `swapped`: of these, with another intent;
    `gained` and `lost`: answered by the candidate alone, by the live model alone."""

    turns: int
    both: int
    swapped: int
    gained: int
    lost: int
    changes: tuple[Change, ...]

    def as_mapping(self) -> dict[str, Any]:
        """For the database and for people: counts, and a sample of the changes."""
        pairs = Counter((change.before, change.after) for change in self.changes)
        return {
            "turns": self.turns,
            "changed": len(self.changes),
            "swapped": self.swapped,
            "gained": self.gained,
            "lost": self.lost,
            "by_intent": [
                {"from": before, "to": after, "count": count}
                for (before, after), count in pairs.most_common()
            ],
            "sample": [
                {"text": change.text, "from": change.before, "to": change.after}
                for change in self.changes[:_SAMPLE]
            ],
        }


def outcomes(read: Iterable[Understood], hands_off: Mapping[str, bool]) -> list[Outcome]:
    """What each message gets; `hands_off` holds the intents that have an answer."""
    return [_outcome(understood, hands_off) for understood in read]


def _outcome(understood: Understood, hands_off: Mapping[str, bool]) -> Outcome:
    reading = understood.reading
    if not reading.sure or not reading.ranked or reading.ranked[0].intent not in hands_off:
        return None
    return reading.ranked[0].intent


def compare(texts: Sequence[str], before: Sequence[Outcome], after: Sequence[Outcome]) -> Replay:
    """The same messages, read by the live model and by the candidate."""
    rows = list(zip(texts, before, after, strict=True))
    answered = [(was, now) for _, was, now in rows if was is not None and now is not None]
    return Replay(
        turns=len(rows),
        both=len(answered),
        swapped=sum(was != now for was, now in answered),
        gained=sum(was is None and now is not None for _, was, now in rows),
        lost=sum(was is not None and now is None for _, was, now in rows),
        changes=tuple(
            Change(redact(text).text[:_SHOWN], was, now) for text, was, now in rows if was != now
        ),
    )


def objections(replay: Replay, risk: float) -> list[str]:
    """Why the candidate should not go live by itself; `risk` in (0, 1) is the stated one."""
    found = []
    if replay.swapped:
        k, n = replay.swapped, replay.both
        least = beta_quantile(1 - _LEVEL, k, n - k + 1)
        if least > 2 * risk:
            found.append(
                f"{k} of {n} messages that both models answer get another answer, at least "
                f"{least:.1%} with 95 % confidence; two models that keep a risk of {risk:g} differ "
                f"in {2 * risk:.1%} at most"
            )
    n = replay.gained + replay.lost
    # P(X ≥ lost) for X ~ Binomial(n, 1/2)
    if replay.lost and beta_cdf(0.5, replay.lost, n - replay.lost + 1) < 1 - _LEVEL:
        found.append(f"fewer answers: {replay.lost} messages lose theirs, {replay.gained} get one")
    return found
