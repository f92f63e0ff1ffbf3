"""Does the project run anywhere, or does a file name the place where it was made?"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

# Written so that no pattern finds itself.
_MACHINE_PATHS = (
    r"/roo[t](/|\b)",
    r"/hom[e]/\w+",
    r"/User[s]/\w+",
    r"\b[A-Z]:\\User[s]\\",
    r"/wor[k]/",
    r"/worksp[a]ce/",
    r"/tm[p]/",
    r"/mn[t]/",
)
# One host may be named: that of PyTorch's own index, which holds the builds for CPUs.
_REGISTRIES = (
    r"pypi\.org",
    r"pythonhosted\.org",
    r"registry\.npmjs",
    r"registry\.yarnpkg",
    r"deb\.debian\.org",
    r"archive\.ubuntu\.com",
    r"conda\.anaconda\.org",
    r"proxy\.golang\.org",
    r"static\.crates\.io",
    r"jfrog\.io",
    r"/artifac[t]ory/",
    r"index-ur[l]\s*[= ]\s*https?://(?!download\.pytorch\.org)",
)


def tracked(root: Path) -> list[Path]:
    """The files that git knows, or would on the next add."""
    assert shutil.which("git") and (root / ".git").exists(), (
        "expected a git checkout: only git says which files belong to the project"
    )
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


def places(root: Path, patterns: tuple[str, ...]) -> list[str]:
    wanted = re.compile("|".join(patterns))
    found = []
    for path in tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a feed in another encoding, or a picture
        found += [
            f"{path.relative_to(root)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if wanted.search(line)
        ]
    return found


def test_no_file_names_a_path_of_one_machine(root: Path) -> None:
    assert places(root, _MACHINE_PATHS) == []


def test_no_file_names_the_host_of_a_package_registry(root: Path) -> None:
    assert places(root, _REGISTRIES) == []


@pytest.mark.parametrize(
    "text", ["see /home" + "/anna/x", "C:" + "\\Users\\anna", "/wor" + "k/main", "cd /roo" + "t"]
)
def test_such_a_path_would_be_found(text: str) -> None:
    assert re.search("|".join(_MACHINE_PATHS), text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("https://pypi" + ".org/simple", True),
        ("--index-url" + " https://mirror.example/simple", True),
        ("--extra-index-url" + " https://download.pytorch.org/whl/cpu", False),
    ],
)
def test_such_a_host_would_be_found(text: str, named: bool) -> None:
    assert bool(re.search("|".join(_REGISTRIES), text)) == named
