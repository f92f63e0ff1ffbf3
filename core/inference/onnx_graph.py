"""How does a graph other than the encoder's run: logits a token, a score a pair?

The same session settings as `onnx_session.py`, any inputs, and batches of texts of like length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelCorrupt
from core.inference.onnx_session import FEWEST_ROWS


def open_session(path: Path, *, threads: int) -> Any:
    """An ONNX Runtime session on the CPU. ModelCorrupt where the file cannot be loaded."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # As in onnx_session.py: threads spin within a run, not between runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own kinds, all meaning "cannot load"
        raise ModelCorrupt(
            f"{path} cannot be loaded: {error}", mend="Train again, or take another version."
        ) from error


def batches_by_length(lengths: Sequence[int], rows: int = FEWEST_ROWS) -> Iterator[list[int]]:
    """Positions in batches of at most `rows`, texts of like length together."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), rows):
        yield order[start : start + rows]
