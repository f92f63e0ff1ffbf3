"""Are settings read once, checked, and explained by the variable that sets them?"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from core.errors import SettingsError
from core.settings import Port, ServiceSettings


class ShopSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TREFOIL_CORNER_SHOP_")
    port: Port = 8009
    api_token: int = 1


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TREFOIL_VAR", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_follow_from_the_service_and_the_folder(tmp_path: Path) -> None:
    settings = ShopSettings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8009)
    assert settings.var_dir == tmp_path / "var"
    assert settings.models_dir == tmp_path / "var/corner_shop/models"
    assert settings.database_url == f"sqlite:///{tmp_path}/var/corner_shop/corner_shop.db"
    assert settings.command == "trefoil corner-shop"


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_VAR", "/srv/trefoil")
    monkeypatch.setenv("TREFOIL_CORNER_SHOP_PORT", "9000")
    monkeypatch.setenv("TREFOIL_CORNER_SHOP_FETCH_ALLOW", "10.0.0.0/8, feeds.internal:8080")
    monkeypatch.setenv("TREFOIL_CORNER_SHOP_LOG_LEVEL", "DEBUG")
    settings = ShopSettings()
    assert settings.port == 9000
    assert settings.models_dir == Path("/srv/trefoil/corner_shop/models")
    assert settings.fetch_allow == ("10.0.0.0/8", "feeds.internal:8080")
    assert settings.log_level == "debug"


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_VAR", "/srv/trefoil")
    monkeypatch.setenv("TREFOIL_CORNER_SHOP_PORT", "9000")
    settings = ShopSettings(port=9001, var_dir="/elsewhere")
    assert (settings.port, settings.var_dir) == (9001, Path("/elsewhere"))


def test_a_copy_with_other_values_is_checked_and_follows_them() -> None:
    settings = ShopSettings().replace(port=9001, var_dir=Path("/srv"), host=None)
    assert settings.port == 9001
    assert settings.host == "127.0.0.1"
    assert settings.database_url == "sqlite:////srv/corner_shop/corner_shop.db"
    with pytest.raises(SettingsError):
        settings.replace(port=0)


def test_they_cannot_be_changed_in_place() -> None:
    with pytest.raises(Exception, match="frozen"):
        ShopSettings().port = 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "eighty"), ("PORT", "70000"), ("THREADS", "0"), ("LOG_LEVEL", "loud")],
)
def test_a_wrong_value_names_its_variable_and_the_mend(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"TREFOIL_CORNER_SHOP_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        ShopSettings()
    assert str(caught.value).startswith(f"TREFOIL_CORNER_SHOP_{variable} is not usable: ")
    assert f"was: '{value.lower() if variable == 'LOG_LEVEL' else value}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_CORNER_SHOP_API_TOKEN", "hunter2")
    with pytest.raises(SettingsError, match="hidden") as caught:
        ShopSettings()
    assert "hunter2" not in str(caught.value)


def test_an_unknown_setting_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"no setting 'prot'.*port"):
        ShopSettings(prot=1)


def test_a_password_in_the_database_url_is_not_shown() -> None:
    settings = ShopSettings(database_url="postgresql://me:hunter2@host/name")
    assert "hunter2" not in repr(settings)
