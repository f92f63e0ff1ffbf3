"""Is a trained model on disk always a whole one, and is exactly one of them live?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.artifacts import (
    MANIFEST,
    Manifest,
    Registry,
    Version,
    library_versions,
    read_manifest,
    verified_beside,
    verify,
    write_artifact,
)
from core.errors import ArtifactCorrupt, ArtifactError, NotFound, PromotionRefused

Write = Callable[..., Path]


def manifest(**changes: object) -> Manifest:
    said = {
        "kind": "test",
        "created_at": "2026-03-01T12:00:00+00:00",
        "base_model": "tiny",
        "base_revision": "local",
        "data_sha256": "0" * 64,
        "settings": {"threshold": 0.5},
    }
    return Manifest(**(said | changes))  # type: ignore[arg-type]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str = "model", content: str = "{}", **changes: object) -> Path:
        with write_artifact(tmp_path / name) as draft:
            (draft.path / "encoder").mkdir()
            (draft.path / "encoder" / "encoder.json").write_text(content)
            (draft.path / "heads.json").write_text(content)
            draft.manifest = manifest(**changes)
        return tmp_path / name

    return write


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry", "test")


# --- writing -------------------------------------------------------------------------------------


def test_a_written_artefact_names_every_file_and_passes_its_own_check(write: Write) -> None:
    folder = write()
    said = verify(folder, kind="test")
    assert set(said.files) == {"encoder/encoder.json", "heads.json"}
    assert said.libraries == library_versions()
    assert "numpy" in said.libraries


def test_nothing_stands_at_the_place_until_the_artefact_is_whole(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "model") as draft:
        (draft.path / "a.json").write_text("{}")
        assert not (tmp_path / "model").exists()
        draft.manifest = manifest()
    assert (tmp_path / "model" / "a.json").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), write_artifact(tmp_path / "model") as draft:
        (draft.path / "a.json").write_text("{}")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_the_earlier_artefact_as_it_was(write: Write) -> None:
    folder = write(content='"old"')
    with pytest.raises(ValueError), write_artifact(folder) as draft:
        (draft.path / "a.json").write_text("{}")
        raise ValueError
    verify(folder)
    assert (folder / "heads.json").read_text() == '"old"'
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_failure_while_changing_places_brings_the_earlier_artefact_back(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(content='"old"')
    rename = Path.rename

    def fail_for_the_new_one(self: Path, target: Path) -> Path:
        if self.name.startswith(".model-") and target == folder:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(OSError, match="No space"):
        write(content='"new"')
    verify(folder)
    assert (folder / "heads.json").read_text() == '"old"'


def test_an_artefact_may_be_written_over_an_earlier_one(write: Write) -> None:
    write(content='"old"')
    folder = write(content='"new"')
    verify(folder)
    assert (folder / "heads.json").read_text() == '"new"'
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_an_artefact_without_a_manifest_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ArtifactError, match="without a manifest"),
        write_artifact(tmp_path / "model"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_holds_something_else_is_refused_and_left_alone(
    tmp_path: Path, write: Write
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.md").write_text("years of work")
    with pytest.raises(ArtifactError, match="no trained model"):
        write("thesis")
    assert (tmp_path / "thesis" / "chapter.md").read_text() == "years of work"


def test_an_output_that_is_a_file_is_refused_and_left_alone(tmp_path: Path, write: Write) -> None:
    (tmp_path / "notes").write_text("keep me")
    with pytest.raises(ArtifactError, match="no trained model"):
        write("notes")
    assert (tmp_path / "notes").read_text() == "keep me"


def test_an_empty_output_folder_is_taken(tmp_path: Path, write: Write) -> None:
    (tmp_path / "model").mkdir()
    verify(write())


@pytest.mark.parametrize("name", ["head.pkl", "head.joblib", "weights.bin", "model.pt", "run.py"])
def test_pickles_and_code_are_no_part_of_an_artefact(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(ArtifactError, match=name),
        write_artifact(tmp_path / "model") as draft,
    ):
        (draft.path / name).write_bytes(b"\x80\x04.")
        draft.manifest = manifest()
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_is_no_number_is_never_written(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write(metrics={"accuracy": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_identity_is_that_of_files_and_settings_and_not_of_the_hour(write: Write) -> None:
    first = read_manifest(write("a")).identity
    assert read_manifest(write("b", created_at="2027-01-01T00:00:00+00:00")).identity == first
    assert read_manifest(write("c", content='"other"')).identity != first
    assert read_manifest(write("d", settings={"threshold": 0.6})).identity != first


# --- checking ------------------------------------------------------------------------------------


def test_an_edited_file_is_named(write: Write) -> None:
    folder = write()
    (folder / "heads.json").write_text("[]")
    with pytest.raises(ArtifactCorrupt, match=r"heads\.json was changed"):
        verify(folder)


def test_what_is_wrong_with_the_files_comes_before_what_loading_them_said(write: Write) -> None:
    folder = write()
    with verified_beside(folder) as found:
        assert found == verify(folder)
    name = next(iter(found.files))
    (folder / name).write_text("edited")
    with pytest.raises(ArtifactCorrupt, match=name), verified_beside(folder):
        raise KeyError("what is made of it is nonsense")
    with pytest.raises(ArtifactCorrupt, match=name), verified_beside(folder):
        pass  # it loaded all the same


def test_what_loading_says_of_right_files_is_heard(write: Write) -> None:
    with pytest.raises(KeyError, match="not in the manifest"), verified_beside(write()):
        raise KeyError("not in the manifest")


def test_a_missing_file_is_named(write: Write) -> None:
    folder = write()
    (folder / "encoder" / "encoder.json").unlink()
    with pytest.raises(ArtifactCorrupt, match=r"encoder/encoder\.json is missing"):
        verify(folder)


def test_an_extra_file_is_named(write: Write) -> None:
    folder = write()
    (folder / "encoder" / "more.json").write_text("{}")
    with pytest.raises(ArtifactCorrupt, match=r"more\.json is not named"):
        verify(folder)


def test_an_edited_manifest_is_named(write: Write) -> None:
    folder = write()
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("0.5", "0.1"))
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json was changed"):
        verify(folder)


def test_a_half_written_manifest_is_named_wherever_it_was_cut(write: Write) -> None:
    path = write() / MANIFEST
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactCorrupt, match=r"manifest\.json cannot be read"):
            verify(path.parent)


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"kind": "test"}', '{"surprise": 1}', "[" * 9, "\xff"]
)
def test_a_manifest_that_is_something_else_is_named(write: Write, content: str) -> None:
    path = write() / MANIFEST
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json cannot be read"):
        read_manifest(path.parent)


@pytest.mark.parametrize("part", ["files", "settings", "metrics"])
def test_a_part_of_the_manifest_that_is_no_object_is_told(write: Write, part: str) -> None:
    path = write() / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: ["x"]}))
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json cannot be read"):
        read_manifest(path.parent)


def test_a_manifest_of_another_format_says_which_one_can_be_read(write: Write) -> None:
    path = write() / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ArtifactError, match="format 99, this version reads 1"):
        read_manifest(path.parent)


def test_a_manifest_cannot_point_out_of_its_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    path = write() / MANIFEST
    content = json.loads(path.read_text())
    content["files"]["../outside.json"] = content["files"]["heads.json"]
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactCorrupt):
        verify(path.parent)


def test_a_folder_without_a_manifest_is_no_trained_model(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no trained model") as error:
        verify(tmp_path)
    assert "--output" in str(error.value)


def test_a_model_of_another_service_is_refused(write: Write) -> None:
    with pytest.raises(ArtifactError, match="holds a test model, expected other"):
        verify(write(), kind="other")


# --- the registry --------------------------------------------------------------------------------


def test_a_new_registry_is_empty_and_has_no_live_version(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.active() is None


def test_promoting_copies_the_artefact_in_and_makes_it_live(
    registry: Registry, write: Write
) -> None:
    folder = write()
    version = registry.promote(folder)
    assert version.number == 1
    assert registry.active() == version
    assert version.path != folder
    assert read_manifest(version.path) == read_manifest(folder)


def test_versions_are_listed_oldest_first(registry: Registry, write: Write) -> None:
    for content in ("1", "2", "3"):
        registry.promote(write(content=content))
    assert [v.number for v in registry.versions()] == [1, 2, 3]
    live = registry.active()
    assert live is not None
    assert live.number == 3


def test_rolling_back_goes_through_the_versions_that_were_live(
    registry: Registry, write: Write
) -> None:
    for content in ("1", "2", "3"):
        registry.promote(write(content=content))
    assert registry.rollback().number == 2
    registry.promote(write(content="4"))
    assert registry.rollback().number == 2, "3 was rolled back, so 4 came after 2"
    assert registry.rollback().number == 1
    with pytest.raises(NotFound, match="no earlier version"):
        registry.rollback()
    assert registry.active() == registry.versions()[0]
    assert len(registry.versions()) == 4, "going back deletes nothing"


def test_rolling_back_an_empty_registry_says_that_there_is_nothing(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no earlier version"):
        registry.rollback()


def test_rolling_back_to_an_edited_version_is_refused_and_the_present_one_stays(
    registry: Registry, write: Write
) -> None:
    first = registry.promote(write(content="1"))
    second = registry.promote(write(content="2"))
    (first.path / "heads.json").write_text("edited")
    with pytest.raises(ArtifactCorrupt, match=r"heads\.json"):
        registry.rollback()
    assert registry.active() == second


def test_an_edited_artefact_is_never_promoted(registry: Registry, write: Write) -> None:
    folder = write()
    (folder / "heads.json").write_text("edited")
    with pytest.raises(ArtifactCorrupt, match=r"heads\.json"):
        registry.promote(folder)
    assert registry.versions() == []


def test_a_model_of_another_kind_is_never_promoted(registry: Registry, write: Write) -> None:
    with pytest.raises(ArtifactError, match="expected test"):
        registry.promote(write(kind="other"))
    assert registry.versions() == []


def test_the_gate_sees_the_live_version_and_the_candidate_and_its_no_changes_nothing(
    registry: Registry, write: Write
) -> None:
    first = registry.promote(write(content="1"))
    candidate = write(content="2")
    seen: list[tuple[Version | None, Path]] = []

    def refuse(live: Version | None, folder: Path) -> None:
        seen.append((live, folder))
        raise PromotionRefused("worse")

    with pytest.raises(PromotionRefused):
        registry.promote(candidate, gate=refuse)
    assert seen == [(first, candidate)]
    assert registry.versions() == [first]
    assert registry.active() == first


def test_the_gate_is_not_asked_about_a_broken_candidate(registry: Registry, write: Write) -> None:
    folder = write()
    (folder / "heads.json").write_text("edited")

    def never(live: Version | None, candidate: Path) -> None:
        raise AssertionError("its figures mean nothing")

    with pytest.raises(ArtifactCorrupt):
        registry.promote(folder, gate=never)


def test_an_unreadable_state_file_is_named_with_the_mend(registry: Registry, write: Write) -> None:
    registry.promote(write())
    (registry.root / "active.json").write_text('{"active": ')
    with pytest.raises(ArtifactCorrupt, match=r"active\.json") as error:
        registry.active()
    assert "promote a model again" in str(error.value)


def test_a_live_version_whose_folder_is_gone_is_named(registry: Registry, write: Write) -> None:
    registry.promote(write()).path.rename(registry.root / "elsewhere")
    with pytest.raises(ArtifactCorrupt, match="version 1 is named as live"):
        registry.active()


# --- several processes ---------------------------------------------------------------------------

# Waits for a word before each of the two moments where a promotion takes the lock.
_PROMOTE = """
import sys
from pathlib import Path
from core import artifacts
locked = artifacts._locked
def wait_and_lock(root):
    print("before the lock", flush=True)
    sys.stdin.readline()
    return locked(root)
artifacts._locked = wait_and_lock
print(artifacts.Registry(Path(sys.argv[1]), "test").promote(Path(sys.argv[2])).number)
"""


def test_two_processes_that_promote_at_once_leave_two_whole_versions_and_one_of_them_live(
    registry: Registry, write: Write
) -> None:
    folders = [write("a", content="1"), write("b", content="2")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROMOTE, str(registry.root), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    for _moment in ("both have copied", "both are named"):
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "before the lock\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    numbers = sorted(int(process.communicate(timeout=60)[0]) for process in processes)
    assert numbers == [1, 2]
    versions = registry.versions()
    assert {verify(v.path, kind="test").identity for v in versions} == {
        read_manifest(folder).identity for folder in folders
    }
    live = registry.active()
    assert live in versions
    assert registry.rollback() != live
    assert_nothing_is_left_aside(registry)


# Dies at the n-th file system step of a promotion, as by the kernel's hand: no clean-up runs.
_PROMOTE_AND_DIE = """
import os, shutil, sys
from pathlib import Path
from core import artifacts
step = sys.argv[3]
def die(*args, **options):
    os._exit(9)
if step == "copy":
    copy = shutil.copy2
    shutil.copytree = lambda s, t, **o: (copy(Path(s) / "heads.json", t), die())
elif step == "name":
    Path.rename = die
elif step == "activate":
    Path.replace = die
artifacts.Registry(Path(sys.argv[1]), "test").promote(Path(sys.argv[2]))
"""


@pytest.mark.parametrize("step", ["copy", "name", "activate"])
def test_a_promotion_that_is_killed_leaves_the_live_version_live_and_only_whole_versions(
    registry: Registry, write: Write, step: str
) -> None:
    first = registry.promote(write(content="1"))
    killed = subprocess.run(
        [sys.executable, "-c", _PROMOTE_AND_DIE, registry.root, write(content="2"), step],
        check=False,
        timeout=60,
    )
    assert killed.returncode == 9
    assert registry.active() == first
    for version in registry.versions():
        verify(version.path, kind="test")
    assert len(registry.versions()) == (2 if step == "activate" else 1)
    third = registry.promote(write(content="3"))  # no lock was left behind
    assert registry.active() == third
    assert registry.rollback() == first


def assert_nothing_is_left_aside(registry: Registry) -> None:
    assert all(p.name.isdigit() for p in (registry.root / "versions").iterdir())
    assert {p.name for p in registry.root.iterdir()} == {"versions", "active.json", ".lock"}
