"""What does a person see first? The three services, whether each is up, and what to try.

The page asks this small server for the state, and this server asks the services: a page may call no
host but its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, Request
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from starlette.responses import Response

from core.settings import ServiceSettings
from core.web import create_app as create_web_app
from core.web.pages import Pages

_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Story:
    """What the page says of a service; `steps` are (path there, what to do, what one sees)."""

    title: str
    what: str
    steps: tuple[tuple[str, str, str], ...]


STORIES: Mapping[str, Story] = {
    "customer-service": Story(
        "Support bot",
        "Answers a shop's customers, says where it knows it from, and hands over to people.",
        (
            (
                "/",
                "Ask the bot something",
                "Try “where is my order LY-204518?”, in English or Chinese.",
            ),
            (
                "/desk",
                "Sit at the agent desk",
                "Ask the bot for a person, then answer here. The demo printed the log-in.",
            ),
            (
                "/dashboard",
                "See how well it does",
                "The promise of wrong answers, and what it measured.",
            ),
        ),
    ),
    "finance-sentiment": Story(
        "News monitor",
        "Reads the news of a watch list and warns when they turn, with its reasons.",
        (
            (
                "/",
                "Watch the news turn",
                "Within two minutes a surge of bad news raises an alert here.",
            ),
            (
                "/backtest",
                "Choose your false alarms",
                "A slider shows which alerts you would have had.",
            ),
            ("/sources", "See the sources", "What is read, when next, and what went wrong."),
        ),
    ),
    "recommender": Story(
        "Recommender",
        "Reads what a shop sells and what its shoppers do, and fills the shelves.",
        (
            (
                "/",
                "Go shopping",
                "Click about as one of the shoppers: the shelves follow, and say why.",
            ),
            (
                "/dashboard",
                "See what it earns",
                "Clicks and orders by shelf and model, beside simple rivals.",
            ),
            ("/inspector", "Ask why", "Why this item, for this shopper? Each part of the score."),
        ),
    ),
}


class StartPageSettings(ServiceSettings):
    """Where the start page listens; the services' addresses follow from their own settings."""

    model_config = SettingsConfigDict(env_prefix="TREFOIL_START_PAGE_", frozen=True)

    port: int = Field(default=8000, ge=1, le=65535)


def create_app(settings: StartPageSettings, services: Mapping[str, str]) -> FastAPI:
    """The start page's app. `services`: name → address, such as http://127.0.0.1:8001."""
    pages = Pages(Path(__file__).parent, "Trefoil")
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def start(request: Request) -> Response:
        return pages.response(request, "start.html", services=services, stories=STORIES)

    @router.get("/state")
    async def state() -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            found = await asyncio.gather(*(_state(client, url) for url in services.values()))
        return dict(zip(services, found, strict=True))

    router.include_router(pages.router())
    return create_web_app(
        "Trefoil start page", settings=settings, router=APIRouter(), public=router
    )


async def _state(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """{"up": …, "ready": …, "checks": [{name, ok, detail}]} of one service."""
    try:
        answer = await client.get(f"{url}/readyz")
        body = answer.json()
    except (httpx.HTTPError, ValueError):
        return {"up": False, "ready": False, "checks": []}
    return {"up": True, "ready": answer.status_code == 200, "checks": body.get("checks", [])}
