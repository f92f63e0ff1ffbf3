"""Do dependencies point down, and are the dangerous ones where they may be?"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Loading one of these runs whatever code the file holds.
_PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_UNSAFE_CALLS = {("torch", "load"), ("torch", "save"), ("yaml", "load"), ("yaml", "unsafe_load")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(trees: dict[str, ast.Module], names: set[str]) -> set[str]:
    return {
        path
        for path, tree in trees.items()
        for name in imported(tree)
        if name.split(".")[0] in names
    }


def test_the_import_contracts_hold(root: Path, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--config", root / "pyproject.toml", "--cache-dir", tmp_path],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_only_one_file_knows_faiss(trees: dict[str, ast.Module]) -> None:
    assert importers(trees, {"faiss"}) == {"core/retrieval/dense.py"}


def test_nothing_reads_or_writes_pickles(trees: dict[str, ast.Module]) -> None:
    assert importers(trees, _PICKLES) == set()


def test_nothing_calls_a_loader_that_runs_code(trees: dict[str, ast.Module]) -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in _UNSAFE_CALLS
    ]
    assert found == []


def test_remote_code_and_pickled_arrays_are_never_switched_on(
    trees: dict[str, ast.Module],
) -> None:
    found = [
        f"{path}:{node.value.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg in ("trust_remote_code", "allow_pickle")
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["services/cli.py", "services/commands.py"])
def test_the_command_imports_only_click_before_a_service_is_named(
    trees: dict[str, ast.Module], name: str
) -> None:
    top = [node for node in trees[name].body if isinstance(node, ast.Import | ast.ImportFrom)]
    packages = {full.split(".")[0] for full in imported(ast.Module(top, []))}
    assert packages - set(sys.stdlib_module_names) <= {"click", "services"}
