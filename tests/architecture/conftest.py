"""Where the project stands on disk, and which Python files it is made of."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sources(root: Path) -> dict[str, str]:
    """The text of every Python file of core and services, by its name below the root."""
    found = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("core", "services")
        for path in sorted((root / folder).rglob("*.py"))
    }
    # Without files every rule about them would hold.
    assert {"core/errors.py", "services/cli.py"} <= set(found), f"no source files below {root}"
    return found


@pytest.fixture(scope="session")
def trees(sources: dict[str, str]) -> dict[str, ast.Module]:
    """The same files, parsed."""
    return {name: ast.parse(text) for name, text in sources.items()}
