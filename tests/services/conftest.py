"""What do the tests of the command line share: the command, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services import cli


@pytest.fixture
def trefoil(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., SimpleNamespace]:
    """`trefoil(*words)` → status, out, err; with a state folder of its own."""
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))

    def run(*words: object) -> SimpleNamespace:
        monkeypatch.setattr("sys.argv", ["trefoil", *map(str, words)])
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        shown = capsys.readouterr()
        return SimpleNamespace(status=status or 0, out=shown.out, err=shown.err)

    return run
