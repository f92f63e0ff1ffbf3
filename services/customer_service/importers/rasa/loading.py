"""How is a YAML file of a Rasa project read?

Safe YAML with the words of YAML 1.2, as Rasa reads it: `yes`, `no`, `on` and `off` are texts, and
so are a date, 9:30 and 007. Anchors and aliases are refused, since a few lines of them can stand
for billions, and so is a key that stands twice, which would silently lose the first.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import yaml

from core.errors import InvalidInput

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    # The same in C, where it was built: ten times as fast.
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Of lists and mappings in each other; a Rasa project needs about ten.
_MAX_DEPTH: Final = 50
_TAG = "tag:yaml.org,2002:"
_REPLACED = {_TAG + kind for kind in ("bool", "int", "float", "timestamp")}
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})$")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}$")


class _Loader(_Base):
    """A safe loader without what a Rasa file does not mean."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name[:60]!r} stands twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in _REPLACED]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_TAG + "bool", _BOOL, list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+0123456789"))


def load_yaml(text: str) -> Any:
    """The content of a file. InvalidInput names the line of what is wrong."""
    loader = None
    try:
        _check_structure(text)
        loader = _Loader(text)
        return loader.get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise _refused(text, mark, str(reason)) from error
    finally:
        if loader is not None:
            loader.dispose()


def _refused(text: str, mark: Any, reason: str) -> InvalidInput:
    """The mark of a text that ends too early stands behind its last line."""
    lines = text.count("\n") + 1
    place = "" if mark is None else f"line {min(mark.line + 1, lines)}: "
    return InvalidInput(f"{place}not valid YAML: {reason}")


def _check_structure(text: str) -> None:
    """Before anything is built: no alias, and no depth that a stack could not hold."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused(text, event.start_mark, "an alias (*name): write the entry out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise _refused(text, event.start_mark, f"nested deeper than {_MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
