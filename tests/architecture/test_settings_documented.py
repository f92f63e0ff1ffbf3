"""Can every setting of a service be found in its README, or among those that all share?"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from core.settings import ServiceSettings, _variable
from tests.architecture.test_services import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_named_in_the_services_readme(root: Path, service: str) -> None:
    readme = root / "services" / service / "README.md"
    settings: type[ServiceSettings] = import_module(f"services.{service}.settings").Settings
    shared = root / "docs" / "SETTINGS.md"
    text = readme.read_text(encoding="utf-8") + shared.read_text(encoding="utf-8")
    prefix = str(settings.model_config["env_prefix"])
    assert prefix in text
    missing = []
    for name in settings.model_fields:
        variable = _variable(name, settings)
        # In full, or as in a table under the prefix: `port` or `PORT`.
        short = {f"`{name}`", f"`{variable.removeprefix(prefix)}`"}
        if variable not in text and not any(form in text for form in short):
            missing.append(variable)
    assert missing == []
