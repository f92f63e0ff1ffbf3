"""As whom may one walk through the demo storefront? A YAML file names them:

    shoppers:
      - {user_id: u0299, name: Mara, label: ultralight and birds, about: Counts the grams.}

Without a file there is only the visitor whom nobody knows. A file is named for a demonstration
alone, since what one does as one of these is kept as theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from core.errors import SettingsError

MOST_SHOPPERS: Final = 20
_MOST_CHARS: Final = 300


@dataclass(frozen=True)
class SampleShopper:
    """`label`: their taste in a few words; `about`: the same in a sentence."""

    user_id: str
    name: str
    label: str
    about: str


def read_sample_shoppers(path: str) -> tuple[SampleShopper, ...]:
    """The shoppers of the file, none for "". SettingsError where it is not to be read."""
    return _read(path) if path else ()


@lru_cache(maxsize=4)
def _read(path: str) -> tuple[SampleShopper, ...]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        rows = content["shoppers"][:MOST_SHOPPERS]
        return tuple(_shopper(row) for row in rows)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SettingsError(
            f"the sample shoppers in {path!r} cannot be read: {error}"[:_MOST_CHARS],
            mend="Name a YAML file with `shoppers`, each with user_id and name, or none.",
        ) from error


def _shopper(row: Any) -> SampleShopper:
    told = {name: str(row.get(name, ""))[:_MOST_CHARS] for name in ("label", "about")}
    return SampleShopper(str(row["user_id"]), str(row["name"])[:_MOST_CHARS], **told)
