"""Which files of a Rasa project hold what?

Any file may hold any section, as in Rasa: nlu, rules, stories and those of the domain. What stands
in no section we know is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.errors import DataError, InvalidInput
from core.text import without_hidden
from services.customer_service.importers.files import decoded, files_of, read_bytes
from services.customer_service.importers.rasa.loading import load_yaml

_MAX_BYTES: Final = 10_000_000
_MAX_TOTAL: Final = 50_000_000
_MAX_ENTRIES: Final = 500_000
_VERSIONS = {"2.0", "3.0", "3.1"}
_LISTS = ("nlu", "rules", "stories", "intents", "entities")
_MAPPINGS = ("responses", "slots", "forms")
_CONFIG = {"pipeline", "policies", "recipe", "importers", "assistant_id"}
_TOLD = {
    "actions": "custom actions are programs; answer what they answered with templates",
    "e2e_actions": "actions learnt from conversations are not there",
    "session_config": "sessions are the service's own",
    "imports": "other projects are imported by themselves",
    "config": "settings of the domain",
}
_SERVER_FILES = {"endpoints", "credentials"}
_BEFORE_YAML = ("## intent:", "## lookup:", "## synonym:", "## regex:", "rasa_nlu_data")


@dataclass(frozen=True)
class Entry:
    """One entry of a section: its file, its name where it has one, and what it says."""

    file: str
    name: str
    said: Any

    @property
    def place(self) -> str:
        """Where a report says it stands."""
        return f"{self.file}: {self.name}" if self.name else self.file


@dataclass
class Project:
    """Entries by section; `language` as in config.yml, "" where it says nothing."""

    sections: dict[str, list[Entry]] = field(default_factory=dict)
    language: str = ""
    files: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def __getitem__(self, section: str) -> list[Entry]:
        return self.sections.get(section, [])

    def leave_out(self, entry: Entry, reason: str) -> None:
        """Tell that an entry was not taken."""
        self.left_out.append((entry.place, reason))


def read_project(folder: Path) -> Project:
    """All sections of all YAML files below a folder. DataError where there is none.

    A file that cannot be read is told with its reason; the others are taken.
    """
    project = Project()
    total = entries = 0
    for name, path in files_of(folder, {".yml", ".yaml", ".md", ".json"}, project.left_out):
        try:
            if path.suffix.lower() in (".md", ".json"):
                _look_for_older(name, path, project)
                continue
            content = read_bytes(path, _MAX_BYTES)
            total += len(content)
            if total > _MAX_TOTAL:
                raise DataError(f"more than {_MAX_TOTAL:,} bytes of YAML", folder, mend="Split it.")
            text = without_hidden(decoded(content))
            _add_file(name, path, load_yaml(text), project)
        except DataError:
            raise
        except InvalidInput as error:
            project.left_out.append((name, str(error)))
        entries = sum(map(len, project.sections.values()))
        if entries > _MAX_ENTRIES:
            raise DataError(f"more than {_MAX_ENTRIES:,} entries", folder, mend="Split it.")
    if not entries:
        told = "; ".join(f"{place}: {reason}" for place, reason in project.left_out[:5])
        raise DataError(
            "no nlu, domain, rules or stories of Rasa in this folder"
            + (f" ({told})" if told else ""),
            folder,
            mend="Name the folder that holds domain.yml and data/.",
        )
    return project


def _add_file(name: str, path: Path, content: Any, project: Project) -> None:
    if path.stem.lower() in _SERVER_FILES:
        project.left_out.append((name, "settings of Rasa's own server"))
        return
    if not isinstance(content, Mapping) or not _is_rasa(content):
        project.left_out.append((name, "no section of a Rasa project"))
        return
    project.files += 1
    version = content.get("version")
    if version is not None and str(version) not in _VERSIONS:
        told = f"version {str(version)[:20]}: known are {', '.join(sorted(_VERSIONS))}; read as 3.1"
        project.left_out.append((name, told))
    if "stories" in content and (path.stem.startswith("test_") or name.startswith("tests/")):
        project.left_out.append((name, "conversation tests"))
        return
    for section, said in content.items():
        _add_section(name, str(section), said, project)


def _is_rasa(content: Mapping[Any, Any]) -> bool:
    known = {*_LISTS, *_MAPPINGS, *_CONFIG, *_TOLD, "language"}
    return any(section in known for section in content)


def _add_section(name: str, section: str, said: Any, project: Project) -> None:
    if section == "language":
        project.language = said.strip().lower() if isinstance(said, str) else ""
    elif section in _CONFIG:
        project.left_out.append((name, f"{section}: how Rasa is trained; `train` has its own ways"))
    elif section in _TOLD:
        names = said if isinstance(said, list) else []
        shown = ", ".join(str(each)[:60] for each in names)
        project.left_out.append(
            (f"{name}: {section}", _TOLD[section] + (f": {shown}" * bool(shown)))
        )
    elif section in (*_LISTS, *_MAPPINGS):
        project.sections.setdefault(section, []).extend(_entries(name, section, said, project))
    elif section != "version":
        project.left_out.append((f"{name}: {section[:60]}", "no section of a Rasa project"))


def _entries(name: str, section: str, said: Any, project: Project) -> Iterator[Entry]:
    """A list's entries without a name, a mapping's with theirs."""
    if said is None:
        return
    # A domain may give a list where we expect a mapping, such as `forms: [order_form]`.
    if isinstance(said, list):
        yield from (Entry(name, "", each) for each in said)
    elif isinstance(said, Mapping) and section in _MAPPINGS:
        yield from (Entry(name, str(key), value) for key, value in said.items())
    else:
        expected = "a list" if section in _LISTS else "entries by name"
        found = type(said).__name__
        project.left_out.append((f"{name}: {section}", f"expected {expected}, found {found}"))


def _look_for_older(name: str, path: Path, project: Project) -> None:
    """Tell of training data in the forms that came before YAML."""
    try:
        with path.open("rb") as file:
            head = file.read(100_000).decode("utf-8", "replace")
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from error
    if any(mark in head for mark in _BEFORE_YAML):
        mend = "convert it to YAML with Rasa 2 (`rasa data convert`)"
        project.left_out.append((name, f"training data of Rasa 1: {mend}"))
