"""What does a trained recommender hold, and how is it read from its folder?

encoder/                  the exported encoder (core/inference)
text.safetensors          the two adapters (vectors.py)
behaviour.safetensors     neighbours by behaviour (collaborative.py)
factors.safetensors       factors of the same items, where there are any (factors.py)
trees.safetensors         what mends the ranker's sum, where that ranked better (trees.py)
embeddings.safetensors    embeddings of the texts it was trained with, so that a server needs
                          no encoder run for items it has seen
items.json                ids in the order of the neighbours, ids of all items with an event
                          in the training log, digests in the order of the embeddings
manifest.json             ranker, half-life, metrics (core/artifacts)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.artifacts import Manifest, read_manifest
from core.errors import ArtifactError, ModelCorrupt
from core.inference.encoder import UNKNOWN_LIMIT, TextEncoder
from core.inference.tokenizer import Tokens
from services.recommender.collaborative import Neighbours
from services.recommender.factors import Factors
from services.recommender.rankers import SIGNALS, Ranker
from services.recommender.trees import Trees
from services.recommender.vectors import TextTower

KIND: Final = "recommender"
FloatArray = npt.NDArray[np.float32]
_AGAIN: Final = "Train again, or take another version."


@dataclass(frozen=True, slots=True)
class Embedding:
    """Of one text. `values` (width,) float16 of unit length."""

    values: npt.NDArray[np.float16]
    unknown_share: float

    @property
    def readable(self) -> bool:
        """Whether the encoder could read the text."""
        return self.unknown_share <= UNKNOWN_LIMIT


def embed(encoder: TextEncoder, texts: Sequence[str]) -> list[Embedding]:
    """Embeddings as they are stored and served: half precision, a quarter of a thousandth off."""
    return embed_tokens(encoder, encoder.tokenize(texts)) if texts else []


def embed_tokens(encoder: TextEncoder, tokens: Sequence[Tokens]) -> list[Embedding]:
    """The same from token ids."""
    encoded = encoder.encode_tokens(tokens)
    return [
        Embedding(values.astype(np.float16), float(share))
        for values, share in zip(encoded.embeddings, encoded.unknown_share, strict=True)
    ]


class Prepared(Mapping[str, Embedding]):
    """Digest of a text → its embedding, for the texts of the training catalogue."""

    def __init__(
        self, digests: Sequence[str], embeddings: npt.NDArray[np.float16], unknown: FloatArray
    ) -> None:
        self._row = {digest: row for row, digest in enumerate(digests)}
        self._embeddings = embeddings
        self._unknown = unknown

    def __getitem__(self, digest: str) -> Embedding:
        row = self._row[digest]
        return Embedding(self._embeddings[row], float(self._unknown[row]))

    def __iter__(self) -> Any:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


@dataclass(frozen=True)
class Model:
    """Everything ranking needs; `version` is told to callers, `seen` are the ids of the items that
    had an event in the training log."""

    version: str
    tower: TextTower
    neighbours: Neighbours
    seen: Sequence[str]
    ranker: Ranker
    half_life_days: float | None
    prepared: Prepared

    @property
    def model_rows(self) -> dict[str, int]:
        """Item id → row in the neighbours."""
        return {item_id: row for row, item_id in enumerate(self.neighbours.item_ids)}


def save_model(folder: Path, model: Model) -> dict[str, Any]:
    """Write all but the encoder into `folder`; the result belongs under the manifest's settings."""
    from safetensors.numpy import save_file

    model.tower.save(folder / "text.safetensors")
    model.neighbours.save(folder / "behaviour.safetensors")
    if model.neighbours.factors is not None:
        model.neighbours.factors.save(folder / "factors.safetensors")
    if model.ranker.trees is not None:
        model.ranker.trees.save(folder / "trees.safetensors")
    digests = list(model.prepared)
    embeddings = [model.prepared[digest] for digest in digests]
    save_file(
        {
            "embeddings": np.stack([e.values for e in embeddings]),
            "unknown_share": np.array([e.unknown_share for e in embeddings], dtype=np.float32),
        },
        folder / "embeddings.safetensors",
    )
    items = {
        "item_ids": list(model.neighbours.item_ids),
        "seen": list(model.seen),
        "digests": digests,
    }
    text = json.dumps(items, ensure_ascii=False)
    (folder / "items.json").write_text(text + "\n", encoding="utf-8")
    return {"ranker": model.ranker.settings(), "half_life_days": model.half_life_days}


def load_model(folder: Path) -> Model:
    """Read what `save_model` and the artefact writer wrote, the encoder apart."""
    manifest = _manifest(folder)
    items = _read_items(folder / "items.json")
    try:
        return Model(
            version=manifest.identity,
            tower=TextTower.load(folder / "text.safetensors"),
            neighbours=_read_neighbours(folder, items["item_ids"]),
            seen=items["seen"],
            ranker=_read_ranker(folder, manifest.settings["ranker"]),
            half_life_days=manifest.settings["half_life_days"],
            prepared=_read_prepared(folder / "embeddings.safetensors", items["digests"]),
        )
    except KeyError as error:
        raise ModelCorrupt(f"{folder}: the manifest lacks {error}", mend=_AGAIN) from error


def load_encoder(folder: Path, threads: int) -> TextEncoder:
    """The artefact's encoder."""
    return TextEncoder.load(folder / "encoder", threads=threads)


def _manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.kind != KIND:
        raise ArtifactError(
            f"{str(folder)!r} holds a {manifest.kind} model, expected {KIND}",
            mend="Give the folder that `trefoil recommender train` wrote.",
        )
    return manifest


def _read_items(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not {"item_ids", "seen", "digests"} <= set(content):
            raise ValueError("a list is missing")
    except (OSError, ValueError, TypeError) as error:
        raise ModelCorrupt(f"{path} cannot be read: {error}", mend=_AGAIN) from error
    return dict(content)


def _read_neighbours(folder: Path, item_ids: Sequence[str]) -> Neighbours:
    neighbours = Neighbours.load(folder / "behaviour.safetensors", item_ids)
    path = folder / "factors.safetensors"
    if not path.exists():
        return neighbours
    return replace(neighbours, factors=Factors.load(path, len(item_ids)))


def _read_ranker(folder: Path, settings: Mapping[str, Any]) -> Ranker:
    ranker, path = Ranker.from_settings(settings), folder / "trees.safetensors"
    if not path.exists():
        return ranker
    if list(settings["signals"]) != list(SIGNALS):
        raise ModelCorrupt(f"{path} is of other signals than this version has", mend=_AGAIN)
    return replace(ranker, trees=Trees.load(path, len(SIGNALS)))


def _read_prepared(path: Path, digests: Sequence[str]) -> Prepared:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
        embeddings, unknown = arrays["embeddings"], arrays["unknown_share"]
        if len(embeddings) != len(digests):
            raise ValueError(f"{len(embeddings)} embeddings for {len(digests)} texts")
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelCorrupt(f"{path} cannot be read: {error}", mend=_AGAIN) from error
    return Prepared(digests, embeddings, unknown)
