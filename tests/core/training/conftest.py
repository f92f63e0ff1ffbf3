"""A small task, and one model of each preset trained on it, once for the whole run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.records import LabeledText
from core.inference.encoder import EncoderConfig
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.tokenizer import TextTokenizer
from core.models import BaseModel, resolve_model
from core.training import classifier
from core.training.config import FineTuneConfig
from core.training.finetune import FineTuned, fine_tune
from core.training.linear import Linear
from core.training.rows import Fold

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
Tune = Callable[..., FineTuned]


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
        settings: dict[str, Any] | None = None,
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
                config=FineTuneConfig(
                    epochs=epochs, learning_rate=learning_rate, **(settings or {})
                ),
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


@pytest.fixture(scope="session")
def questions(tiny_base_model: Path) -> SimpleNamespace:
    """32 texts of two intents for tuning: `sequences` of token ids, `labels`, a `fold` of 24 rows
    to learn from and 8 to judge by, and a `start` that knows nothing."""
    texts = [
        f"{opening} {question} {i}"
        for i in range(8)
        for opening in ("hello", "please")
        for question in ("where is my order", "i want my money back")
    ]
    tokenizer = TextTokenizer(tiny_base_model / "tokenizer.json", 64)
    return SimpleNamespace(
        sequences=[tokens.ids for tokens in tokenizer.encode(texts)],
        labels=np.arange(len(texts)) % 2,
        fold=Fold(np.arange(24), np.arange(24, 32)),
        start=Linear(np.zeros((32, 2), dtype=np.float32), np.zeros(2, dtype=np.float32)),
    )


@pytest.fixture
def encoder(tiny_base_model: Path) -> Any:
    """The tiny model in torch, a new one for each test."""
    return load_torch_encoder(resolve_model(str(tiny_base_model)))


@pytest.fixture(scope="session")
def tune(questions: SimpleNamespace) -> Tune:
    """`fine_tune` on `questions`; what is no argument of it is a setting."""

    def tune(model: Any, **given: Any) -> FineTuned:
        names = ("options", "progress", "teacher", "vary")
        arguments = {name: given.pop(name) for name in names if name in given}
        labels = given.pop("labels", {"intent": questions.labels})
        start = given.pop("start", questions.start)
        fold = given.pop("fold", questions.fold)
        seed = given.pop("seed", 0)
        config = FineTuneConfig(**({"epochs": 2, "batch_size": 8, "keep": "best"} | given))
        heads = dict.fromkeys(labels, start)
        return fine_tune(
            model, "mean", questions.sequences, labels, heads, fold, config,
            seed=seed, threads=1, **arguments,
        )  # fmt: skip

    return tune
