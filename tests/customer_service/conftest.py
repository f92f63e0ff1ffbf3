"""A small shop with a tiny trained model, and its service over HTTP without a network."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from core.artifacts import MANIFEST, Registry, read_manifest, write_artifact
from core.db.engine import make_engine
from core.db.migrations import upgrade
from core.inference.export import export_base_encoder
from core.testing.tiny import tiny_base_model
from services.customer_service import tables
from services.customer_service.app import create_app
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.train import train
from services.customer_service.understanding import KIND, SEARCH_FOLDER, IntentModel

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

_PHRASES: dict[str, tuple[list[str], list[str]]] = {
    "greeting": (
        ["hello", "hi", "hey", "good morning", "good evening", "你好"],
        ["there", "shop", "everybody", "dear team", "bot", "friends"],
    ),
    "order_status": (
        [
            "where is",
            "when will I get",
            "track",
            "what happened to",
            "has it shipped:",
            "status of",
        ],
        ["my order", "the parcel", "my package", "order LY-100200", "my delivery", "我的订单"],
    ),
    "refund": (
        ["I want", "please send", "how do I get", "when comes", "give me", "refund:"],
        ["my money back", "a refund", "the refund money", "my cash back", "all money back", "退款"],
    ),
    "talk_to_human": (
        ["let me speak to", "connect me with", "I need", "get me", "is there", "转接"],
        ["a human", "a real person", "an agent", "somebody human", "a colleague", "人工"],
    ),
}
_OUT_OF_SCOPE_CHINESE = (
    "天气怎么样",
    "讲个笑话",
    "学生作文怎么写",
    "怎么领取护照",
    "优惠电影票",
    "写诗",
)
_EITHER = ("quickly", "now", "today", "at once", "news")
_OUT_OF_SCOPE = (
    ["weather in", "poem about", "recipe for", "capital of", "horoscope", "football score"],
    ["paris", "the moon", "banana bread", "Mongolia"],
)

_ANSWERS = """
slots:
  order_number:
    pattern: '(?<![A-Za-z])LY-\\d{6}(?!\\d)'
    ask: {en: "Which order is it about?", zh: "是哪个订单？"}
  email:
    pattern: '[a-z.]{1,40}@[a-z]{1,40}\\.[a-z]{2,10}'
    ask: {en: "Which address did you register with?"}
intents:
  greeting:
    description: {en: "Say hello", zh: "打招呼"}
    answers: {en: ["Hello! How can I help?"], zh: ["您好！"]}
    quick_replies: {en: ["where is my order"]}
  order_status:
    description: {en: "Where is my order", zh: "查询订单"}
    answers:
      en: ["Order {order_number} is under My account."]
      zh: ["订单 {order_number} 在账户里。"]
    without_slots: {en: ["Tell me the order number."], zh: ["请告诉我订单号。"]}
  refund:
    description: {en: "Get money back"}
    answers: {en: ["The refund for {email} is on its way."]}
  talk_to_human:
    description: {en: "Talk to a person", zh: "转人工"}
    answers: {en: ["A colleague takes over."], zh: ["马上转接。"]}
    handoff: true
"""

_ARTICLES = {
    "delete-account": """---
title: "Delete your account"
url: https://shop.example/help/delete-account
lang: en
---
## Do it yourself
Open Settings and press Delete my account. The account is erased after 14 days.

## What we keep
Invoices are kept for seven years.
""",
    "drones": """---
title: "Drones and their rules"
url: https://shop.example/help/drones
lang: en
---
A drone above 250 grams needs a registration. Fly below 120 metres.
""",
    "zh-returns": """---
title: "学生优惠怎么领取"
url: https://shop.example/help/zh
lang: zh
---
大学生登录账户后可以领取百分之八的学生优惠。优惠一年内有效。
""",
}


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of text,intent with 154 questions in scope and 30 out of it."""
    path = tmp_path_factory.mktemp("questions") / "train.csv"
    rows = [
        (f"{start} {end}", intent)
        for intent, (starts, ends) in _PHRASES.items()
        for start, end in product(starts, ends)
    ]
    # Said of either: without a doubt anywhere no probability would mean anything.
    rows += [
        (f"{word} please", intent) for word in _EITHER for intent in ("refund", "order_status")
    ]
    rows += [(f"{start} {end}", "oos") for start, end in product(*_OUT_OF_SCOPE)]
    rows += [(text, "oos") for text in _OUT_OF_SCOPE_CHINESE]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "intent"])
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model that knows the words of the questions; others it spells."""
    words = [text for starts, ends in _PHRASES.values() for text in (*starts, *ends)]
    english = [text.lower() for text in words if text.isascii()]
    return tiny_base_model(tmp_path_factory.mktemp("base") / "tiny", english)


@pytest.fixture(scope="session")
def artifact(questions: Path, base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained artefact; never write into it."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    train(questions, folder, base_model=str(base_model), risk=0.1, threads=1)
    return folder


@pytest.fixture
def other_artifact(artifact: Path, tmp_path: Path) -> Path:
    """The same model under another version."""
    with write_artifact(tmp_path / "other") as draft:
        copytree(artifact, draft.path, ignore=ignore_patterns(MANIFEST), dirs_exist_ok=True)
        (draft.path / "note.txt").write_text("another version", encoding="utf-8")
        draft.manifest = read_manifest(artifact)
    return tmp_path / "other"


@pytest.fixture
def two_encoders(artifact: Path, base_model: Path, tmp_path: Path) -> Path:
    """The same model with an encoder of its own for search, under another identity."""
    with write_artifact(tmp_path / "two") as draft:
        copytree(artifact, draft.path, ignore=ignore_patterns(MANIFEST), dirs_exist_ok=True)
        config = export_base_encoder(draft.path / SEARCH_FOLDER, str(base_model))
        replace(config, encoder_id="another").save(draft.path / SEARCH_FOLDER)
        draft.manifest = read_manifest(artifact)
    return tmp_path / "two"


@pytest.fixture(scope="session")
def model(artifact: Path) -> IntentModel:
    return IntentModel.load(artifact, threads=1)


@pytest.fixture(scope="session")
def shop_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with intents.yaml and articles/."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "intents.yaml").write_text(_ANSWERS, encoding="utf-8")
    (folder / "articles").mkdir()
    for name, text in _ARTICLES.items():
        (folder / "articles" / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database of this service, once on each kind."""
    engine = make_engine(database_url)
    upgrade(engine, tables.MIGRATIONS)
    yield engine
    engine.dispose()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a service of its own, in a folder of its own."""

    def make(**values: Any) -> Settings:
        return Settings(
            **{"var_dir": tmp_path / "var", "threads": 1, "refresh_seconds": 0.05, **values}
        )

    return make


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory, artifact: Path, shop_files: Path) -> Settings:
    """A service's folder with a live model, answers and articles; copied, never changed."""
    settings = Settings(var_dir=tmp_path_factory.mktemp("stocked"), threads=1)
    Registry(settings.models_dir, KIND).promote(artifact)
    run_import(
        settings,
        answers=shop_files / "intents.yaml",
        articles=shop_files / "articles",
        now=lambda: NOW,
    )
    return settings


@pytest.fixture
def shop(make_settings: Callable[..., Settings], stocked: Settings) -> Settings:
    """Settings of a service that has a live model, answers and articles."""
    settings = make_settings()
    copytree(stocked.var_dir, settings.var_dir)
    return settings


@pytest.fixture
def client(shop: Settings) -> Iterator[TestClient]:
    """The service over HTTP, open since there are no keys."""
    with TestClient(create_app(shop, now=lambda: NOW), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def chat(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Send a message; the body of the answer."""

    def send(message: str, **values: Any) -> dict[str, Any]:
        response = client.post("/v1/chat", json={"message": message, **values})
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    return send
