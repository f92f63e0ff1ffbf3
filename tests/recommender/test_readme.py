"""The README names what there is."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from core.settings import ServiceSettings
from services import recommender
from services.recommender import cli
from services.recommender.settings import Settings

README = (Path(cli.__file__).parent / "README.md").read_text(encoding="utf-8")
OWN = sorted(set(Settings.model_fields) - set(ServiceSettings.model_fields))


@pytest.mark.parametrize("name", OWN)
def test_every_setting_is_there_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    shown = default if isinstance(default, str) else f"{default:.15g}"
    assert f"| `{name.upper()}` | {shown} |".replace("  ", " ") in README


@pytest.mark.parametrize("command", sorted(cli.group.commands))
def test_every_command_is_there(command: str) -> None:
    assert f"`{command}`" in README or f"`{command} " in README


def endpoints() -> list[APIRoute]:
    """Those of every router in a module of endpoints."""
    names = [m.name for m in iter_modules(recommender.__path__) if m.name.endswith("api")]
    modules = [import_module(f"{recommender.__name__}.{name}") for name in names]
    routers = [r for module in modules for r in vars(module).values() if isinstance(r, APIRouter)]
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("route", endpoints(), ids=lambda route: f"{route.methods} {route.path}")
def test_every_endpoint_is_there_with_its_method(route: APIRoute) -> None:
    path = route.path.replace(":path", "")
    assert all(f"{method} {path}" in README for method in route.methods)
