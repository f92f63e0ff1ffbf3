"""What should the bot say in which conversation, and did it?

Pure but for reading the files. A test is a conversation: what the customer writes, and what is
expected of each answer. What is not named is not looked at. Every error names file and line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from core.errors import DataError
from services.customer_service.domain import Action

_MAX_BYTES: Final = 2_000_000
_SUFFIXES: Final = (".yaml", ".yml")
_TEST: Final = ("name", "locale", "channel", "steps")
_STEP: Final = ("user", "bot", "action", "intent", "slots", "buttons", "sources")
_WAYS: Final = ("is", "contains", "matches")


@dataclass(frozen=True, slots=True)
class Said:
    """What the text of an answer must be: one of `exact` (white space folded), and hold each of
    `contains`, and hold something that `matches`. Empty: not looked at."""

    exact: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    matches: str = ""

    def holds(self, text: str) -> bool:
        """Whether this text will do."""
        folded = _folded(text)
        return (
            (not self.exact or folded in {_folded(one) for one in self.exact})
            and all(_folded(part) in folded for part in self.contains)
            and re.search(self.matches, text) is not None
        )

    def __str__(self) -> str:
        parts = [" or ".join(self.exact)] if self.exact else []
        parts += [f"… {part} …" for part in self.contains]
        return " and ".join([*parts, f"/{self.matches}/"] if self.matches else parts)


@dataclass(frozen=True, slots=True)
class Step:
    """One message and what is expected of its answer; `actions`: any of them will do."""

    user: str
    line: int
    bot: Said | None = None
    actions: tuple[str, ...] = ()
    intent: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    buttons: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def differences(self, reply: Mapping[str, Any]) -> list[Difference]:
        """What the answer lacks; empty where it is as expected."""
        found: list[Difference] = []

        def expect(what: str, holds: bool, expected: str, came: str) -> None:
            if not holds:
                found.append(Difference(what, expected, came))

        if self.actions:
            came = str(reply["action"])
            expect("action", came in self.actions, " or ".join(self.actions), came)
        if self.intent is not None:
            expect("intent", reply["intent"] == self.intent, self.intent, reply["intent"] or "none")
        for name, value in self.slots.items():
            known = reply["slots"].get(name, "nothing")
            expect(f"slot {name}", known == value, value, known)
        if self.bot is not None:
            expect("bot", self.bot.holds(reply["text"]), str(self.bot), reply["text"])
        titles = [button["title"] for button in reply["buttons"]]
        for title in self.buttons:
            expect("button", title in titles, title, " | ".join(titles) or "none")
        named = [each[key] for each in reply["sources"] for key in ("title", "url")]
        for source in self.sources:
            expect("source", source in named, source, " | ".join(filter(None, named)) or "none")
        return found


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` was expected to be one thing and came as another."""

    what: str
    expected: str
    came: str


@dataclass(frozen=True, slots=True)
class ConversationTest:
    """One conversation. `conversation_id` follows from its name: of several variants of an answer
    it gets the same ones every time, wherever it stands in its file."""

    name: str
    file: str
    line: int
    steps: tuple[Step, ...]
    locale: str | None = None
    channel: str | None = None

    @property
    def conversation_id(self) -> str:
        """The same for the same name."""
        return f"test-{hashlib.sha256(self.name.encode('utf-8', 'replace')).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one step: `reply` is None where the message was refused, as `error` says."""

    step: Step
    reply: Mapping[str, Any] | None
    differences: tuple[Difference, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.differences and not self.error


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test with the results of its steps, in order."""

    __test__ = False  # for pytest, which takes the name for a test of its own

    test: ConversationTest
    steps: tuple[StepResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every step is as expected."""
        return all(step.passed for step in self.steps)


def run_tests(
    tests: Iterable[ConversationTest],
    answer: Callable[[ConversationTest, Step], Mapping[str, Any] | str],
) -> list[TestResult]:
    """Hold the conversations; `answer` gives the body of the answer, or why there is none.

    A conversation goes on after a step that fails: what follows is worth seeing too.
    """
    return [
        TestResult(test, tuple(_taken(s, answer(test, s)) for s in test.steps)) for test in tests
    ]


def _taken(step: Step, came: Mapping[str, Any] | str) -> StepResult:
    if isinstance(came, str):
        return StepResult(step, None, error=came)
    return StepResult(step, came, tuple(step.differences(came)))


def read_tests(path: Path) -> list[ConversationTest]:
    """The tests of a YAML file, or of all such files below a folder, by name.

    DataError names file and line of what is wrong; two tests of one name are.
    """
    files = [path]
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
        if not files:
            raise DataError("no .yaml file in it", path, mend="Name a folder with tests.")
    tests: list[ConversationTest] = []
    places: dict[str, str] = {}
    for file in files:
        for test in _read_file(file):
            if test.name in places:
                raise DataError(
                    f"the name {test.name[:60]!r} stands at {places[test.name]} already",
                    file,
                    test.line,
                )
            places[test.name] = f"{file.name}, line {test.line}"
            tests.append(test)
    return tests


def _read_file(path: Path) -> list[ConversationTest]:
    root = _composed(path)
    reader = _Nodes(path)
    return [reader.test(node) for node in reader.items(root, "a list of tests")]


def _composed(path: Path) -> yaml.Node:
    """Nodes and no values: they keep their lines, and `user: no` stays a text."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"larger than {_MAX_BYTES} bytes", path, mend="Split it.")
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise DataError("expected UTF-8", path, mend="Save the file as UTF-8.") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or type(error).__name__
        line = None if mark is None else mark.line + 1
        raise DataError(f"not valid YAML: {reason}", path, line) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    if root is None:
        raise DataError("no test in it", path, mend="See docs/TESTING.md.")
    return root


class _Nodes:
    """Reads YAML nodes of one file; what is wrong is named by its line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def test(self, node: yaml.Node) -> ConversationTest:
        values = self.mapping(node, _TEST, ("name", "steps"))
        return ConversationTest(
            name=self.text(values["name"], "name"),
            file=self._path.name,
            line=_line(node),
            steps=tuple(self.step(n) for n in self.items(values["steps"], "a list of steps")),
            locale=self._optional(values, "locale"),
            channel=self._optional(values, "channel"),
        )

    def step(self, node: yaml.Node) -> Step:
        values = self.mapping(node, _STEP, ("user",))
        actions = self.texts(values.get("action"), "action")
        unknown = [action for action in actions if action not in get_args(Action)]
        if unknown:
            raise self._error(
                values["action"],
                f"there is no action {unknown[0][:40]!r}",
                f"Known are: {', '.join(get_args(Action))}.",
            )
        slots = self.mapping(values["slots"]) if "slots" in values else {}
        return Step(
            user=self.text(values["user"], "user"),
            line=_line(node),
            bot=self._said(values.get("bot")),
            actions=actions,
            intent=self._optional(values, "intent"),
            slots={name: self.text(value, name) for name, value in slots.items()},
            buttons=self.texts(values.get("buttons"), "buttons"),
            sources=self.texts(values.get("sources"), "sources"),
        )

    def _said(self, node: yaml.Node | None) -> Said | None:
        """A text, several of which one will do, or {is, contains, matches}."""
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            return Said(exact=self.texts(node, "bot"))
        values = self.mapping(node, _WAYS)
        if not values:
            raise self._error(node, "bot: nothing is expected", f"Name {', '.join(_WAYS)}.")
        pattern = self._optional(values, "matches") or ""
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._error(values["matches"], f"not a regular expression: {error}") from error
        return Said(
            self.texts(values.get("is"), "is"),
            self.texts(values.get("contains"), "contains"),
            pattern,
        )

    def items(self, node: yaml.Node, expected: str) -> Sequence[yaml.Node]:
        """The nodes of a list with at least one."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self._error(node, f"expected {expected}", "Begin each with `- `.")
        return list(node.value)

    def mapping(
        self, node: yaml.Node, known: Sequence[str] | None = None, required: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """Keys with their nodes; `known` None: any key will do."""
        if not isinstance(node, yaml.MappingNode):
            wanted = "name: value" if known is None else ", ".join(known)
            raise self._error(node, f"expected a mapping with {wanted}")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in found:
                raise self._error(key, f"the key {name[:40]!r} stands twice")
            if known is not None and name not in known:
                raise self._error(
                    key, f"there is no key {name[:40]!r}", f"Known are: {', '.join(known)}."
                )
            found[name] = value
        missing = [name for name in required if name not in found]
        if missing:
            raise self._error(node, f"{missing[0]!r} is missing")
        return found

    def texts(self, node: yaml.Node | None, name: str) -> tuple[str, ...]:
        """One text or several."""
        if node is None:
            return ()
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.text(n, name) for n in self.items(node, f"texts for {name}"))
        return (self.text(node, name),)

    def text(self, node: yaml.Node, name: str) -> str:
        """A text as it is written: `no` is no truth value and 007 no number here."""
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self._error(node, f"{name}: expected a text")
        return str(node.value)

    def _optional(self, values: Mapping[str, yaml.Node], name: str) -> str | None:
        return self.text(values[name], name) if name in values else None

    def _error(self, node: yaml.Node, message: str, mend: str | None = None) -> DataError:
        return DataError(message, self._path, _line(node), mend=mend)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _folded(text: str) -> str:
    return " ".join(text.split())
