"""How are the results of conversation tests told? Lines for a person, JSON, JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import click

from services.customer_service.conversation_tests import StepResult, TestResult
from services.customer_service.terminal import plain


def lines(results: Sequence[TestResult]) -> Iterator[str]:
    """A line for what passed, all differences for what did not, and the sum."""
    for result in results:
        mark = click.style("ok  ", fg="green") if result.passed else click.style("FAIL", fg="red")
        place = "" if result.passed else f"  ({result.test.file}, line {result.test.line})"
        yield f"{mark} {plain(result.test.name)}{place}"
        for number, step in enumerate(result.steps, 1):
            if not step.passed:
                yield from _step_lines(number, step)
    failed = sum(not result.passed for result in results)
    yield f"{len(results) - failed} of {len(results)} conversations as expected"


def _step_lines(number: int, step: StepResult) -> Iterator[str]:
    yield f"     step {number} (line {step.step.line}), user: {plain(step.step.user)}"
    if step.error:
        yield click.style(f"       refused: {plain(step.error)}", fg="red")
    for difference in step.differences:
        yield f"       {plain(difference.what)}"
        yield click.style(f"         expected: {_hanging(difference.expected)}", fg="green")
        yield click.style(f"         came:     {_hanging(difference.came)}", fg="red")
    if step.reply is not None and not any(d.what == "bot" for d in step.differences):
        yield click.style(f"       bot said: {_hanging(step.reply['text'])}", dim=True)


def _hanging(text: str) -> str:
    return plain(text).replace("\n", "\n                   ")


def as_json(results: Sequence[TestResult], model_version: str) -> dict[str, Any]:
    """Everything, for a program."""
    failed = sum(not result.passed for result in results)
    return {
        "model_version": model_version,
        "conversations": len(results),
        "passed": len(results) - failed,
        "failed": failed,
        "results": [
            {
                "name": result.test.name,
                "file": result.test.file,
                "line": result.test.line,
                "passed": result.passed,
                "steps": [_step_json(step) for step in result.steps],
            }
            for result in results
        ],
    }


def _step_json(step: StepResult) -> dict[str, Any]:
    return {
        "line": step.step.line,
        "user": step.step.user,
        "passed": step.passed,
        "error": step.error or None,
        "differences": [
            {"what": d.what, "expected": d.expected, "came": d.came} for d in step.differences
        ],
        "reply": None if step.reply is None else dict(step.reply),
    }


def as_junit(results: Sequence[TestResult]) -> bytes:
    """The form that build servers read: a test case a conversation."""
    failed = sum(not result.passed for result in results)
    root = ElementTree.Element(
        "testsuite", name="conversations", tests=str(len(results)), failures=str(failed)
    )
    for result in results:
        file = result.test.file
        case = ElementTree.SubElement(
            root, "testcase", name=_xml(result.test.name), classname=_xml(file), file=_xml(file)
        )
        if not result.passed:
            told = [
                click.unstyle(line)
                for number, step in enumerate(result.steps, 1)
                if not step.passed
                for line in _step_lines(number, step)
            ]
            failure = ElementTree.SubElement(case, "failure", message=_xml(told[0].strip()))
            failure.text = _xml("\n".join(told))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    """Without the signs that XML cannot hold."""
    return plain(text).encode("utf-8", "replace").decode("utf-8")
