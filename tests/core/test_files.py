"""Does a file have its name only when it is whole?"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.files import written_whole


def test_a_file_is_there_with_its_folder_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    with written_whole(path) as file:
        file.write("数据\r\n")
        assert not path.exists()
    assert path.read_bytes() == "数据\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_leaves_the_earlier_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("earlier", encoding="utf-8")
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write("half")
        raise RuntimeError("the disk is full")
    assert path.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [path]
