"""A small service with every kind of route, and a client to call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from core.errors import NotFound, Overloaded, StorageError
from core.settings import ServiceSettings
from core.web import Caller, create_app, requires


class Question(BaseModel):
    message: str = Field(max_length=2_000)
    metadata: dict[str, Any] = {}
    weight: float = 1.0


def make_router() -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/chat", dependencies=[requires("chat")])
    async def chat(question: Question) -> dict[str, str]:
        return {"text": question.message}

    @router.get("/stories/{story_id}")
    def story(story_id: str) -> dict[str, str]:
        raise NotFound(f"there is no story {story_id}", mend="See /v1/stories.")

    @router.get("/me")
    async def me(caller: Annotated[Caller, requires("me")]) -> str:
        return caller.name

    @router.get("/busy")
    async def busy() -> None:
        raise Overloaded("the queue is full", retry_after=2.5)

    @router.get("/disk")
    async def disk() -> None:
        raise StorageError("/srv/secret/place.db: the disk is full")

    @router.get("/broken")
    async def broken() -> None:
        raise ValueError("could not read 'my card is 4111'")

    return router


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(var_dir=tmp_path, max_body_bytes=100_000, rate_limit="")


@pytest.fixture
def make_app(settings: ServiceSettings) -> Callable[..., FastAPI]:
    def make(**options: Any) -> FastAPI:
        options.setdefault("settings", settings)
        options.setdefault("router", make_router())
        return create_app("Test", **options)

    return make


@pytest.fixture
def client(make_app: Callable[..., FastAPI]) -> Iterator[TestClient]:
    with TestClient(make_app()) as client:
        yield client
