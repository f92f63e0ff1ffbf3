"""Can every setting of a service be found in its README?"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from core.settings import ServiceSettings, _variable

SERVICES = ("customer_service", "finance_sentiment", "recommender")


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_named_in_the_services_readme(root: Path, service: str) -> None:
    readme = root / "services" / service / "README.md"
    if not readme.is_file():
        pytest.skip(f"{readme.relative_to(root)} is not written yet")
    settings: type[ServiceSettings] = import_module(f"services.{service}.settings").Settings
    text = readme.read_text(encoding="utf-8")
    missing = [
        variable
        for name in settings.model_fields
        if (variable := _variable(name, settings)) not in text
    ]
    assert missing == []
