"""How does a person talk to the bot in a terminal, and see why it said what it said?"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import click

from core.errors import TrefoilError
from services.customer_service.situation import Message
from services.customer_service.terminal import Explained, Talk, plain

CHANNEL: Final = "shell"
_HELP: Final = (
    "A number presses a button. /why: how the last message was read, /new: another conversation, "
    "/quit: leave (Ctrl-D does too)."
)
_PROMPT: Final = "you> "
_PASSAGES: Final = 3
_QUOTE: Final = 100


def lines_of_terminal() -> Iterator[str]:
    """What is typed, until Ctrl-C or Ctrl-D; with a history where there is a terminal."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            # So that what a script prints can be read as a conversation.
            click.secho(f"{_PROMPT}{plain(line.strip())}", dim=True)
            yield line
        return
    # Arrow keys and history; not every build of Python has it.
    with suppress(ImportError):
        import readline  # noqa: F401
    while True:
        try:
            line = input(_PROMPT)
        except (EOFError, KeyboardInterrupt):
            click.echo()
            return
        yield line


def run_shell(
    talk: Talk,
    lines: Iterable[str],
    *,
    locale: str | None = None,
    say: Callable[[str], None] = click.echo,
) -> None:
    """Answer line after line. What goes wrong with one message is said; the next one is read."""
    intents, articles = talk.taught()
    say(_dim(f"model {talk.model().version}, {intents} intents, {articles} articles. {_HELP}"))
    shell = _Shell(talk, locale, say)
    for line in map(str.strip, lines):
        if line == "/quit":
            return
        if not line:
            continue
        try:
            shell.take(line)
        except TrefoilError as error:
            say(click.style(plain(str(error)), fg="red"))
        except KeyboardInterrupt:
            say("stopped waiting for the answer")


class _Shell:
    """One conversation after another."""

    def __init__(self, talk: Talk, locale: str | None, say: Callable[[str], None]) -> None:
        self._talk = talk
        self._locale = locale
        self._say = say
        self._begin()

    def take(self, line: str) -> None:
        """One line that was typed."""
        if line == "/new":
            self._begin()
            self._say(_dim("a new conversation"))
        elif line == "/help":
            self._say(_dim(_HELP))
        elif line == "/why":
            self._why()
        else:
            self._answer(self._pressed(line))

    def _begin(self) -> None:
        self._conversation_id = f"shell-{uuid.uuid4().hex}"
        self._buttons: list[Mapping[str, str]] = []
        self._last = ""

    def _pressed(self, line: str) -> str:
        """The message of the button with this number; any other line is a message itself."""
        number = int(line) if line.isascii() and line.isdigit() and len(line) < 4 else 0
        return self._buttons[number - 1]["payload"] if 1 <= number <= len(self._buttons) else line

    def _answer(self, text: str) -> None:
        reply = self._talk.send(
            Message(text, self._conversation_id, locale=self._locale, channel=CHANNEL)
        )
        self._last, self._buttons = text, reply["buttons"]
        for line in shown(reply):
            self._say(line)

    def _why(self) -> None:
        if not self._last:
            self._say("nothing was said yet")
            return
        for line in explained(self._talk.explain(self._last)):
            self._say(_dim(line))


def shown(reply: Mapping[str, Any]) -> list[str]:
    """An answer as lines for a terminal."""
    text = plain(reply["text"]).replace("\n", "\n     ")
    facts = [reply["action"]]
    if reply["intent"] is not None:
        facts.append(f"{plain(reply['intent'])} {reply['confidence']:.3f}")
    facts += [f"{plain(name)}={plain(value)}" for name, value in reply["slots"].items()]
    lines = [click.style("bot> ", fg="green") + text, _dim(f"     {' · '.join(facts)}")]
    for source in reply["sources"]:
        quote = plain(source["quote"]).replace("\n", " ")
        quote = quote if len(quote) <= _QUOTE else f"{quote[: _QUOTE - 1]}…"
        lines.append(_dim(f"     [{plain(source['title'])}] {plain(source['url'])} “{quote}”"))
    lines += [f"     {n}) {plain(b['title'])}" for n, b in enumerate(reply["buttons"], 1)]
    return lines


def explained(told: Explained) -> list[str]:
    """The model's guesses and the articles' evidence, as lines."""
    reading = told.understood.reading
    guesses = ", ".join(f"{plain(c.intent)} {c.probability:.3f}" for c in reading.ranked)
    sure = "sure" if reading.sure else "not sure"
    lines = [
        "read on its own, without the turns before:",
        f"  intents: {guesses}",
        f"  the first is right with a chance of {reading.chance:.3f}, "
        f"answered from {told.threshold:.3f} on: {sure}; out-of-scope score "
        f"{told.understood.in_scope:.3f}",
    ]
    if not told.understood.readable:
        lines.append("  the encoder cannot read it: words alone decide")
    found = told.found
    lines.append(
        f"  articles: {found.evidence:.3f}, which means something from {found.bars.some:.3f} and "
        f"is strong from {found.bars.strong:.3f} on"
    )
    for scored in found.passages[:_PASSAGES]:
        passage = scored.passage
        heading = f" › {plain(passage.heading)}" if passage.heading else ""
        lines.append(f"    {scored.strength:.3f} {plain(passage.title)}{heading}")
    return lines


def _dim(text: str) -> str:
    return click.style(text, dim=True)
