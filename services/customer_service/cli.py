"""Which commands does the customer service have? Each is load, call, print."""

from __future__ import annotations

from pathlib import Path

import click

from services.commands import (
    csv_option,
    existing_file,
    json_option,
    keep_personal_data_option,
    model_option,
    progress,
    save_figures,
    say_trained,
    service_group,
    train_options,
)
from services.customer_service.desk_cli import agents
from services.customer_service.learning_cli import COMMANDS as LEARNING
from services.customer_service.promise_cli import promise
from services.customer_service.teach_cli import COMMANDS as TEACHING
from services.customer_service.testing_cli import COMMANDS as TESTING
from services.tuning import Tuning, tuning_options

group = service_group(
    "customer-service",
    help="The support bot: understands the question, answers it, or says that it can't.",
    settings="services.customer_service.settings:Settings",
    app="services.customer_service.app:create_app",
    kind="customer_service",
    migrations="services.customer_service.migrations",
    worker="services.customer_service.worker:run",
    publishable=True,
)
for command in (*LEARNING, *TEACHING, *TESTING, promise, agents):
    group.add_command(command)


@group.command(
    "train",
    help="Train on questions with their intent (columns text,intent; `oos` marks out of scope). "
    "Example: trefoil customer-service train --data questions.csv --output model",
)
@existing_file("--data", help="CSV, JSONL, YAML or Parquet with text and intent.")
@train_options("fast")
@click.option(
    "--risk",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of automatic answers that may be wrong.",
)
@click.option(
    "--oos-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of questions that no intent answers, in your traffic.",
)
@click.option(
    "--search-model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="What `trefoil tune pairs` wrote: articles are then searched with its encoder.",
)
@click.option(
    "--tagger",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="What `trefoil tune tokens` wrote: it finds the values of slots of kind `learned`.",
)
@keep_personal_data_option
@tuning_options
def train_command(
    data: Path,
    output: Path,
    preset: str,
    base_model: str,
    seed: int,
    risk: float,
    oos_share: float,
    search_model: Path | None,
    tagger: Path | None,
    keep_personal_data: bool,
    tuning: Tuning,
) -> None:
    from services.customer_service.train import summary, train

    manifest = train(
        data,
        output,
        preset="accurate" if preset == "accurate" else "fast",
        base_model=base_model,
        seed=seed,
        risk=risk,
        oos_share=oos_share,
        search_model=search_model,
        tagger=tagger,
        keep_personal_data=keep_personal_data,
        tuning=tuning.arguments(preset),
        progress=progress(),
    )
    say_trained(summary(manifest), output)


@group.command(
    "evaluate",
    help="Measure a model on questions it never saw. "
    "Example: trefoil customer-service evaluate --model model --data test.csv --json out.json",
)
@model_option
@existing_file("--data", help="CSV, JSONL, YAML or Parquet with text and intent.")
@json_option
def evaluate_command(model: Path, data: Path, json_path: Path) -> None:
    from services.customer_service.measure import evaluate, summary
    from services.customer_service.understanding import IntentModel

    report = evaluate(IntentModel.load(model), data)
    save_figures(json_path, report, summary(report))


@group.command(
    "predict",
    help="Judge texts: text → intent,confidence,action (answer, clarify or abstain). "
    "Example: trefoil customer-service predict --model model --input texts.csv --output out.csv",
)
@model_option
@existing_file("--input", "texts", help="CSV, JSONL, YAML or Parquet with text.")
@csv_option
def predict_command(model: Path, texts: Path, output: Path) -> None:
    from services.customer_service.measure import predict
    from services.customer_service.understanding import IntentModel

    count = predict(IntentModel.load(model), texts, output)
    click.echo(f"{count} texts → {output}")


@group.command(
    "import",
    help="Take in answers, questions, a Rasa project, articles; repeat it as often as you like. "
    "Example: trefoil customer-service import --answers intents.yaml --articles articles/",
)
@existing_file("--answers", required=False, help="intents.yaml: slots, answers, quick replies.")
@existing_file(
    "--questions", required=False, help="CSV or JSONL: question, answer; optional intent, lang."
)
@click.option(
    "--rasa",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A Rasa project (2.0 to 3.1): the folder with domain.yml and data/.",
)
@click.option(
    "--articles",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of Markdown with front matter, or of HTML.",
)
@click.option(
    "--training-output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for train.csv and spans.jsonl, made of --questions and --rasa.",
)
def import_command(
    answers: Path | None,
    questions: Path | None,
    rasa: Path | None,
    articles: Path | None,
    training_output: Path | None,
) -> None:
    from datetime import UTC, datetime

    from services.customer_service.importers.run import run_import
    from services.customer_service.settings import Settings

    if not (answers or questions or rasa or articles):
        raise click.UsageError(
            "nothing to import: name --answers, --questions, --rasa or --articles"
        )
    if training_output and not (questions or rasa):
        raise click.UsageError("--training-output needs --questions or --rasa")
    report = run_import(
        Settings(),
        answers=answers,
        questions=questions,
        rasa=rasa,
        articles=articles,
        training_output=training_output,
        now=lambda: datetime.now(UTC),
        progress=progress(),
    )
    for line in report.lines():
        click.echo(line)
