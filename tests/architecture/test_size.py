"""Can a file be read in one sitting, and a function at one glance?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 50


def test_no_file_is_too_long(sources: dict[str, str]) -> None:
    lengths = {name: len(text.splitlines()) for name, text in sources.items()}
    assert {name: n for name, n in lengths.items() if n > LINES_OF_A_FILE} == {}


Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_lines(function: Function) -> int:
    """Lines of a function without those of the functions defined in it, which count by themselves:
    a factory of endpoints is as long as its longest endpoint."""
    return span(function) - sum(map(span, outermost(function)))


def outermost(node: ast.AST) -> Iterator[Function]:
    """The functions in a node, without those in other functions of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        else:
            yield from outermost(child)


def span(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_too_long(trees: dict[str, ast.Module]) -> None:
    too_long = {
        f"{path}:{node.lineno} {node.name}": length
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function) and (length := own_lines(node)) > LINES_OF_A_FUNCTION
    }
    assert too_long == {}


def test_every_file_opens_with_what_it_answers(trees: dict[str, ast.Module]) -> None:
    assert [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []
