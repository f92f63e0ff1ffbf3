"""Which commands does every service have, and with which options?

Only click is imported at the top, so that `trefoil --help` stays quick: settings, servers and
models are named as "module:attribute" and loaded when their command runs.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

BUNDLED_REFERENCE = "sentence-transformers/all-MiniLM-L6-v2"


def load(reference: str) -> Any:
    """The object that "package.module:attribute" names."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def service_group(
    name: str,
    *,
    help: str,
    settings: str,
    app: str,
    kind: str,
    migrations: str,
    worker: str,
    publishable: bool = False,
    scopes: Sequence[str] = (),
) -> click.Group:
    """The group `trefoil <name>` with serve, worker, db and keys.

    `settings`: a ServiceSettings class; `app`: create_app(settings); `worker`: run(settings, stop);
    `migrations`: the package that holds the Alembic scripts; `publishable`: whether the service has
    something for keys that stand in a web page; `scopes`: those that its endpoints ask for, where
    `keys create` shall take no others.
    """
    group = click.Group(name, help=help)
    group.add_command(_serve_command(name, settings, app))
    group.add_command(_worker_command(name, settings, worker))
    group.add_command(_db_group(name, settings, migrations))
    group.add_command(_keys_group(name, settings, migrations, publishable, scopes))
    return group


def train_options(default_preset: str) -> Callable[[Function], Function]:
    """--preset, and those of `new_model_options`, the same for every `train`."""

    def decorate(function: Function) -> Function:
        preset = click.option(
            "--preset",
            type=click.Choice(["fast", "accurate"]),
            default=default_preset,
            show_default=True,
            help="fast: frozen encoder; accurate: the whole encoder is tuned.",
        )
        return new_model_options(preset(function))

    return decorate


def new_model_options(function: Function) -> Function:
    """--output --base-model --seed, of whatever trains."""
    for option in (
        click.option("--seed", default=0, show_default=True, help="Of every random choice."),
        click.option(
            "--base-model",
            default=BUNDLED_REFERENCE,
            show_default=True,
            help="A folder, or a hub id with its revision: org/name@commit.",
        ),
        click.option(
            "--output",
            required=True,
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of the new artefact.",
        ),
    ):
        function = option(function)
    return function


def existing_file(*names: str, help: str, required: bool = True) -> Callable[[Function], Function]:
    """An option that names a file which must exist (a usage error, status 2, where it does not)."""
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(*names, type=kind, required=required, help=help)


def keep_personal_data_option(function: Function) -> Function:
    """--keep-personal-data of every `train` that redacts."""
    return click.option(
        "--keep-personal-data",
        is_flag=True,
        help="Train on the texts as they are. Without it, e-mail addresses, phone numbers and the "
        "like are replaced by [email], [phone], … first.",
    )(function)


def model_option(function: Function) -> Function:
    """--model DIR, an artefact folder."""
    kind = click.Path(path_type=Path, exists=True, file_okay=False)
    return click.option("--model", type=kind, required=True, help="An artefact folder.")(function)


def new_file(*names: str, help: str, required: bool = True) -> Callable[[Function], Function]:
    """An option that names a file to write; one that is there is replaced."""
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option(*names, type=kind, required=required, help=help)


def json_option(function: Function) -> Function:
    """--json FILE (`json_path`), where a command's figures go."""
    return new_file("--json", "json_path", help="Where the figures go.")(function)


def csv_option(function: Function) -> Function:
    """--output FILE of a `predict`."""
    return new_file("--output", help="The CSV to write.")(function)


def say_trained(figures: Iterable[str], output: Path) -> None:
    """The last lines of a `train`: what was measured, and how the model goes live."""
    for line in figures:
        click.echo(line)
    click.echo(f"{output}: done. Make it live with: trefoil models promote {output}")


def save_figures(path: Path, figures: Mapping[str, Any], summary: Iterable[str]) -> None:
    """The end of an `evaluate`: the JSON on disk, its summary on the terminal."""
    write_json(path, figures)
    for line in summary:
        click.echo(line)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` aside and rename it; NaN is refused, since JSON has none."""
    from core.files import written_whole

    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with written_whole(path) as file:
        file.write(text)


def progress() -> Any:
    """The progress of one command, on standard error."""
    from core.progress import Progress

    return Progress()


def _serve_command(name: str, settings: str, app: str) -> click.Command:
    @click.command("serve", help=f"Serve over HTTP. Example: trefoil {name} serve --port 9000")
    @click.option("--host", help="Address to listen on (default: this machine only).")
    @click.option("--port", type=click.IntRange(1, 65535), help="Port (default: see settings).")
    def serve(host: str | None, port: int | None) -> None:
        from core.web.serve import run_server

        chosen = load(settings)().replace(host=host, port=port)
        run_server(lambda: load(app)(chosen), chosen)

    return serve


def _worker_command(name: str, settings: str, worker: str) -> click.Command:
    @click.command("worker", help=f"Run the scheduled work. Example: trefoil {name} worker")
    def run() -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        load(worker)(load(settings)(), stop)

    return run


def _db_group(name: str, settings: str, migrations: str) -> click.Group:
    group = click.Group("db", help="The service's database.")

    @group.command("upgrade", help=f"Bring it to this version. Example: trefoil {name} db upgrade")
    def upgrade() -> None:
        chosen = load(settings)()
        _upgrade(chosen, migrations)
        click.echo(f"the database of {name} is up to date")

    return group


def _keys_group(
    name: str, settings: str, migrations: str, publishable: bool, known: Sequence[str]
) -> click.Group:
    group = click.Group("keys", help="API keys. Without any, only this machine may call.")

    def session() -> Any:
        from core.db.engine import make_engine, session_factory

        chosen = load(settings)()
        _upgrade(chosen, migrations)
        return session_factory(make_engine(chosen.database_url))()

    @group.command(
        "create", help=f"Make a key. Example: trefoil {name} keys create shop --scope '*'"
    )
    @click.argument("label")
    @_scope_options(publishable, known)
    def create(
        label: str,
        scopes: tuple[str, ...],
        publishable: bool = False,
        origins: tuple[str, ...] = (),
    ) -> None:
        from core.db import keys

        if publishable is bool(scopes) or publishable is not bool(origins):
            raise click.UsageError("name --scope, or --publishable with --origin")
        with session() as opened:
            if publishable:
                secret = keys.create_publishable_key(opened, _keys_table(), label, origins)
            else:
                secret = keys.create_key(opened, _keys_table(), label, scopes)
            opened.commit()
        click.echo(secret)
        click.echo("This is the only time it is shown; what is stored is a hash.", err=True)

    @group.command("list", help=f"Show the keys. Example: trefoil {name} keys list")
    def show() -> None:
        from core.db import keys

        with session() as opened:
            for key in keys.list_keys(opened, _keys_table()):
                state = "revoked" if key.revoked_at else "live"
                scopes = " ".join(sorted(key.scopes))
                click.echo(
                    f"{key.key_id}  {state:7}  {key.created_at:%Y-%m-%d}  {key.name}  {scopes}"
                )

    @group.command("revoke", help=f"End a key. Example: trefoil {name} keys revoke NAME")
    @click.argument("name_or_id")
    def revoke(name_or_id: str) -> None:
        from core.db import keys

        with session() as opened:
            key = keys.revoke_key(opened, _keys_table(), name_or_id)
            opened.commit()
        click.echo(f"{key.name} ({key.key_id}) is revoked")

    return group


def _scope_options(publishable: bool, known: Sequence[str]) -> Callable[[Function], Function]:
    """--scope of `keys create`; where the service has publishable keys, also what makes one."""

    def decorate(function: Function) -> Function:
        if publishable:
            function = click.option(
                "--origin", "origins", multiple=True, help="A website: https://shop.example."
            )(function)
            function = click.option(
                "--publishable",
                is_flag=True,
                help="May stand in web pages of --origin: opens sessions there and nothing else.",
            )(function)
        return click.option(
            "--scope",
            "scopes",
            type=click.Choice([*known, "*"]) if known else str,
            multiple=True,
            required=not publishable,
            help="May be repeated; '*' stands for all.",
        )(function)

    return decorate


def _keys_table() -> Any:
    from sqlalchemy import MetaData

    from core.db.tables import api_keys_table

    return api_keys_table(MetaData())


def _upgrade(settings: Any, migrations: str) -> None:
    from core.db.migrations import upgrade

    upgrade(settings.database_url, migrations_folder(migrations))


def migrations_folder(package: str) -> Path:
    """The folder of a service's Alembic scripts, wherever the package is installed."""
    parent, _, name = package.rpartition(".")
    return Path(str(import_module(parent).__file__)).parent / name
