"""What is the embedding of a text, and may it be trusted?

Three steps, each its own line in `encode`: tokenise, encode, pool and normalise (the last two
inside the exported graph). A folder of an encoder holds `model.onnx`, `tokenizer.json` and
`encoder.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt, ModelNotFound
from core.inference.onnx_session import FloatArray, OnnxSession, shared_session
from core.inference.tokenizer import TextTokenizer, Tokens

# Above this share of unknown tokens the embedding says more about what is missing than about the
# text. In Chinese questions read by the bundled encoder the share is .3 to .9, in English ones
# with typos and emoji below .15 (shared_data/customer_service).
UNKNOWN_LIMIT = 0.25


@dataclass(frozen=True)
class EncoderConfig:
    """`encoder.json`. `precision`: fp32 or int8; `encoder_id` changes with the weights."""

    encoder_id: str
    base_model: str
    max_length: int
    precision: str = "fp32"

    def save(self, folder: Path) -> None:
        """Write `encoder.json` into the folder."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        (folder / "encoder.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> EncoderConfig:
        """Read `encoder.json`. ModelNotFound where there is none, ModelCorrupt where broken."""
        path = folder / "encoder.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ModelNotFound(
                f"no encoder in {str(folder)!r}", mend="Train a model first."
            ) from None
        except (ValueError, TypeError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error


@dataclass(frozen=True)
class Encoded:
    """`embeddings`: (n, width) float32 of unit length; `unknown_share`: (n,) from 0 to 1."""

    embeddings: FloatArray
    unknown_share: FloatArray

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the encoder could read the text."""
        return self.unknown_share <= UNKNOWN_LIMIT


class TextEncoder:
    """An exported encoder. Safe to call from several threads."""

    def __init__(
        self, config: EncoderConfig, tokenizer: TextTokenizer, session: OnnxSession
    ) -> None:
        self.config = config
        self._tokenizer = tokenizer
        self._session = session

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2) -> TextEncoder:
        """Load an encoder folder; `threads` is the size of the model's own pool."""
        config = EncoderConfig.load(folder)
        return cls(
            config,
            TextTokenizer(folder / "tokenizer.json", config.max_length),
            shared_session(folder / "model.onnx", threads=threads),
        )

    @property
    def encoder_id(self) -> str:
        """Identity of the weights and precision: vectors of different ids do not compare."""
        return self.config.encoder_id

    @property
    def dimensions(self) -> int:
        """Width of an embedding."""
        return self._session.width

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Step 1: token ids, and how much of each text is unknown."""
        return self._tokenizer.encode(texts)

    def encode_tokens(self, tokens: Sequence[Tokens]) -> Encoded:
        """Steps 2 and 3: run the encoder; the graph pools and normalises."""
        embeddings = self._session.run([t.ids for t in tokens])
        return Encoded(embeddings, np.array([t.unknown_share for t in tokens], dtype=np.float32))

    def encode(self, texts: Sequence[str]) -> Encoded:
        """All three steps. Any strings; the same text gives the same row whatever is beside it."""
        return self.encode_tokens(self.tokenize(texts))
