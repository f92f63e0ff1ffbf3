"""Do the options of a fine-tuning arrive, and are wrong ones told before anything is trained?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from core.errors import DataError, InvalidInput
from services.tuning import Tuning, tuning_options

Ask = Callable[..., Tuning]


@pytest.fixture
def ask() -> Ask:
    """What a command gets for these words of the command line."""

    def ask(*words: str | Path) -> Tuning:
        got: list[Tuning] = []

        @click.command()
        @tuning_options
        def command(tuning: Tuning) -> None:
            got.append(tuning)

        result = CliRunner().invoke(command, [str(word) for word in words])
        if result.exit_code:
            raise click.UsageError(result.output)
        return got[0]

    return ask


def test_without_any_option_the_preset_is_as_it_is(ask: Ask) -> None:
    from core.training.config import FineTuneConfig

    arguments = ask().arguments("accurate")
    assert arguments["config"] == FineTuneConfig()
    assert arguments["options"].checkpoints is None
    assert arguments["extra"].teachers == ()


def test_the_names_of_labels_help_the_fast_preset_too(ask: Ask) -> None:
    assert ask("--label-names").arguments("fast")["extra"].label_names
    with pytest.raises(InvalidInput, match="fast tunes nothing"):
        ask("--label-names", "--set", "tune=top").arguments("fast")


def test_settings_are_read_as_what_they_are(ask: Ask) -> None:
    words = ("--set", "tune=lora", "--set", "learning_rate=3e-5", "--set", "class_weights=true")
    config = ask(*words, "--epochs", "3").arguments("accurate")["config"]
    assert (config.tune, config.learning_rate, config.class_weights) == ("lora", 3e-5, True)
    assert config.epochs == 3


def test_what_is_said_on_the_line_outweighs_the_file(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "tuning.yaml"
    file.write_text("tune: top\ntop_layers: 3\n", encoding="utf-8")
    config = ask("--config", file, "--set", "top_layers=1").arguments("accurate")["config"]
    assert (config.tune, config.top_layers) == ("top", 1)


def test_what_a_search_found_is_taken_with_its_record(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    file.write_text('{"config": {"epochs": 7}, "search": {"trials": 4}}', encoding="utf-8")
    arguments = ask("--config", file).arguments("accurate")
    assert arguments["config"].epochs == 7
    assert arguments["extra"].search == {"trials": 4}


@pytest.mark.parametrize("content", ["- a list\n", "a: [1\n", "just text\n"])
def test_a_file_that_names_no_settings_is_told_with_its_path(
    ask: Ask, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "tuning.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"tuning\.yaml"):
        ask("--config", file).arguments("accurate")


def test_unlabelled_texts_teachers_and_synonyms_arrive(ask: Ask, tmp_path: Path) -> None:
    texts, words = tmp_path / "texts.csv", tmp_path / "words.csv"
    texts.write_text("text\nwhere is it\nmail me at ann@example.org\n", encoding="utf-8")
    words.write_text("word,synonym\nparcel,package\n", encoding="utf-8")
    said = ask("--unlabelled", texts, "--synonyms", words, "--teacher", tmp_path)
    extra = said.arguments("accurate")["extra"]
    assert extra.unlabelled == ("where is it", "mail me at [email]")
    assert extra.teachers == (tmp_path,)
    assert dict(extra.synonyms)["parcel"] == ("package",)


def test_a_run_is_resumed_from_the_named_checkpoints(ask: Ask, tmp_path: Path) -> None:
    options = ask("--checkpoints", tmp_path, "--resume").arguments("accurate")["options"]
    assert (options.checkpoints, options.resume) == (tmp_path, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume",), "--checkpoints"),
        (("--set", "speed=1"), "no setting of fine-tuning"),
        (("--set", "epochs=many"), "epochs must be a whole number"),
        (("--set", "dropout=2"), "dropout must be in"),
    ],
)
def test_wrong_settings_are_told_with_the_mend(
    ask: Ask, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        ask(*words).arguments("accurate")


@pytest.mark.parametrize("words", [("--set", "epochs"), ("--track", "paper"), ("--epochs", "0")])
def test_words_that_make_no_sense_are_a_usage_error(ask: Ask, words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        ask(*words)


def test_the_fast_preset_takes_no_settings(ask: Ask) -> None:
    with pytest.raises(InvalidInput, match="--preset accurate"):
        ask("--epochs", "2").arguments("fast")


def test_the_fast_preset_without_settings_is_fine(ask: Ask) -> None:
    found: dict[str, Any] = ask().arguments("fast")
    assert set(found) == {"config", "options", "extra"}
