"""How are tensors and a few words kept in a checkpoint, in a file that runs no code when read?

safetensors with one name a tensor, `part/name`; the words are JSON in its header. Training only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Parts = Mapping[str, Mapping[str, Any]]


def save_state(path: Path, parts: Parts, said: Mapping[str, Any]) -> None:
    """Write it whole or not at all. `parts`: name → name → tensor; `said` goes through JSON."""
    from safetensors.torch import save_file

    # Two parts may hold the same tensor, which the format refuses.
    tensors = {
        f"{part}/{name}": tensor.detach().clone().contiguous()
        for part, of in parts.items()
        for name, tensor in of.items()
    }
    aside = path.with_suffix(".part")
    save_file(tensors, str(aside), metadata={"said": json.dumps(said)})
    aside.replace(path)


def load_state(path: Path, device: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What `save_state` wrote, on `device`; a part without tensors is not there."""
    from safetensors import safe_open

    parts: dict[str, dict[str, Any]] = {}
    with safe_open(str(path), framework="pt") as file:
        said: dict[str, Any] = json.loads(file.metadata()["said"])
        for key in file.keys():  # noqa: SIM118  # it is no mapping
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = file.get_tensor(key).to(device)
    return parts, said
