"""How does an encoder with a head of its own become one ONNX file?

For what is no plain embedding: a logit a token, a score a pair of texts. Tracing, fusions and the
check against the torch model are those of `export.py`. Training only: torch is imported here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelError
from core.inference.export import OPSET, optimise, quiet
from core.inference.onnx_graph import open_session

# Logits are no unit vectors: they may differ by this, relative to the largest.
_TOLERANCE = 1e-4


def export_graph(
    module: Any,
    config: Any,
    path: Path,
    *,
    output: str,
    output_axes: Mapping[int, str],
    token_types: bool = False,
) -> None:
    """Write `module(input_ids, attention_mask[, token_type_ids])` to `path`, fp32.

    Inputs are (rows, tokens) int64; `output_axes` names the axes of the one output that vary;
    `config` is the encoder's. Raises ModelError when the graph does not give what the module gives.
    """
    import torch

    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    feed = _example(int(config.vocab_size), names)
    module = module.eval()
    with tempfile.TemporaryDirectory() as scratch, quiet(), torch.no_grad():
        raw = Path(scratch) / "raw.onnx"
        expected = module(*feed.values()).numpy()
        axes: dict[str, Any] = {name: {0: "rows", 1: "tokens"} for name in names}
        torch.onnx.export(
            module,
            tuple(feed.values()),
            str(raw),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=[output],
            dynamic_axes=axes | {output: dict(output_axes)},
        )
        optimise(raw, path, config)
    session = open_session(path, threads=1)
    found = session.run(None, {name: value.numpy() for name, value in feed.items()})[0]
    allowed = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max())
    if not difference <= allowed:
        raise ModelError(
            f"the exported graph differs from the torch model by {difference:.2g}, "
            f"expected at most {allowed:.2g}",
            mend="Use another base model, and report this one.",
        )


def _example(vocabulary: int, names: list[str]) -> dict[str, Any]:
    """Three rows of seven tokens; the second ends after four."""
    import torch

    ids = torch.arange(3 * 7).reshape(3, 7) % vocabulary
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    types = torch.zeros_like(ids)
    types[:, 3:] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types * mask}
    return {name: inputs[name] for name in names}
