"""Which commands let a team try the bot out? shell and test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from services.commands import existing_file, progress, write_json

if TYPE_CHECKING:
    from services.customer_service.settings import Settings
    from services.customer_service.terminal import Talk

_MODEL = click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="An artefact folder. Default: the live model.",
)
_ANSWERS = existing_file("--answers", required=False, help="intents.yaml instead of the database.")
_ARTICLES = click.option(
    "--articles",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of articles instead of the database.",
)

_OUTSIDE = click.option(
    "--outside",
    is_flag=True,
    help="Ask the company's webhooks and the language model, as the service does.",
)


@click.command(
    "shell",
    help="Talk to the bot in the terminal. What is said is kept like any conversation, under the "
    "channel `shell`; with --scratch, --answers or --articles nothing is. "
    "Example: trefoil customer-service shell --scratch",
)
@_MODEL
@click.option("--locale", help="The customer's language, such as en or zh. Default: by script.")
@click.option("--scratch", is_flag=True, help="In a database that is thrown away afterwards.")
@_ANSWERS
@_ARTICLES
@_OUTSIDE
def shell_command(
    model: Path | None,
    locale: str | None,
    scratch: bool,
    answers: Path | None,
    articles: Path | None,
    outside: bool,
) -> None:
    from services.customer_service import terminal
    from services.customer_service.settings import Settings
    from services.customer_service.shell import lines_of_terminal, run_shell

    with ExitStack() as stack:
        settings = stack.enter_context(terminal.with_model(Settings(), model))
        if scratch or answers or articles:
            own = terminal.scratch(
                settings,
                answers=answers,
                articles=articles,
                outside=outside,
                progress=progress(),
            )
            settings = stack.enter_context(own)
        talk = stack.enter_context(terminal.talking(settings))
        run_shell(talk, lines_of_terminal(), locale=locale)


@click.command(
    "test",
    help="Hold the conversations of YAML files with the bot, in a database that is thrown away, "
    "and compare its answers with what they expect; the exit status is 1 where one differs. "
    "Example: trefoil customer-service test --tests tests.yaml --output results --data test.csv",
)
@click.option(
    "--tests",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="A YAML file, or a folder of them: docs/TESTING.md.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for results.json, junit.xml and the report of --data.",
)
@_MODEL
@_ANSWERS
@_ARTICLES
@existing_file(
    "--data",
    required=False,
    help="Questions with their intent that the model never saw: adds the confusion matrix, the "
    "confidence histogram, the risk-coverage curve and errors.json.",
)
@existing_file(
    "--train", required=False, help="What it was trained on: errors.json then names the nearest."
)
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d"]),
    help="When the conversations take place, in UTC. Default: now.",
)
@_OUTSIDE
@click.pass_context
def test_command(
    ctx: click.Context,
    tests: Path,
    output: Path,
    model: Path | None,
    answers: Path | None,
    articles: Path | None,
    data: Path | None,
    train: Path | None,
    at: datetime | None,
    outside: bool,
) -> None:
    from services.customer_service import terminal
    from services.customer_service.conversation_tests import read_tests
    from services.customer_service.settings import Settings

    if train is not None and data is None:
        raise click.UsageError("--train needs --data")
    read = read_tests(tests)
    with ExitStack() as stack:
        settings = stack.enter_context(terminal.with_model(Settings(), model))
        own = terminal.scratch(
            settings, answers=answers, articles=articles, outside=outside, progress=progress()
        )
        settings = stack.enter_context(own)
        failed = _hold(settings, read, output, at)
        if data is not None:
            _judge(settings, data, train, output)
    ctx.exit(1 if failed else 0)


def _hold(settings: Settings, tests: list[Any], output: Path, at: datetime | None) -> int:
    """Run the tests, print and write what came; how many failed."""
    from services.customer_service import conversation_results as told
    from services.customer_service.conversation_tests import run_tests
    from services.customer_service.terminal import Clock, talking

    clock = Clock(at)
    with talking(settings, clock.now) as talk:
        results = run_tests(tests, _answerer(talk, clock))
        version = talk.model().version
    for line in told.lines(results):
        click.echo(line)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "results.json", told.as_json(results, version))
    (output / "junit.xml").write_bytes(told.as_junit(results))
    click.echo(f"{output}: results.json, junit.xml")
    return sum(not result.passed for result in results)


def _answerer(talk: Talk, clock: Any) -> Callable[[Any, Any], Any]:
    from core.errors import InvalidInput
    from services.customer_service.situation import Message

    def answer(test: Any, step: Any) -> Any:
        # A customer takes a while to read and write.
        clock.go_on()
        message = Message(
            step.user,
            test.conversation_id,
            locale=test.locale,
            channel=test.channel or "test",
        )
        try:
            return talk.send(message)
        except InvalidInput as error:
            return str(error)

    return answer


def _judge(settings: Settings, data: Path, train: Path | None, output: Path) -> None:
    from core.artifacts import Registry
    from services.customer_service.model_report import write_model_report
    from services.customer_service.understanding import KIND, IntentModel

    active = Registry(settings.models_dir, KIND).active()
    assert active is not None, "the tests were held with it"
    model = IntentModel.load(active.path, threads=settings.threads)
    figures = write_model_report(model, data, output, training=train)
    wrong = figures["wrong_answer_rate"]
    click.echo(
        f"{figures['rows']} questions: the right intent for {figures['accuracy_in_scope']:.1%} of "
        f"those in scope; {figures['coverage']:.1%} answered, "
        f"{'none' if wrong is None else f'{wrong:.1%} of them'} wrong"
    )
    click.echo(
        f"{output}: errors.json; confusion_matrix, confidence_histogram and risk_coverage as "
        ".png and .json"
    )


COMMANDS: Final = (shell_command, test_command)
