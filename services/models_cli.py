"""`trefoil models`: which versions are there, are they whole, and which one is live?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from services.commands import load

# kind in the manifest → settings class of its service
_KINDS = {
    "customer_service": "services.customer_service.settings:Settings",
    "finance_sentiment": "services.finance_sentiment.settings:Settings",
    "recommender": "services.recommender.settings:Settings",
}
_folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def models() -> None:
    """Versions of trained models."""


@models.command("list", help="All versions of all services. Example: trefoil models list")
def list_versions() -> None:
    from core.artifacts import read_manifest

    empty = True
    for kind in _KINDS:
        registry = _registry(kind)
        active = registry.active()
        for version in registry.versions():
            empty = False
            manifest = read_manifest(version.path)
            live = "live" if active and active.number == version.number else "    "
            click.echo(
                f"{kind:18} {version.number:04d} {live} {manifest.created_at} "
                f"{manifest.identity} {_summary(manifest.metrics)}"
            )
    if empty:
        click.echo("no versions yet; train one and run: trefoil models promote DIR")


@models.command("verify", help="Check every file. Example: trefoil models verify model/")
@click.argument("folder", type=_folder, required=False)
def verify_model(folder: Path | None) -> None:
    from core.artifacts import verify

    folders = [folder] if folder else [v.path for k in _KINDS for v in _registry(k).versions()]
    for each in folders:
        manifest = verify(each)
        click.echo(f"{each}: whole, {manifest.kind}, {len(manifest.files)} files")
    if not folders:
        click.echo("no versions to verify")


@models.command("promote", help="Make a model live. Example: trefoil models promote model/")
@click.argument("folder", type=_folder)
@click.option("--force", is_flag=True, help="Past the gate: even if it is worse.")
def promote(folder: Path, force: bool) -> None:
    from core.artifacts import read_manifest
    from services.gate import not_worse

    kind = read_manifest(folder).kind
    version = _registry(kind).promote(folder, gate=None if force else not_worse)
    click.echo(f"{kind} version {version.number:04d} is live")


@models.command("rollback", help="Back to the version before. Example: trefoil models rollback")
@click.option("--service", "kind", type=click.Choice(list(_KINDS)), help="Which service's model.")
def rollback(kind: str | None) -> None:
    with_active = [k for k in _KINDS if _registry(k).active() is not None]
    if kind is None and len(with_active) != 1:
        raise click.UsageError(f"name the service: --service {'|'.join(with_active or _KINDS)}")
    chosen = kind or with_active[0]
    version = _registry(chosen).rollback()
    click.echo(f"{chosen} version {version.number:04d} is live again")


def _registry(kind: str) -> Any:
    from core.artifacts import Registry
    from core.errors import ArtifactError

    if kind not in _KINDS:
        raise ArtifactError(f"no service has models of kind {kind!r}", mend="Train it again.")
    return Registry(load(_KINDS[kind])().models_dir, kind)


def _summary(metrics: Any) -> str:
    from services.gate import headline

    figure = headline(metrics)
    return "" if figure is None else f"{figure.name} {figure.value:.3f}"
