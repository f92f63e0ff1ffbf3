"""How is the customer service set up? Every variable begins with TREFOIL_CUSTOMER_SERVICE_."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings


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
