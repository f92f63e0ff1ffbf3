"""How do token ids run through the exported encoder?

The graph takes `input_ids` and `attention_mask`, (batch_size, seq_len) int64, and gives unit
length `embeddings`, (batch_size, width) float32: pooling and normalising are inside it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt, ModelNotFound
from core.files import sha256_of

# What a batch holds between two layers should stay in a core's own cache: for short texts this is a
# quarter faster than four times as many tokens. Of long texts a few run together all the same, so
# that the threads have something to share.
MAX_BATCH_TOKENS = 256
FEWEST_ROWS = 8

FloatArray = npt.NDArray[np.float32]


class OnnxSession:
    """One ONNX Runtime session on the CPU. `max_batch_tokens` bounds rows × longest row of what
    runs at once, where that is more than FEWEST_ROWS rows of like length."""

    def __init__(
        self, path: Path, *, threads: int, max_batch_tokens: int = MAX_BATCH_TOKENS
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Within a run threads may spin, which takes an eighth off the latency of a short text;
        # between runs they must not, since three services share a small box.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # A processor without VNNI adds two uint8 × int8 products in 16 bits, where they overflow:
        # there the weights are made uint8, which is slower and right. With VNNI this does nothing.
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises its own kinds, all meaning "cannot load"
            raise ModelCorrupt(
                f"{path} cannot be loaded: {error}", mend="Train again, or take another version."
            ) from error
        self.width = int(self._session.get_outputs()[0].shape[1])
        self._max_batch_tokens = max_batch_tokens

    def run(self, sequences: Sequence[npt.NDArray[np.int64]]) -> FloatArray:
        """Embeddings (n, width) in the order given; batches are made of like lengths."""
        result = np.empty((len(sequences), self.width), dtype=np.float32)
        for rows in self._batches([len(s) for s in sequences]):
            ids, mask = pad([sequences[row] for row in rows])
            feed = {"input_ids": ids, "attention_mask": mask}
            result[rows] = self._session.run(None, feed)[0]
        return result

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            full = lengths[row] * (len(batch) + 1) > self._max_batch_tokens
            if (
                batch
                and full
                and (len(batch) >= FEWEST_ROWS or lengths[row] > 2 * lengths[batch[0]])
            ):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch


_shared: WeakValueDictionary[tuple[str, int], OnnxSession] = WeakValueDictionary()
_sharing = threading.Lock()


def shared_session(path: Path, *, threads: int) -> OnnxSession:
    """The session of this file's content. Models that stand on the same encoder, such as a version
    and the one that takes its place, share one, and with it the memory that the weights take."""
    try:
        key = (sha256_of(path), threads)
    except FileNotFoundError:
        raise ModelNotFound(f"there is no {str(path)!r}", mend="Train a model first.") from None
    with _sharing:
        session = _shared.get(key)
        if session is None:
            session = _shared[key] = OnnxSession(path, threads=threads)
        return session


def pad(
    sequences: Sequence[npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids and attention mask, both (batch_size, longest), zeros behind each text.

    They are at least one wide: the graph takes no text of zero width.
    """
    longest = max(1, *(len(s) for s in sequences))
    ids = np.zeros((len(sequences), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask
