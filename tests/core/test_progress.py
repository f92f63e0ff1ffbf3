"""What does a person see of a long piece of work, on a terminal and in a log?"""

from __future__ import annotations

import io

from core.progress import SILENT, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Two seconds pass between any two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def test_a_bar_passes_its_items_on_unchanged() -> None:
    progress = Progress(io.StringIO())
    assert list(progress.bar(iter("abc"), 3, "letters")) == ["a", "b", "c"]


def test_in_a_log_each_step_is_a_plain_line() -> None:
    log = io.StringIO()
    Progress(log).say("reading 10 texts")
    assert log.getvalue() == "reading 10 texts\n"


def test_in_a_log_a_long_bar_is_ten_plain_lines_at_most() -> None:
    log = io.StringIO()
    for _ in Progress(log).bar(range(1000), 1000, "epoch 1"):
        pass
    lines = log.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("epoch 1 100/1000 ")
    assert lines[-1].startswith("epoch 1 1000/1000 ")
    assert "\x1b" not in log.getvalue()
    assert "\r" not in log.getvalue()


def test_on_a_terminal_one_line_is_rewritten_and_ended_when_the_work_is_done() -> None:
    terminal = Terminal()
    for _ in Progress(terminal).bar(range(3), 3, "epoch 1"):
        pass
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\r") == 3


def test_the_time_left_follows_from_the_pace_so_far() -> None:
    log = io.StringIO()
    for _ in Progress(log, clock=Clock()).bar(range(4), 4, "work"):
        pass
    assert log.getvalue().splitlines() == [
        "work 1/4 6 s left",
        "work 2/4 4 s left",
        "work 3/4 2 s left",
        "work 4/4 0 s left",
    ]


def test_a_figure_may_stand_in_the_bar() -> None:
    log = io.StringIO()
    losses: list[float] = []
    for item in Progress(log).bar([0.5, 0.25], 2, "epoch 1", lambda: f"loss {losses[-1]:.2f}"):
        losses.append(item)
    assert [line.split(" 0 s")[0] for line in log.getvalue().splitlines()] == [
        "epoch 1 1/2 loss 0.50",
        "epoch 1 2/2 loss 0.25",
    ]


def test_more_items_than_were_promised_do_no_harm() -> None:
    log = io.StringIO()
    assert list(Progress(log).bar(range(3), 0, "work")) == [0, 1, 2]
    assert list(Progress(Terminal()).bar(range(3), 2, "work")) == [0, 1, 2]


def test_silence_is_silent() -> None:
    log = io.StringIO()
    quiet = Progress(log, quiet=True)
    quiet.say("nothing")
    assert list(quiet.bar([1], 1, "nothing")) == [1]
    assert list(SILENT.bar([1], 1, "nothing")) == [1]
    assert log.getvalue() == ""
