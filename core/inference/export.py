"""How does a torch encoder become one ONNX file that serves it?

The exported graph holds pooling and normalising, and goes through ONNX Runtime's transformer
optimiser, which fuses attention, skip connections with their normalisation, and GELU with its
bias. Training only: torch and transformers are imported here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelError
from core.files import sha256_of
from core.inference.encoder import EncoderConfig
from core.models import BUNDLED, BaseModel, Pooling, resolve_model

if TYPE_CHECKING:
    import torch

OPSET = 17
# fp32 through another order of sums: equal to the torch model up to this, on unit vectors.
_TOLERANCE = 1e-4
_ENDLESS = 1_000_000  # positions of a model without a table of them


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Unit embeddings (batch_size, width) of `hidden` (batch_size, seq_len, width).

    `mask` (batch_size, seq_len) is 1 on the text; mean pooling averages those positions, cls
    takes the first.
    """
    import torch

    if pooling == "cls":
        pooled = hidden[:, 0]
    else:
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(pooled, dim=1)


def virtual_tokens(model: Any) -> int:
    """How many positions before the text a prefix or a prompt takes that was tuned (peft)."""
    adapter = getattr(model, "active_peft_config", None)
    return int(getattr(adapter, "num_virtual_tokens", None) or 0)


def text_room(model: Any) -> int:
    """How many tokens of a text the model has positions for."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    positions = int(getattr(base.config, "max_position_embeddings", _ENDLESS))
    # Models of RoBERTa's kind count positions from behind their padding token's number.
    unused = getattr(getattr(base, "embeddings", None), "padding_idx", None)
    return positions - (0 if unused is None else int(unused) + 1) - virtual_tokens(model)


def load_torch_encoder(base: BaseModel) -> Any:
    """The transformers model of a verified folder, in evaluation mode. Never remote code."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        model = transformers.AutoModel.from_pretrained(
            str(base.path),
            attn_implementation="eager",  # the form that the optimiser recognises and fuses
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"transformers cannot load {base.reference!r}: {error}",
            mend="Use an encoder of an architecture that transformers ships.",
        ) from error
    return model.eval()


def export_encoder(model: Any, base: BaseModel, folder: Path) -> EncoderConfig:
    """Write `model.onnx`, `tokenizer.json` and `encoder.json` into `folder`, fp32.

    Raises ModelError when the exported graph does not give what the torch model gives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    with tempfile.TemporaryDirectory() as scratch, quiet():
        raw = Path(scratch) / "raw.onnx"
        expected, feed = _trace(model, base.pooling, raw)
        optimise(raw, path, model.config)
    _check_parity(path, feed, expected, base.reference)
    shutil.copyfile(base.path / "tokenizer.json", folder / "tokenizer.json")
    config = EncoderConfig(
        encoder_id=sha256_of(path)[:16],
        base_model=base.reference,
        max_length=min(base.max_length, text_room(model)),
    )
    config.save(folder)
    return config


def export_base_encoder(folder: Path, base_model: str = BUNDLED) -> EncoderConfig:
    """The frozen base model as an exported encoder, for search and for item texts."""
    base = resolve_model(base_model)
    return export_encoder(load_torch_encoder(base), base, folder)


def _trace(model: Any, pooling: Pooling, path: Path) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    import torch

    class Embedder(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            hidden = output.last_hidden_state
            if virtual_tokens(self.encoder):  # they stand before the text's own positions
                hidden = hidden[:, -input_ids.shape[1] :]
            return pool(hidden, attention_mask, pooling)

    size = int(model.config.vocab_size)
    ids = torch.arange(3 * 7).reshape(3, 7) % size
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    embedder = Embedder().eval()
    rows = {0: "rows", 1: "tokens"}
    with torch.no_grad():
        expected = embedder(ids, mask).numpy()
        # The tracing exporter takes 3 s where the newer one takes 15, and its graph is the one
        # that ONNX Runtime's fusions know (docs/decisions/0003-onnx-export.md).
        torch.onnx.export(
            embedder,
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["embeddings"],
            dynamic_axes={"input_ids": rows, "attention_mask": rows, "embeddings": {0: "rows"}},
        )
    return expected, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}


def optimise(raw: Path, path: Path, config: Any) -> None:
    """Write `raw` to `path` with ONNX Runtime's fusions for an encoder of this `config`."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    optimised = optimizer.optimize_model(
        str(raw),
        model_type="bert",
        num_heads=int(config.num_attention_heads),
        hidden_size=int(config.hidden_size),
        optimization_options=FusionOptions("bert"),
        opt_level=0,
        use_gpu=False,
    )
    [output] = optimised.model.graph.output
    if output.name == "embeddings":
        # Virtual tokens hide the width from the exporter; whoever serves reads it here.
        output.type.tensor_type.shape.dim[1].dim_value = int(config.hidden_size)
    optimised.save_model_to_file(str(path))


def _check_parity(
    path: Path, feed: dict[str, Any], expected: np.ndarray[Any, Any], reference: str
) -> None:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run(None, feed)[0] - expected).max())
    if not difference <= _TOLERANCE:
        raise ModelError(
            f"the export of {reference!r} differs from the torch model by {difference:.2g}, "
            f"expected at most {_TOLERANCE:g}",
            mend="Use another base model, and report this one.",
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporter and optimiser print pages of notes; what matters is checked by `_check_parity`."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
