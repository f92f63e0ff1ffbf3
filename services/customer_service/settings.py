"""How is the customer service set up? Every variable begins with TREFOIL_CUSTOMER_SERVICE_."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings

# Nobody guesses so many; Chatwoot's own secrets have more.
_SHORTEST_SECRET = 20


class Settings(ServiceSettings):
    """What the customer service needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_CUSTOMER_SERVICE_")

    port: Port = 8001
    # The language of an answer where neither the request nor the script of the message tells it.
    default_locale: Literal["en", "zh"] = "en"
    # Characters of one message; more is refused.
    max_message_chars: int = Field(default=4000, ge=10, le=20_000)
    # Seconds between two looks at the database and the registry for newer answers, articles or
    # models that another process brought in.
    refresh_seconds: float = Field(default=0.5, ge=0.05, le=60)
    # Seconds between two looks of the worker for passages that nobody has read yet.
    worker_seconds: float = Field(default=10.0, ge=0.1, le=3600)
    # Days after its last turn that a conversation is deleted by the worker; 0 keeps all for ever.
    retention_days: int = Field(default=365, ge=0, le=36_500)
    # Texts whose judgement is remembered until the model changes.
    cache_texts: int = Field(default=4096, ge=1, le=1_000_000)
    # Waiting messages beyond which a caller is told to come back (503).
    max_queue: int = Field(default=256, ge=1, le=100_000)
    # WebSockets that may be open at once, over all callers; and of one address, where its key or
    # token stands in a web page.
    max_sockets: int = Field(default=256, ge=1, le=900)
    max_sockets_of_address: int = Field(default=8, ge=1, le=900)
    # Seconds without a message after which a WebSocket is closed.
    socket_idle_seconds: float = Field(default=300.0, ge=0.01, le=86_400)
    # Minutes that a session token of a website's widget is valid.
    session_minutes: int = Field(default=120, ge=1, le=10_080)
    # Signs session tokens; empty: made at the first start and kept in the database.
    session_secret: str = Field(default="", repr=False)
    # Address of a Chatwoot whose agent bot this is; empty: none. A private one must be named in
    # `fetch_allow` too.
    chatwoot_url: str = ""
    # The agent bot's access token, with which answers are posted.
    chatwoot_token: str = Field(default="", repr=False)
    # What proves that an event is Chatwoot's: it signs with it, or it is the end of the path.
    chatwoot_secret: str = Field(default="", repr=False)

    @field_validator("session_secret", "chatwoot_secret", mode="after")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and not (len(value) >= _SHORTEST_SECRET and value.isascii()):
            raise ValueError(f"must have at least {_SHORTEST_SECRET} characters of ASCII")
        return value

    @field_validator("chatwoot_url", mode="after")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value.rstrip("/")
