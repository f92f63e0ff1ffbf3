"""How is the news monitor set up? Every variable begins with TREFOIL_FINANCE_SENTIMENT_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from core.settings import Port, ServiceSettings


class Settings(ServiceSettings):
    """What the news monitor needs to know beyond `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_FINANCE_SENTIMENT_")

    port: Port = 8002
    # A YAML list of feeds that the worker takes in when it starts; see README.md.
    sources: Path | None = None
    # A folder whose files (feeds, or lists of stories) are taken in; see docs/SOURCES.md.
    watch_folder: Path | None = None
    # YAML rules (share, least volume, for how long) that are watched beside the detector.
    rules: Path | None = None
    # False alarms that are accepted in a week, over all topics together.
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
    # Seconds between the worker's ticks.
    fetch_tick: float = Field(default=2.0, ge=0.1, le=3600)
    folder_tick: float = Field(default=5.0, ge=0.1, le=3600)
    label_tick: float = Field(default=1.0, ge=0.1, le=3600)
    evaluate_tick: float = Field(default=30.0, ge=0.1, le=3600)
    # Stories that are read by the model at once.
    label_batch: int = Field(default=32, ge=1, le=1024)
    # Seconds between two looks at the registry for a newer model.
    refresh_seconds: float = Field(default=1.0, ge=0.05, le=60)
    # Texts whose label is remembered until the model changes.
    cache_texts: int = Field(default=4096, ge=1, le=1_000_000)
    # Waiting texts beyond which a caller of /v1/classify is told to come back (503).
    max_queue: int = Field(default=512, ge=1, le=100_000)
