"""Which base models are taken, and which are refused with what mend?"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import models
from core.errors import ModelCorrupt, ModelNotFound, ModelRefused
from core.files import sha256_of
from core.models import BUNDLED, BUNDLED_SHA256, resolve_model

Snapshot = Callable[..., str]


@pytest.fixture
def folder(tiny_base_model: Path, tmp_path: Path) -> Path:
    """A copy of a good model folder, to be spoilt."""
    return Path(shutil.copytree(tiny_base_model, tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | changes))


def test_the_bundled_model_is_found_without_a_network_and_its_weights_are_the_known_ones() -> None:
    found = resolve_model()
    assert (found.reference, found.revision) == (BUNDLED, "bundled")
    assert found.sha256 == BUNDLED_SHA256 == sha256_of(found.path / "model.safetensors")
    assert (found.pooling, found.max_length) == ("mean", 256)


def test_a_folder_is_taken_as_it_is(folder: Path) -> None:
    found = resolve_model(str(folder))
    assert found.path == folder
    assert found.revision == "local"
    assert found.sha256 == sha256_of(folder / "model.safetensors")


def test_the_limit_of_tokens_is_the_least_one_stated(folder: Path) -> None:
    assert resolve_model(str(folder)).max_length == 64
    edit(folder / "sentence_bert_config.json", max_seq_length=32)
    assert resolve_model(str(folder)).max_length == 32


def test_texts_are_never_read_beyond_256_tokens(folder: Path) -> None:
    edit(folder / "config.json", max_position_embeddings=8192)
    assert resolve_model(str(folder)).max_length == 256


@pytest.mark.parametrize("limit", ["many", 0, -5, [512], 1.5])
def test_a_limit_of_tokens_that_is_no_number_is_told(folder: Path, limit: object) -> None:
    edit(folder / "config.json", max_position_embeddings=limit)
    with pytest.raises(ModelCorrupt, match="tokens") as refused:
        resolve_model(str(folder))
    assert refused.value.mend


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
    ],
)
def test_pooling_is_read_in_both_spellings(
    folder: Path, config: dict[str, object], pooling: str
) -> None:
    edit(folder / "1_Pooling" / "config.json", **config)
    assert resolve_model(str(folder)).pooling == pooling


def test_a_pooling_that_we_do_not_have_is_refused(folder: Path) -> None:
    edit(folder / "1_Pooling" / "config.json", pooling_mode="max")
    with pytest.raises(models.ModelError, match="neither mean nor cls"):
        resolve_model(str(folder))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_that_brings_code_to_run_is_refused(folder: Path, file: str) -> None:
    edit(folder / file, auto_map={"AutoModel": "modeling_own.OwnModel"})
    with pytest.raises(ModelRefused, match="code of its own"):
        resolve_model(str(folder))


def test_weights_that_are_a_pickle_only_are_refused_by_their_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelRefused, match=r"pytorch_model\.bin") as refused:
        resolve_model(str(folder))
    assert "save_pretrained" in str(refused.value)


def test_weights_in_several_pieces_are_refused_with_the_way_to_join_them(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelRefused, match="max_shard_size"):
        resolve_model(str(folder))


def test_a_model_without_a_fast_tokenizer_is_refused_with_the_way_to_make_one(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelRefused, match="save_pretrained"):
        resolve_model(str(folder))


def _header(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda whole: whole[:-1], id="last byte missing"),
        pytest.param(lambda whole: whole + b"\0", id="a byte too many"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half of it"),
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"\x05", id="one byte"),
        pytest.param(lambda whole: b"\xff" * 64, id="huge header size"),
        pytest.param(lambda whole: b"<html>not found</html>", id="an error page"),
        pytest.param(lambda whole: _header(b"{not json"), id="header is no JSON"),
        pytest.param(lambda whole: _header(b"[1, 2]"), id="header is a list"),
        pytest.param(lambda whole: _header(b'{"a": 1}'), id="entry is a number"),
        pytest.param(lambda whole: _header(b"{}"), id="no tensors"),
        pytest.param(lambda whole: _header(b"[" * 100_000), id="nested without end"),
    ],
)
def test_broken_weights_are_told_before_a_library_fails_on_them(
    folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(spoil(weights.read_bytes()))
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors") as refused:
        resolve_model(str(folder))
    assert refused.value.mend


@pytest.mark.parametrize(
    "content",
    ["{half", "[]", "\xff\xfe", pytest.param("[" * 100_000, id="nested without end")],
)
def test_a_broken_configuration_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelCorrupt, match=r"config\.json"):
        resolve_model(str(folder))


def test_a_folder_without_a_configuration_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="Hugging Face layout"):
        resolve_model(str(tmp_path))


def test_bundled_weights_that_were_changed_are_refused_though_they_are_well_formed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_bundled_folder", lambda: folder)
    with pytest.raises(ModelCorrupt, match=BUNDLED_SHA256) as refused:
        resolve_model(BUNDLED)
    assert "--force-reinstall" in str(refused.value)


@pytest.mark.parametrize(
    "reference",
    ["", "nowhere", "./nowhere", "/no/such/folder", "~nobody-at-all/x", "a/b/c", "a\0b"],
)
def test_what_is_neither_a_folder_nor_a_hub_id_is_not_found(reference: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        resolve_model(reference)
    assert BUNDLED in str(refused.value)


def test_a_hub_id_must_name_its_revision() -> None:
    with pytest.raises(ModelRefused, match="org/model@<commit>"):
        resolve_model("org/model")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Snapshot], None]:
    """Put a function in the place of the hub's download."""
    import huggingface_hub

    def replace(download: Snapshot) -> None:
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    return replace


def test_a_hub_id_without_a_network_says_what_to_do(hub: Callable[[Snapshot], None]) -> None:
    def unreachable(*args: Any, **options: Any) -> str:
        raise ConnectionError("no route to host")

    hub(unreachable)
    with pytest.raises(ModelNotFound, match="ConnectionError") as refused:
        resolve_model("org/model@abc123")
    assert "give a folder" in str(refused.value)


def test_a_download_asks_for_the_revision_and_for_neither_pickles_nor_code(
    hub: Callable[[Snapshot], None], folder: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}
    snapshot = folder.rename(tmp_path / "0123abc")

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(snapshot)

    hub(download)
    found = resolve_model("org/model@main")
    assert (asked["name"], asked["revision"]) == ("org/model", "main")
    assert found.revision == "0123abc", "the commit is recorded, not the branch"

    def taken(name: str) -> bool:
        return any(Path(name).match(pattern) for pattern in asked["allow_patterns"])

    assert taken("model.safetensors")
    assert taken("tokenizer.json")
    assert not any(map(taken, ["pytorch_model.bin", "modeling.py", "head.pkl", "model.pt"]))


@pytest.mark.parametrize("offline", [True, False])
def test_offline_means_that_only_what_is_on_disk_is_looked_at(
    hub: Callable[[Snapshot], None], folder: Path, offline: bool
) -> None:
    asked: dict[str, Any] = {}
    hub(lambda name, **options: asked.update(options) or str(folder))
    resolve_model("org/model@main", offline=offline)
    assert asked["local_files_only"] is offline


def test_a_downloaded_model_is_checked_like_a_folder(
    hub: Callable[[Snapshot], None], folder: Path
) -> None:
    edit(folder / "config.json", auto_map={"AutoModel": "own.Own"})
    hub(lambda name, **options: str(folder))
    with pytest.raises(ModelRefused, match="code of its own"):
        resolve_model("org/model@main")
