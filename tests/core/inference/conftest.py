"""Encoders exported from the tiny base model, once for the whole run; never write into them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from core.inference.encoder import TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.models import resolve_model


@pytest.fixture(scope="session")
def exported(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`base`, the `model` of plain transformers, and the `folder` of its export."""
    base = resolve_model(str(tiny_base_model))
    model = load_torch_encoder(base)
    folder = tmp_path_factory.mktemp("exported") / "encoder"
    config = export_encoder(model, base, folder)
    return SimpleNamespace(base=base, model=model, folder=folder, config=config)


@pytest.fixture(scope="session")
def encoder(exported: SimpleNamespace) -> TextEncoder:
    return TextEncoder.load(exported.folder, threads=1)
