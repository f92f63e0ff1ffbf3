"""Which files of a folder are read, and how much of each?

A folder that somebody sent may hold links that lead out of it, files without end, or too many of
them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from core.errors import DataError, InvalidInput

MAX_FILES = 20_000
# Folders that are no company's own text: histories, environments, trained models.
_SKIPPED = {"__pycache__", "node_modules", "venv", "site-packages"}


def files_of(
    folder: Path, suffixes: Collection[str], left_out: list[tuple[str, str]]
) -> list[tuple[str, Path]]:
    """(name below the folder, path) of each file with one of the suffixes, by name.

    Hidden folders are passed over; a link that leads out of the folder is told in `left_out`.
    DataError where there are more than MAX_FILES.
    """
    root = folder.resolve()
    found: list[tuple[str, Path]] = []
    for path in folder.rglob("*"):
        below = path.relative_to(folder)
        hidden = any(part.startswith(".") or part in _SKIPPED for part in below.parts)
        if hidden or path.suffix.lower() not in suffixes:
            continue
        if not path.resolve().is_relative_to(root):
            left_out.append((below.as_posix(), "a link that leads out of the folder"))
        elif path.is_file():
            found.append((below.as_posix(), path))
        if len(found) > MAX_FILES:
            raise DataError(f"more than {MAX_FILES} files", folder, mend="Name a folder in it.")
    return sorted(found)


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes; InvalidInput says why not."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise InvalidInput(f"larger than {limit:,} bytes", mend="Split it.")
    return content


def decoded(content: bytes) -> str:
    """UTF-8 without its byte order mark; InvalidInput for anything else, and for NUL."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("not UTF-8", mend="Save the file as UTF-8.") from error
    if "\0" in text:
        raise InvalidInput("a NUL character in the text")
    return text
