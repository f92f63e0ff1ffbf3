"""How does an index stand on disk so that a torn or edited file is noticed?

JSON files carry the SHA-256 of their content. Everything is written aside, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from core.errors import ArtifactCorrupt, StorageError

_REBUILD = "Build the index again and save it."


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with its checksum; an older file is replaced at once, whole."""
    body = _canonical(content)
    sealed = f'{{"sha256": "{hashlib.sha256(body.encode()).hexdigest()}",\n"content": {body}}}\n'
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise storage_error(path, aside, error) from error


def read_sealed(path: Path) -> dict[str, Any]:
    """The content of a sealed file; ArtifactCorrupt when it is missing, torn or edited."""
    try:
        sealed = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactCorrupt(f"{path} cannot be read: {error.strerror}", mend=_REBUILD) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactCorrupt(f"{path} is not whole: {error}", mend=_REBUILD) from error
    content = sealed.get("content") if isinstance(sealed, dict) else None
    if not isinstance(content, dict):
        raise ArtifactCorrupt(f"{path} is not the file of an index", mend=_REBUILD)
    if hashlib.sha256(_canonical(content).encode()).hexdigest() != sealed.get("sha256"):
        raise ArtifactCorrupt(f"{path} was edited or torn: its SHA-256 differs", mend=_REBUILD)
    return content


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def storage_error(path: Path, aside: Path, error: Exception) -> StorageError:
    """What to say when an index cannot be written; the half-written file goes."""
    if aside.is_file():
        aside.unlink(missing_ok=True)
    return StorageError(
        f"cannot write {path}: {error}", mend="Check the space and the rights of the folder."
    )
