"""Does the README name every setting, endpoint and command?"""

from __future__ import annotations

from pathlib import Path

from core.settings import ServiceSettings
from services.finance_sentiment import cli
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings

README = (Path(cli.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_every_setting_of_its_own_is_documented() -> None:
    own = set(Settings.model_fields) - set(ServiceSettings.model_fields)
    assert [name for name in sorted(own) if f"`{name.upper()}`" not in README] == []


def test_every_endpoint_is_documented(settings: Settings) -> None:
    paths = [path for path in create_app(settings).openapi()["paths"] if path.startswith("/v1")]
    assert paths
    assert [path for path in paths if path not in README] == []


def test_every_command_is_documented() -> None:
    assert [name for name in cli.group.commands if f"`{name}" not in README] == []
