"""Which options let a person set a fine-tuning, the same for every `train` that tunes a classifier?

Only click is imported at the top; torch comes in when the training starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from core.errors import DataError, InvalidInput
from services.commands import Function, existing_file


@dataclass(frozen=True)
class Tuning:
    """What was asked for, unread: files are opened when the training starts."""

    settings: Mapping[str, Any]
    config_file: Path | None = None
    teachers: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    synonyms: Path | None = None
    checkpoints: Path | None = None
    resume: bool = False
    track: tuple[str, ...] = ()
    label_names: bool = False

    def arguments(self, preset: str) -> dict[str, Any]:
        """`config`, `options` and `extra` of core.training.classifier.train_classifier.

        Raises InvalidInput for a setting that there is not, or for any with the preset fast, which
        tunes nothing; DataError for a bad file.
        """
        from core.data.readers import read_texts
        from core.privacy import redact_rows
        from core.training.augment import read_synonyms
        from core.training.classifier import Extra
        from core.training.config import FineTuneConfig, changed
        from core.training.loop import RunOptions

        if preset == "fast" and replace(self, label_names=False) != Tuning({}):
            raise InvalidInput(
                "the preset fast tunes nothing, so it has no settings",
                mend="Add --preset accurate, or leave these options out.",
            )
        if self.resume and self.checkpoints is None:
            raise InvalidInput("--resume needs --checkpoints", mend="Name the folder of the run.")
        from_file, search = _read_config(self.config_file)
        # An inbox is full of personal data; nobody has to learn them.
        texts, _ = redact_rows(read_texts(self.unlabelled) if self.unlabelled else [])
        return {
            "config": changed(FineTuneConfig(), {**from_file, **self.settings}),
            "options": RunOptions(
                checkpoints=self.checkpoints,
                resume=self.resume,
                track=self.track,  # type: ignore[arg-type]  # click has checked the words
                track_folder=Path("runs"),
            ),
            "extra": Extra(
                teachers=self.teachers,
                unlabelled=tuple(row.text for row in texts),
                synonyms=read_synonyms(self.synonyms) if self.synonyms else None,
                search=search,
                label_names=self.label_names,
            ),
        }


def tuning_options(function: Function) -> Callable[..., Any]:
    """The options of `Tuning`, handed to the command as `tuning`."""

    @wraps(function)
    def command(
        settings: tuple[str, ...],
        config_file: Path | None,
        epochs: int | None,
        teachers: tuple[Path, ...],
        unlabelled: Path | None,
        synonyms: Path | None,
        checkpoints: Path | None,
        resume: bool,
        track: tuple[str, ...],
        label_names: bool,
        **others: Any,
    ) -> Any:
        said: dict[str, Any] = dict(map(_pair, settings))
        if epochs is not None:
            said["epochs"] = epochs
        tuning = Tuning(
            said,
            config_file,
            teachers,
            unlabelled,
            synonyms,
            checkpoints,
            resume,
            track,
            label_names,
        )
        return function(**others, tuning=tuning)

    folder = click.Path(path_type=Path, file_okay=False)
    a_model = click.Path(path_type=Path, exists=True, file_okay=False)
    options = (
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE",
            help="A setting of the preset accurate, such as tune=lora (docs/TRAINING.md).",
        ),
        existing_file(
            "--config", "config_file", required=False, help="YAML of such settings."
        ),
        click.option("--epochs", type=click.IntRange(1, 100), help="Short for --set epochs=N."),
        click.option(
            "--teacher", "teachers", multiple=True, type=a_model,
            help="A trained model whose word is distilled; may be repeated.",
        ),
        existing_file(
            "--unlabelled", required=False, help="Column text: texts that teachers label."
        ),
        existing_file("--synonyms", required=False, help="Columns word,synonym for augment."),
        click.option("--checkpoints", type=folder, help="Keep checkpoints of the tuning here."),
        click.option("--resume", is_flag=True, help="Go on from the last of --checkpoints."),
        click.option(
            "--track", multiple=True, type=click.Choice(["tensorboard", "wandb"]),
            help="Also log to runs/ (Weights & Biases stays offline).",
        ),
        click.option(
            "--label-names", is_flag=True,
            help="Learn from the names of the labels too (card_arrival): helps with few rows each.",
        ),
    )  # fmt: skip
    decorated: Callable[..., Any] = command
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _pair(setting: str) -> tuple[str, str]:
    name, sign, value = setting.partition("=")
    if not sign:
        raise click.BadParameter(f"expected NAME=VALUE, was: {setting}", param_hint="--set")
    return name.strip(), value.strip()


def _read_config(path: Path | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Settings by name, and the record of the search that found them where there was one.

    The file is YAML of settings, or the JSON that `trefoil tune search` wrote.
    """
    if path is None:
        return {}, None
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"no YAML: {error}", path, mend="Write lines of name: value.") from error
    if not isinstance(said, dict):
        raise DataError(
            "expected settings by name", path, mend="Write lines of name: value, such as tune: top."
        )
    if isinstance(said.get("config"), dict):
        return said["config"], said.get("search")
    return said, None
