"""Is what a checkpoint keeps read as it was written, whole or not at all?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.training.states import load_state, save_state


def test_tensors_and_words_come_back_as_they_were(tmp_path: Path) -> None:
    shared = torch.tensor([1.5, float("inf"), -0.0])
    turned = torch.arange(6).reshape(2, 3).T
    parts = {
        "best": {"a/b.c": shared, "n": torch.tensor(7)},
        "recent 0": {"a": shared, "t": turned},
    }
    said = {"history": [{"epoch": 0.0, "accuracy": 1 / 3}], "best_epoch": 2, "none": None}
    save_state(tmp_path / "kept.safetensors", parts, said)
    # A process of several calls its device so.
    found, words = load_state(tmp_path / "kept.safetensors", torch.device("cpu:0"))
    assert words == said
    assert {part: list(of) for part, of in found.items()} == {
        part: sorted(of) for part, of in parts.items()
    }
    for part, of in parts.items():
        for name, tensor in of.items():
            assert torch.equal(found[part][name], tensor)
            assert found[part][name].dtype == tensor.dtype


def test_no_tensors_at_all_are_kept_too(tmp_path: Path) -> None:
    save_state(tmp_path / "ranks.safetensors", {"ipt": {}}, {"rank_pattern": None})
    assert load_state(tmp_path / "ranks.safetensors", "cpu") == ({}, {"rank_pattern": None})


def test_a_state_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.safetensors"
    save_state(path, {"best": {"a": torch.ones(1)}}, {"epoch": 1})

    def full(tensors: object, name: str, metadata: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_state(path, {"best": {"a": torch.zeros(1)}}, {"epoch": 2})
    assert load_state(path, "cpu")[1] == {"epoch": 1}
