"""How is the recommender set up? Every variable begins with TREFOIL_RECOMMENDER_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings


class Settings(ServiceSettings):
    """What the recommender needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_RECOMMENDER_")

    port: Port = 8003
    # Items in one upsert; all of them are in the next answer.
    max_items_per_request: int = Field(default=100, ge=1, le=1_000)
    # Events in one request.
    max_events_per_request: int = Field(default=1_000, ge=1, le=10_000)
    # Recommendations in one answer.
    max_recommendations: int = Field(default=100, ge=1, le=1_000)
    # Seconds between two looks at the registry for another model.
    refresh_seconds: float = Field(default=0.5, ge=0.05, le=60)
    # Item texts waiting for the encoder beyond which a caller is told to come back (503).
    max_queue: int = Field(default=512, ge=1, le=100_000)
    # Item texts without a vector that a server encodes itself before it starts with a model; the
    # rest is the worker's, and until then such items are ranked without their text.
    encode_at_start: int = Field(default=200, ge=0, le=100_000)
    # Seconds between two runs of the worker's work.
    worker_seconds: float = Field(default=10.0, ge=0.1, le=3600)
