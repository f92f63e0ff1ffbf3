"""Does a retrained model earn the live one's place?

Three things must hold, and each says why where it does not:

    held-out rows      its accuracy is not worse (services/gate.py), and a promise about wrong
                       answers is not lost
    replay             what customers asked last is not answered otherwise more than chance and the
                       risk explain (replay.py)
    regression tests   none fails that the live model passes

Both models are read as a server would: with what the team taught beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from core.artifacts import Manifest, Version, read_manifest
from core.errors import PromotionRefused
from services.customer_service.candidates import RegressionTest, RegressionTests
from services.customer_service.content import ContentStore
from services.customer_service.domain import NO_EVIDENCE, decide_by_intent, decide_unsure
from services.customer_service.examples import Example, ExampleStore
from services.customer_service.prototypes import Prototypes, prototypes_of, understand_all
from services.customer_service.replay import Replay, compare, objections, outcomes
from services.customer_service.store import ConversationStore
from services.customer_service.understanding import IntentModel, Understood
from services.gate import headline, not_worse

_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 5


@dataclass(frozen=True)
class Judgement:
    """`reasons` against the candidate, none where it passed. `regressed`: tests that only the live
    model passes; `failing`: all that the candidate fails."""

    against: str
    metrics: Mapping[str, Any]
    replay: Replay
    tests: int
    failing: tuple[RegressionTest, ...]
    regressed: tuple[RegressionTest, ...]
    reasons: tuple[str, ...]

    def verdict(self) -> dict[str, Any]:
        """For the database."""
        return {
            "against": self.against,
            "tests": self.tests,
            "failing": [{"text": t.text, "expected": t.expected} for t in self.failing],
            "regressed": len(self.regressed),
        }


class Judge:
    """`turns`: how many messages are replayed, the newest ones."""

    def __init__(
        self,
        content: ContentStore,
        examples: ExampleStore,
        conversations: ConversationStore,
        tests: RegressionTests,
        *,
        turns: int,
        threads: int,
    ) -> None:
        self._content = content
        self._examples = examples
        self._conversations = conversations
        self._tests = tests
        self._turns = turns
        self._threads = threads

    def judge(self, live: Version, folder: Path) -> Judgement:
        """The candidate in `folder`, against the live version."""
        old, new = read_manifest(live.path), read_manifest(folder)
        reasons = held_out_objections(live, folder, old, new)
        version, examples = self._examples.read()
        before, after = (
            _Side.load(path, examples, version, self._content, self._threads)
            for path in (live.path, folder)
        )
        hands_off = self._content.book().hands_off
        messages = self._conversations.messages_since(_ALWAYS, self._turns)
        replay = compare(
            messages,
            outcomes(before.read(messages), hands_off),
            outcomes(after.read(messages), hands_off),
        )
        reasons += objections(replay, float(old.settings["decision"]["risk"]))
        tests = self._tests.all()
        texts = [test.text for test in tests]
        passed, passes = (
            [
                holds(test, understood, hands_off)
                for test, understood in zip(tests, side.read(texts), strict=True)
            ]
            for side in (before, after)
        )
        regressed = tuple(
            test for test, was, now in zip(tests, passed, passes, strict=True) if was and not now
        )
        reasons += regression_objections(regressed)
        failing = tuple(test for test, now in zip(tests, passes, strict=True) if not now)
        return Judgement(
            old.identity, _figures(new), replay, len(tests), failing, regressed, tuple(reasons)
        )


@dataclass(frozen=True)
class _Side:
    """One of the two models, with what was taught."""

    model: IntentModel
    taught: Prototypes

    @classmethod
    def load(
        cls,
        folder: Path,
        examples: Sequence[Example],
        version: int,
        content: ContentStore,
        threads: int,
    ) -> _Side:
        model = IntentModel.load(folder, threads=threads)
        return cls(model, prototypes_of(examples, version, content, model))

    def read(self, texts: Sequence[str]) -> list[Understood]:
        return understand_all(self.model, self.taught, texts)


def held_out_objections(live: Version, folder: Path, old: Manifest, new: Manifest) -> list[str]:
    """What held-out rows say against the candidate."""
    found = []
    try:
        not_worse(live, folder)
    except PromotionRefused as error:
        found.append(error.message)
    if old.settings["decision"].get("promised") and not new.settings["decision"].get("promised"):
        found.append(
            "the live model keeps its risk with 95 % confidence, the candidate promises nothing: "
            + str(new.settings["decision"].get("note", ""))
        )
    return found


def holds(test: RegressionTest, understood: Understood, hands_off: Mapping[str, bool]) -> bool:
    """Whether the test passes. An action is what is done where no article speaks to the text."""
    reading = understood.reading
    if test.intent is not None:
        return bool(reading.sure and reading.ranked and reading.ranked[0].intent == test.intent)
    decision = decide_by_intent(reading, hands_off)
    if decision is None:
        decision = decide_unsure(reading, hands_off, NO_EVIDENCE, None)
    return decision.action == test.action


def regression_objections(regressed: Sequence[RegressionTest]) -> list[str]:
    """What the team's tests say against the candidate."""
    if not regressed:
        return []
    named = "; ".join(f"{t.text[:60]!r} ({t.expected})" for t in regressed[:_SHOWN])
    more = f" and {len(regressed) - _SHOWN} more" if len(regressed) > _SHOWN else ""
    return [f"tests fail that the live model passes: {named}{more}"]


def _figures(manifest: Manifest) -> dict[str, Any]:
    """The headline figure and the note on the threshold."""
    figure = headline(manifest.metrics)
    said: dict[str, Any] = {"note": manifest.settings["decision"].get("note")}
    if figure is not None:
        said |= {figure.name: figure.value, f"{figure.name} ci": [figure.low, figure.high]}
    return said
