"""The README names what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import ServiceSettings
from services.recommender import cli
from services.recommender.api import router
from services.recommender.settings import Settings

README = (Path(cli.__file__).parent / "README.md").read_text(encoding="utf-8")
OWN = sorted(set(Settings.model_fields) - set(ServiceSettings.model_fields))


@pytest.mark.parametrize("name", OWN)
def test_every_setting_is_there_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    assert f"| `{name.upper()}` | {default:g} |" in README


@pytest.mark.parametrize("command", sorted(cli.group.commands))
def test_every_command_is_there(command: str) -> None:
    assert f"`{command}" in README or f"`{command}`" in README or f"· `{command} " in README


@pytest.mark.parametrize("route", router.routes, ids=lambda route: route.path)
def test_every_endpoint_is_there_with_its_method(route) -> None:
    path = route.path.replace(":path", "")
    assert all(f"{method} {path}" in README for method in route.methods)
