"""A small task, and one model of each preset trained on it, once for the whole run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.records import LabeledText
from core.inference.encoder import EncoderConfig
from core.inference.export import export_encoder
from core.models import BaseModel
from core.training import classifier
from core.training.finetune import FineTuneConfig

_OPENINGS = (
    "please tell me",
    "hello",
    "i bought a phone and",
    "sorry but",
    "quick question",
    "hey",
)
_QUESTIONS = {
    "order": ("where is my order", "when will it arrive", "my order did not arrive"),
    "refund": ("i want my money back", "give the money back", "i want this money back now"),
    "weather": ("is it for hiking in the rain", "a light jacket for the rain", "does rain hurt it"),
}
_CHINESE = {
    "order": ("我的订单在哪里", "订单什么时候到", "订单还没有到", "查一下订单"),
    "refund": ("我要退款", "请把钱退给我", "怎么退款", "退款要多久"),
    "weather": ("下雨能穿吗", "适合雨天吗", "防雨的外套", "雨天徒步穿什么"),
}

Label = Callable[..., list[LabeledText]]
Train = Callable[..., SimpleNamespace]
Export = Callable[..., EncoderConfig]


@pytest.fixture(scope="session")
def label() -> Label:
    """(text, label) pairs as rows of a file."""

    def label(pairs: list[tuple[str, str]], head: str = "intent") -> list[LabeledText]:
        return [LabeledText(text, {head: of}, line) for line, (text, of) in enumerate(pairs, 2)]

    return label


@pytest.fixture(scope="session")
def shop_rows(label: Label) -> list[LabeledText]:
    """54 English questions of three intents, which the tiny model can read, and 12 Chinese ones."""
    english = [
        (f"{opening} {question}", intent)
        for intent, questions in _QUESTIONS.items()
        for question in questions
        for opening in _OPENINGS
    ]
    chinese = [(text, intent) for intent, texts in _CHINESE.items() for text in texts]
    return label(english + chinese)


@pytest.fixture(scope="session")
def export_once(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """As `export_encoder`, but weights that were exported before are copied: a second saved."""
    exported: dict[str, Path] = {}

    def export_once(model: Any, base: BaseModel, folder: Path) -> EncoderConfig:
        digest = hashlib.sha256(base.reference.encode())
        for name, value in model.state_dict().items():
            if not name.startswith("pooler"):  # drawn at random, and no part of the graph
                digest.update(value.numpy().tobytes())
        key = digest.hexdigest()
        if key not in exported:
            exported[key] = tmp_path_factory.mktemp("export")
            export_encoder(model, base, exported[key])
        shutil.copytree(exported[key], folder, dirs_exist_ok=True)
        return EncoderConfig.load(folder)

    return export_once


@pytest.fixture(scope="session")
def train(
    tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory, export_once: Export
) -> Train:
    """Train a tiny model in one thread and seal it as a service would.

    The answer has `folder` (a whole artefact), `result` (what training said) and `rows`.
    """

    def train(
        rows: list[LabeledText],
        preset: str = "fast",
        *heads: str,
        epochs: int = 2,
        learning_rate: float = 1e-4,
        **options: Any,
    ) -> SimpleNamespace:
        folder = tmp_path_factory.mktemp("trained") / preset
        with write_artifact(folder) as draft, pytest.MonkeyPatch.context() as patch:
            patch.setattr(classifier, "export_encoder", export_once)
            result = classifier.train_classifier(
                rows,
                heads or ("intent",),
                folder=draft.path,
                preset=preset,  # type: ignore[arg-type]
                threads=1,
                config=FineTuneConfig(epochs=epochs, learning_rate=learning_rate),
                **({"base_model": str(tiny_base_model)} | options),
            )
            draft.manifest = Manifest(
                kind="test",
                created_at=now_iso(),
                base_model=result.base.reference,
                base_revision=result.base.revision,
                data_sha256=result.data_sha256,
                metrics=result.metrics,
                settings={"classifier": result.settings},
            )
        return SimpleNamespace(folder=folder, result=result, rows=rows)

    return train


@pytest.fixture(scope="session")
def trained_fast(train: Train, shop_rows: list[LabeledText]) -> SimpleNamespace:
    return train(shop_rows, "fast")


@pytest.fixture(scope="session")
def trained_accurate(train: Train, shop_rows: list[LabeledText]) -> SimpleNamespace:
    return train(shop_rows, "accurate")


@pytest.fixture(scope="session", params=["fast", "accurate"])
def trained(request: pytest.FixtureRequest) -> SimpleNamespace:
    """A test that takes it runs once for each preset."""
    result: SimpleNamespace = request.getfixturevalue(f"trained_{request.param}")
    return result
