"""How is the news monitor set up? Every variable begins with TREFOIL_FINANCE_SENTIMENT_."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from core.markup import web_address
from core.settings import Port, ServiceSettings, Words


class Settings(ServiceSettings):
    """What the news monitor needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_FINANCE_SENTIMENT_")

    port: Port = 8002
    # A YAML list of feeds that the worker takes in when it starts; see README.md.
    sources: Path | None = None
    # A YAML list of companies that stories are linked to; see docs/COMPANIES.md.
    companies: Path | None = None
    # A folder whose files (feeds, or lists of stories) are taken in; see docs/SOURCES.md.
    watch_folder: Path | None = None
    # YAML rules (share, least volume, for how long) that are watched beside the detector.
    rules: Path | None = None
    # False alarms that are accepted in a week, over all topics and companies together.
    false_alarms_per_week: float = Field(default=1.0, ge=0.001, le=1000)
    # Hours in a row that a surge must be seen before it fires; that it goes on firing after it was
    # last seen; and that its topic then stays quiet. The promise holds at 1, 0, 0; others only
    # lower the number of alerts.
    alert_for_hours: int = Field(default=1, ge=1, le=168)
    alert_keep_firing_hours: int = Field(default=0, ge=0, le=168)
    alert_cool_down_hours: int = Field(default=0, ge=0, le=168)
    # Where feeds that fail brought at least this share of the news, nothing counts as calm.
    degraded_share: float = Field(default=0.25, gt=0, le=1)
    # Seconds between two looks at a feed that names no interval of its own: between these bounds
    # it follows how often the feed has news. What a server wants with its cache headers or <ttl>
    # is kept up to the longer one, whatever the interval.
    fetch_interval: float = Field(default=300.0, ge=1, le=86_400)
    fetch_interval_max: float = Field(default=3600.0, ge=1, le=604_800)
    # Feeds that are fetched at the same time, of all hosts and of one.
    fetch_concurrency: int = Field(default=8, ge=1, le=64)
    fetch_per_host: int = Field(default=2, ge=1, le=64)
    # Bytes of one feed after unpacking, and the newest entries of it that are looked at.
    max_feed_bytes: int = Field(default=2_000_000, ge=1_000, le=50_000_000)
    max_feed_entries: int = Field(default=500, ge=1, le=10_000)
    # A YAML list of whom to tell of alerts; see docs/DELIVERY.md.
    channels: Path | None = None
    # Private networks or host:port pairs that messages may go to; feeds have FETCH_ALLOW.
    deliver_allow: Words = ()
    # Where people reach the monitor: the links in messages begin with it.
    public_url: str = ""
    # Days for which a message that has arrived is kept.
    deliver_keep_days: float = Field(default=7.0, ge=0.1, le=3650)
    deliver_tick: float = Field(default=5.0, ge=0.1, le=3600)
    # Seconds between the worker's ticks.
    fetch_tick: float = Field(default=2.0, ge=0.1, le=3600)
    folder_tick: float = Field(default=5.0, ge=0.1, le=3600)
    label_tick: float = Field(default=1.0, ge=0.1, le=3600)
    evaluate_tick: float = Field(default=30.0, ge=0.1, le=3600)
    # Seconds between two looks for what streams of /v1/events are told, and of silence after which
    # a stream gets a line; open streams of one web process, and of one API key.
    events_tick: float = Field(default=1.0, ge=0.05, le=60)
    events_heartbeat: float = Field(default=15.0, ge=0.1, le=300)
    events_streams: int = Field(default=100, ge=1, le=1_000)
    events_streams_per_key: int = Field(default=10, ge=1, le=1_000)
    relabel_tick: float = Field(default=10.0, ge=0.1, le=3600)
    retrain_tick: float = Field(default=30.0, ge=0.1, le=3600)
    # Corrected labels: taken at once, without quarantine (for a desk of one); so many accepted ones
    # that the live model has not learned start a training on this file and them (0: never).
    accept_labels_at_once: bool = False
    retrain_after: int = Field(default=0, ge=0, le=100_000)
    retrain_data: Path | None = None
    # Another model reads the stories of so many days anew (0: none). What is normal is learned on
    # the last 56.
    relabel_days: float = Field(default=60.0, ge=0, le=36_600)
    # Stories that are read by the model at once.
    label_batch: int = Field(default=32, ge=1, le=1024)
    # Seconds between two looks at the registry for a newer model.
    refresh_seconds: float = Field(default=1.0, ge=0.05, le=60)
    # Texts whose label is remembered until the model changes.
    cache_texts: int = Field(default=4096, ge=1, le=1_000_000)
    # Waiting texts beyond which a caller of /v1/classify is told to come back (503).
    max_queue: int = Field(default=512, ge=1, le=100_000)

    @field_validator("deliver_allow", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("public_url", mode="after")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and (not web_address(value) or "?" in value or "#" in value):
            raise ValueError("must be an http or https address without ? and #")
        return value.rstrip("/")
