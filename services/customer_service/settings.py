"""How is the customer service set up? Every variable begins with TREFOIL_CUSTOMER_SERVICE_."""

from __future__ import annotations

from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings, Words

# Nobody guesses so many; Chatwoot's own secrets have more.
_SHORTEST_SECRET = 20


class Settings(ServiceSettings):
    """What the customer service needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_CUSTOMER_SERVICE_")

    port: Port = 8001
    # Turns come one by one and a text is short: a second thread waits more than it works, and the
    # other core is needed for all the rest of a turn (benchmarks/README.md).
    threads: int = Field(default=1, ge=1, le=256)
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
    # Hours of silence that end a session: what was said before is kept, and is no context any more.
    session_hours: float = Field(default=24.0, gt=0, le=8760)
    # Seconds within which a message that nobody understands alone is read with the ones before it
    # that were not helped; 0 reads each alone.
    burst_seconds: float = Field(default=20.0, ge=0, le=600)
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

    # The file that the team trains on (columns text,intent); empty: the model stays as it is.
    training_data: str = ""
    # New examples since the last training from which on the worker trains again.
    retrain_examples: int = Field(default=20, ge=1, le=100_000)
    # Messages, the newest, that a retrained model is asked before it may go live.
    replay_turns: int = Field(default=1000, ge=0, le=10_000)
    # Whether a retrained model that passed everything goes live by itself.
    auto_promote: bool = True

    # Attempts to log in at the desk, for each name and for each address; empty: no limit.
    login_rate: str = "10/10 minutes"
    # Whether the desk's cookie goes over https alone. Where the request came by https it does
    # anyhow.
    desk_secure_cookie: bool = False
    # Minutes without a request after which an agent has to log in again, and hours after which
    # they have to in any case.
    desk_idle_minutes: int = Field(default=60, ge=1, le=10_080)
    desk_session_hours: int = Field(default=12, ge=1, le=720)
    # Minutes that an agent may say nothing in a conversation before it is waiting again.
    agent_minutes: int = Field(default=15, ge=1, le=10_080)
    # Seconds between two looks of a WebSocket for what agents said.
    desk_seconds: float = Field(default=1.0, ge=0.02, le=60)

    # Addresses of the company's webhooks, by commas: an intent's `call` goes to these or below
    # them, and nowhere else. Empty: nothing is called. A private one must be named in
    # `fetch_allow` too.
    action_urls: Words = ()
    # Signs what is sent to the webhooks.
    action_secret: str = Field(default="", repr=False)
    # Whose "today" and "tomorrow" are meant, a name of the IANA time zone database.
    time_zone: str = "UTC"

    # Address of an OpenAI-compatible server that words answers from articles; empty: none does. A
    # private one must be named in `fetch_allow` too.
    generation_url: str = ""
    # Its API key, where it wants one, and the model to ask for.
    generation_key: str = Field(default="", repr=False)
    generation_model: str = ""
    # Seconds in which the whole text must have come; then the articles are quoted.
    generation_timeout: float = Field(default=10.0, ge=0.05, le=120)
    # Whether it is asked to stream.
    generation_stream: bool = True
    # Tokens of one answer, and of all questions and answers of a day (UTC) over all processes.
    generation_max_tokens: int = Field(default=300, ge=16, le=4000)
    generation_budget_tokens_day: int = Field(default=1_000_000, ge=1, le=10_000_000_000)
    # Questions that one process asks it at once; for one more, the articles are quoted.
    generation_at_once: int = Field(default=8, ge=1, le=32)

    @field_validator("session_secret", "chatwoot_secret", "action_secret", mode="after")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and not (len(value) >= _SHORTEST_SECRET and value.isascii()):
            raise ValueError(f"must have at least {_SHORTEST_SECRET} characters of ASCII")
        return value

    @field_validator("action_urls", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("action_urls", mode="after")
    @classmethod
    def _all_http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_web_address(url) for url in value)

    @field_validator("time_zone", mode="after")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("must be a name such as Europe/Amsterdam") from error
        return value

    @field_validator("chatwoot_url", "generation_url", mode="after")
    @classmethod
    def _http(cls, value: str) -> str:
        return _web_address(value) if value else ""


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    return value.rstrip("/")
