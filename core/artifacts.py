"""What is a trained model on disk, and which version is live?

An artefact is a folder with a `manifest.json` that names every file with its SHA-256; files are
safetensors, ONNX, JSON and FAISS, never pickle. It is written beside its place and renamed into
it, so a folder that carries the name is whole.

A registry holds the versions of one service:

    models/
      versions/0001/ 0002/ ...     whole artefacts, never changed
      active.json                  the one small file that says which is live, replaced atomically
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import ArtifactCorrupt, ArtifactError, NotFound
from core.files import sha256_of, written_whole

MANIFEST = "manifest.json"
FORMAT = 1
_ALLOWED = {".json", ".jsonl", ".safetensors", ".onnx", ".faiss", ".txt", ".yaml", ".md"}
_LIBRARIES = ("numpy", "onnxruntime", "tokenizers", "faiss-cpu", "torch", "transformers")


@dataclass(frozen=True)
class Manifest:
    """What a version says of itself. `files` maps a relative path to its SHA-256.

    `metrics` are those of held-out rows, with intervals; `settings` is what serving needs to
    know (labels, calibration, thresholds, precision and why it was chosen). `seal` is the digest
    of all the rest, so that an edited manifest is told from a whole one.
    """

    kind: str
    created_at: str
    base_model: str
    base_revision: str
    data_sha256: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT
    seal: str = ""

    @property
    def identity(self) -> str:
        """12 hex digits that change with any file and any setting: the version told to callers.

        Settings count, because two models may differ in nothing but a threshold.
        """
        return _digest({"files": dict(self.files), "settings": dict(self.settings)})[:12]


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a model's figures may depend on."""
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def now_iso() -> str:
    """The present moment, ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class ArtifactDraft:
    """An artefact while it is written: put files under `path`, then set the manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest | None = None


@contextmanager
def write_artifact(output: Path) -> Iterator[ArtifactDraft]:
    """Write an artefact aside and rename it to `output` when it is whole.

    An existing artefact at `output` is replaced; anything else there is left and refused.
    """
    output = output.absolute()
    _refuse_foreign_folder(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = ArtifactDraft(Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent)))
    try:
        yield draft
        if draft.manifest is None:
            raise ArtifactError("the artefact was written without a manifest")
        _seal(draft.path, draft.manifest)
        _swap_in(draft.path, output)
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)


def read_manifest(folder: Path) -> Manifest:
    """The manifest, unverified. Raises NotFound or ArtifactCorrupt."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**content)
        for part in (manifest.metrics, manifest.settings, manifest.files):
            if not isinstance(part, dict):
                raise TypeError(f"expected an object, was: {part!r:.40}")
    except FileNotFoundError:
        raise NotFound(
            f"no trained model in {str(folder)!r}: it has no {MANIFEST}",
            mend="Give a folder that `trefoil <service> train --output` wrote.",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactCorrupt(f"{path} cannot be read: {error}", mend=_TRAIN_AGAIN) from error
    if manifest.format != FORMAT:
        raise ArtifactError(
            f"{path} has format {manifest.format}, this version reads {FORMAT}", mend=_TRAIN_AGAIN
        )
    return manifest


_TRAIN_AGAIN = "Train it again, or take another version."


def verify(folder: Path, *, kind: str | None = None) -> Manifest:
    """Check every file against the manifest. ArtifactCorrupt names the file that differs."""
    manifest = read_manifest(folder)
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(
            f"{str(folder)!r} holds a {manifest.kind} model, expected {kind}",
            mend="Give the folder that this service's `train` wrote.",
        )
    if _seal_of(asdict(manifest)) != manifest.seal:
        raise ArtifactCorrupt(
            f"{folder / MANIFEST} was changed after it was written", mend=_TRAIN_AGAIN
        )
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name, digest in manifest.files.items():
        if name not in present:
            raise ArtifactCorrupt(f"{folder / name} is missing", mend=_TRAIN_AGAIN)
        if sha256_of(folder / name) != digest:
            raise ArtifactCorrupt(
                f"{folder / name} was changed after it was written", mend=_TRAIN_AGAIN
            )
    for name in sorted(present - set(manifest.files) - {MANIFEST}):
        raise ArtifactCorrupt(
            f"{folder / name} is not named in the manifest",
            mend="Remove it, or train again.",
        )
    return manifest


@contextmanager
def verified_beside(folder: Path, *, kind: str | None = None) -> Iterator[Manifest]:
    """The manifest at once, for the body to load the files while `verify` compares them.

    The body has ended well only if the files are right: what is wrong with them is raised at its
    end, also in the place of what the body raised because of them.
    """
    manifest = read_manifest(folder)
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(verify, folder, kind=kind)
        try:
            yield manifest
        finally:
            checked.result()


@dataclass(frozen=True)
class Version:
    """One version of the registry; `number` counts from 1."""

    number: int
    path: Path


# Called with (live version or None, candidate folder); raises PromotionRefused to say no.
Gate = Callable[[Version | None, Path], None]


class Registry:
    """The versions of one service under one folder."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.kind = kind

    def versions(self) -> list[Version]:
        """All whole versions, oldest first."""
        folder = self.root / "versions"
        if not folder.is_dir():
            return []
        found = [Version(int(p.name), p) for p in folder.iterdir() if p.name.isdecimal()]
        return sorted(found, key=lambda v: v.number)

    def active(self) -> Version | None:
        """The live version, None before the first promotion."""
        state = self._state()
        return None if state is None else self._version(state["active"])

    def promote(self, source: Path, *, gate: Gate | None = None) -> Version:
        """Copy a verified artefact in as the next version and make it live.

        `gate` may refuse it by raising PromotionRefused; None takes it as it is.
        """
        verify(source, kind=self.kind)
        if gate is not None:
            gate(self.active(), source)
        candidate = self._copy_in(source)
        return self._activate(candidate)

    def rollback(self) -> Version:
        """Make the version live that was so before the present one."""
        with _locked(self.root):
            state = self._state()
            history = state["history"] if state else []
            if not history:
                raise NotFound(
                    f"no earlier version to go back to in {str(self.root)!r}",
                    mend="Promote another model first.",
                )
            target = self._version(history[-1])
            verify(target.path, kind=self.kind)
            self._write_state({"active": target.number, "history": history[:-1]})
        return target

    def _copy_in(self, source: Path) -> Version:
        folder = self.root / "versions"
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
        try:
            shutil.copytree(source, aside, dirs_exist_ok=True)
            verify(aside, kind=self.kind)  # the copy, so that a full disk is seen here
            with _locked(self.root):
                existing = self.versions()
                number = existing[-1].number + 1 if existing else 1
                target = folder / f"{number:04d}"
                aside.rename(target)
            return Version(number, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _activate(self, version: Version) -> Version:
        with _locked(self.root):
            state = self._state()
            history = [*state["history"], state["active"]] if state else []
            self._write_state({"active": version.number, "history": history})
        return version

    def _version(self, number: int) -> Version:
        path = self.root / "versions" / f"{number:04d}"
        if not path.is_dir():
            raise ArtifactCorrupt(
                f"version {number} is named as live but {path} is missing",
                mend="Promote a model again.",
            )
        return Version(number, path)

    def _state(self) -> dict[str, Any] | None:
        path = self.root / "active.json"
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            return {"active": int(state["active"]), "history": [int(n) for n in state["history"]]}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorrupt(
                f"{path} cannot be read: {error}", mend="Remove it and promote a model again."
            ) from error

    def _write_state(self, state: Mapping[str, Any]) -> None:
        with written_whole(self.root / "active.json") as file:
            file.write(json.dumps(state) + "\n")


def _refuse_foreign_folder(output: Path) -> None:
    if output.is_file() or (
        output.is_dir() and any(output.iterdir()) and not (output / MANIFEST).is_file()
    ):
        raise ArtifactError(
            f"{str(output)!r} exists and is no trained model",
            mend="Give a folder that is new, empty, or an earlier model.",
        )


def _seal(folder: Path, manifest: Manifest) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in files:
        if path.suffix not in _ALLOWED:
            raise ArtifactError(f"{path.name} is of a kind that artefacts do not hold")
    digests = {p.relative_to(folder).as_posix(): sha256_of(p) for p in files}
    content = asdict(manifest) | {"files": digests, "libraries": library_versions()}
    # Through JSON first: what is sealed is what a reader will get.
    content = json.loads(json.dumps(content, allow_nan=False))
    content["seal"] = _seal_of(content)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with written_whole(folder / MANIFEST) as file:
        file.write(text + "\n")


def _seal_of(content: Mapping[str, Any]) -> str:
    return _digest({name: value for name, value in content.items() if name != "seal"})


def _swap_in(source: Path, output: Path) -> None:
    """Rename the whole folder into place; an older artefact steps aside first."""
    source.chmod(0o755)  # mkdtemp makes it private
    if output.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{output.name}-old-", dir=output.parent))
        output.rename(old / "folder")
        try:
            source.rename(output)
        except BaseException:
            (old / "folder").rename(output)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
    else:
        source.rename(output)


@contextmanager
def _locked(root: Path, patience: float = 30.0) -> Iterator[None]:
    """One process at a time. The lock is the kernel's, so a killed holder leaves none behind."""
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ArtifactError(
                        f"another process has held {root} for {patience:.0f} s",
                        mend="Wait for it, or end it.",
                    ) from None
                time.sleep(0.02)
        yield
