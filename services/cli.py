"""The `trefoil` command: which command was meant, and what does a person see when it fails?

Services are imported when one of their commands is named, not before. Every failure that was
foreseen is one line on standard error that says the mend; the exit status is 0 (done), 1 (failed)
or 2 (wrong usage).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.commands import load

# name on the command line → (module, one line for `trefoil --help`)
_COMMANDS = {
    "demo": ("services.demo.cli:demo", "Train what is missing, serve all three, replay a feed."),
    "customer-service": ("services.customer_service.cli:group", "The support bot."),
    "finance-sentiment": ("services.finance_sentiment.cli:group", "The news monitor."),
    "recommender": ("services.recommender.cli:group", "The recommender."),
    "report": ("services.report_cli:report", "One HTML page: how good is a model?"),
    "compare": ("services.report_cli:compare", "Is one model better than another?"),
    "data": ("services.data_cli:data", "A company's own files: check, split, redact."),
    "tune": ("services.tune_cli:tune", "Spans, search, re-ranking, a base model, settings."),
    "models": ("services.models_cli:models", "Versions of trained models: list, promote, …"),
}

# What the extra [train] brings. A server has none of them, so a command may find them missing.
_TRAINING_LIBRARIES = {
    *("huggingface_hub", "mapie", "matplotlib", "onnx", "onnxscript", "optuna", "peft", "pyarrow"),
    *("accelerate", "datasets", "scipy", "sentence_transformers", "sklearn", "tensorboard"),
    *("torch", "transformers", "wandb"),
}


class _LazyGroup(click.Group):
    """Lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = load(_COMMANDS[cmd_name][0])
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trefoil")
def trefoil() -> None:
    """Fine-tuned text models for one ordinary box.

    Example: trefoil customer-service train --data questions.csv --output model
    """


def main() -> None:
    """Entry point of the `trefoil` script."""
    from core.errors import TrefoilError

    try:
        status = trefoil.main(prog_name="trefoil", standalone_mode=False)
    except click.exceptions.Abort:
        _fail("stopped", 1)
    except click.ClickException as error:
        error.show()
        sys.exit(2 if isinstance(error, click.UsageError) else 1)
    except TrefoilError as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(_os_error(error), 1)
    except KeyboardInterrupt:
        _fail("stopped", 1)
    except ModuleNotFoundError as error:
        if error.name not in _TRAINING_LIBRARIES:
            raise
        _fail(f'{error.name} is not installed. Run: pip install "trefoil[train]"', 1)
    if isinstance(status, int):  # what a command gave to ctx.exit
        sys.exit(status)


def _os_error(error: OSError) -> str:
    import errno

    place = f" ({error.filename})" if error.filename else ""
    mends = {
        errno.ENOSPC: "the disk is full. Free some space and run the command again",
        errno.EACCES: f"no right to read or write{place}. Choose another folder",
        errno.EROFS: f"the file system is read-only{place}. Choose another folder",
    }
    return mends.get(error.errno or 0, f"{error.strerror or error}{place}")


def _fail(message: str, status: int) -> None:
    click.echo(f"trefoil: {message}", err=True)
    sys.exit(status)


def repository_root() -> Path:
    """The folder that holds `shared_data/`: where the project was cloned."""
    return Path(__file__).resolve().parent.parent


if __name__ == "__main__":
    main()
