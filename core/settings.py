"""How is a service set up, and which variable says so?

Settings are read once, at the edge (`app.py`, `cli.py`), and passed in. A service subclasses
`ServiceSettings` with its own prefix and port:

    class Settings(ServiceSettings):
        model_config = SettingsConfigDict(env_prefix="TREFOIL_CUSTOMER_SERVICE_")
        port: Port = 8001

so that `port` is `TREFOIL_CUSTOMER_SERVICE_PORT` in the environment. `TREFOIL_VAR` alone is
shared: the folder in which every service keeps its run-time state, in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from core.errors import SettingsError

Port = Annotated[int, Field(ge=1, le=65535)]
LogLevel = Literal["debug", "info", "warning", "error"]

# A list of words in one variable, separated by commas: "10.0.0.5:8080,192.168.0.0/16".
Words = Annotated[tuple[str, ...], NoDecode]

_PREFIX = "TREFOIL_"


class ServiceSettings(BaseSettings):
    """What every service needs to know before it starts. Frozen: a change is a new object."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        frozen=True,
        extra="forbid",
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    var_dir: Path = Field(default=Path("var"), validation_alias="TREFOIL_VAR")
    host: str = "127.0.0.1"
    port: Port = 8000
    # May hold a password, so it stays out of repr and logs.
    database_url: str = Field(default="", repr=False)
    models_dir: Path = Path()
    # Threads of the model's own pool. Two suit a small box; more than the cores have slow it down.
    threads: int = Field(default=2, ge=1, le=256)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, le=1_000_000_000)
    # Seconds in which the whole body must have come.
    body_timeout: float = Field(default=30.0, gt=0, le=3600)
    # Per API key, or per address where there is no key; `limits` notation, empty switches it off.
    rate_limit: str = "12000/minute"
    log_level: LogLevel = "info"
    # Private networks ("10.1.0.0/16") or host:port pairs that outgoing requests may reach.
    fetch_allow: Words = ()
    # Addresses of reverse proxies whose X-Forwarded-For is believed.
    trusted_proxies: Words = ()

    def __init__(self, **values: Any) -> None:
        """Read the environment; `values` win over it. SettingsError where a value is wrong."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explained(error.errors()[0], type(self)) from None
        except UnreadableVariable as error:
            raise SettingsError(f"a TREFOIL_ variable cannot be read: {error}") from error

    @classmethod
    def service_name(cls) -> str:
        """The service's name in file names, such as "customer_service"; from the prefix."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        return prefix.removeprefix(_PREFIX).strip("_").lower() or "trefoil"

    @property
    def service(self) -> str:
        """`service_name()` of this object's class."""
        return self.service_name()

    @property
    def command(self) -> str:
        """How one types it: "trefoil customer-service"."""
        return f"trefoil {self.service.replace('_', '-')}"

    def replace(self, **values: Any) -> Self:
        """A checked copy with other values; None leaves a value as it is (for options of a CLI)."""
        given = self.model_dump(include=self.model_fields_set)
        given.update({name: value for name, value in values.items() if value is not None})
        return type(self)(**given)

    @field_validator("var_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # Absolute from the start, so that a later change of directory moves nothing.
        return value.expanduser().absolute()

    @field_validator("database_url", mode="before")
    @classmethod
    def _default_database(cls, value: Any, info: ValidationInfo) -> Any:
        name = cls.service_name()
        return value or f"sqlite:///{_var_dir(info) / name / name}.db"

    @field_validator("models_dir", mode="after")
    @classmethod
    def _default_models(cls, value: Path, info: ValidationInfo) -> Path:
        if value == Path():
            return _var_dir(info) / cls.service_name() / "models"
        return value.expanduser().absolute()

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("fetch_allow", "trusted_proxies", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value


def _var_dir(info: ValidationInfo) -> Path:
    # Absent only where var_dir itself was wrong, and then that is the error told.
    return Path(info.data.get("var_dir", "var"))


def _explained(error: ErrorDetails, kind: type[ServiceSettings]) -> SettingsError:
    """One line for the first wrong value: which variable, what the rule is, what came."""
    field = str(error["loc"][0]) if error["loc"] else ""
    rule = error["msg"][0].lower() + error["msg"][1:]
    if error["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields)
        return SettingsError(f"there is no setting {field!r}", mend=f"Known are: {known}.")
    variable = _variable(field, kind)
    return SettingsError(
        f"{variable} is not usable: {rule}, was: {_shown(field, error['input'])}",
        mend=f"Set {variable} to such a value, or unset it for the default.",
    )


def _variable(field: str, kind: type[ServiceSettings]) -> str:
    if field in ("var_dir", "TREFOIL_VAR"):
        return "TREFOIL_VAR"
    return f"{kind.model_config.get('env_prefix', '')}{field}".upper()


def _shown(field: str, value: object) -> str:
    if any(word in field.lower() for word in ("url", "key", "secret", "token", "password")):
        return "(hidden)"
    if isinstance(value, Mapping):
        return "nothing"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
