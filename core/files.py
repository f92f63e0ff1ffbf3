"""How is a file written so that a half of it never carries its name, and how is it known again?"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """Write UTF-8 text aside, on the disk, and rename it to `path` when the block ends well.

    Folders that are missing are made; a file that is there is replaced at once. Line ends are
    kept as they are written, as the csv module wants it.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)  # mkstemp makes it private
        Path(aside).replace(path)
    finally:
        Path(aside).unlink(missing_ok=True)
