"""How is the recommender set up? Every variable begins with TREFOIL_RECOMMENDER_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings


class Settings(ServiceSettings):
    """What the recommender needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_RECOMMENDER_")

    port: Port = 8003
    # Room for some thousands of items in one request.
    max_body_bytes: int = Field(default=5_000_000, ge=1_000, le=1_000_000_000)
    # Items of one request that are in the next answer; more are accepted for the worker.
    max_items_per_request: int = Field(default=100, ge=1, le=1_000)
    # Items of one request at all, as far as `max_body_bytes` lets them in.
    max_items_per_upload: int = Field(default=10_000, ge=1, le=100_000)
    # Accepted batches that are not finished beyond which a caller is told to come back (503).
    max_waiting_uploads: int = Field(default=20, ge=1, le=1_000)
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
    # Minutes that a session token of a web page is valid; a page may make it longer before.
    session_minutes: int = Field(default=10_080, ge=1, le=525_600)
    # Signs session tokens; empty: made at the first start and kept in the database.
    session_secret: str = Field(default="", repr=False)
    # Days that is remembered what was answered, for attribution; 0 keeps all for ever.
    answers_days: int = Field(default=90, ge=0, le=36_500)
    # Seconds between two runs of the worker's work.
    worker_seconds: float = Field(default=10.0, ge=0.1, le=3600)
    # New positive events after which the worker trains by itself, at least; 0: only when asked.
    retrain_after: int = Field(default=1_000, ge=0)
    # The same as a share of the positive events there were at the last training.
    retrain_growth: float = Field(default=0.2, ge=0, le=100)
    # Hours between two trainings that nobody asked for, at least.
    retrain_hours: float = Field(default=1.0, ge=0, le=8_784)
    # Positive events from which on a training also tries to tune the encoder itself (preset
    # accurate), in so far as the live model was not trained so anyway; 0: never.
    retrain_encoder_after: int = Field(default=20_000, ge=0)
    # Newest events that a training reads; each takes about half a kilobyte of its memory.
    retrain_max_events: int = Field(default=5_000_000, ge=1_000)
    # A YAML file of shoppers as whom one may walk through the demo storefront; for demonstrations.
    sample_shoppers: str = ""
