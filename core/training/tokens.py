"""How do texts with marked spans become a token classifier, and how good is it on held-out texts?

A linear head on the token embeddings, tuned together with the encoder; the first token of a word
speaks for it. The epoch with the best entity F1 on held-out texts is kept; the report is of the
exported model on the same texts. Training only: torch is imported here.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from core.artifacts import Manifest, read_manifest, write_artifact
from core.data.splits import stratified_split
from core.data.tagged import Span, TaggedText, checked_spans, labels_of
from core.errors import DataError
from core.evaluation.calibration import fit_temperature
from core.evaluation.spans import f1_interval, micro_scores, scores_by_label, span_counts
from core.inference.bio import best_path, tag_names, tags_of_words, word_runs
from core.inference.export import load_torch_encoder
from core.inference.export_graph import export_graph
from core.inference.offsets import Words, WordTokenizer
from core.inference.onnx_graph import batches_by_length
from core.inference.onnx_session import pad
from core.inference.token_classifier import KIND, TokenClassifier
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.training.adapters import without_adapter
from core.training.batches import LengthBatches, TokenRows, collate
from core.training.config import ADAPTERS, FineTuneConfig
from core.training.dropout import set_dropout, use_byte_dropout
from core.training.loop import RunOptions, RunResult
from core.training.tuning import (
    SHARED_SETTINGS,
    adamw,
    arguments,
    manifest_of,
    refuse_unused,
    run_trainer,
    tuning_settings,
    with_learning_parts,
)

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

# What differs from text classification: a span at the end of a text counts too, so texts are read
# whole, and a head that starts at random wants more epochs.
DEFAULTS = FineTuneConfig(
    epochs=8,
    batch_size=16,
    learning_rate=3e-4,
    head_learning_rate=5e-3,
    patience=3,
    max_tokens=256,
    keep="best",
)
METRIC = "entity F1"
_HELD_OUT = 0.12
_IGNORED = -100


@dataclass(frozen=True)
class _Task:
    """n texts as words, their tags (n arrays), and which rows judge."""

    rows: Sequence[TaggedText]
    labels: tuple[str, ...]
    words: list[Words]
    tags: list[IntArray]
    train: IntArray
    held_out: IntArray


def train_token_classifier(
    rows: Sequence[TaggedText],
    output: Path,
    *,
    base_model: str = BUNDLED,
    config: FineTuneConfig = DEFAULTS,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Manifest:
    """Write a token classifier to the folder `output`; `TokenClassifier.load` reads it.

    Raises DataError where the texts hold no span or are too few, ModelError where the base model
    cannot be used, InvalidInput for a way of tuning that this task does not have.
    """
    used = SHARED_SETTINGS | {"label_smoothing", "adapter_rank"}
    refuse_unused(config, DEFAULTS, used)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    base = resolve_model(base_model)
    task = _task(rows, base, config, seed, progress)
    encoder, layers = with_learning_parts(load_torch_encoder(base), config)
    module = TaggerModule(encoder, len(tag_names(task.labels)), task, config)
    use_byte_dropout(module)
    if config.dropout is not None:
        set_dropout(module, config.dropout)
    result = _tune(module, layers, task, config, seed, options or RunOptions(), progress)
    if config.tune in ADAPTERS:
        module.encoder = without_adapter(module.encoder)
    module.cpu().eval()
    with write_artifact(output) as draft:
        settings, metrics = _write(module, task, base, draft.path, threads, seed)
        draft.manifest = manifest_of(
            KIND,
            base,
            _fingerprint(rows),
            metrics=metrics,
            settings={
                "tokens": settings,
                "tuning": tuning_settings(config, seed, result),
            },
        )
    return read_manifest(output)


class TaggerModule(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """Encoder and linear head; `forward` gives loss and logits (rows, tokens, tags)."""

    def __init__(self, encoder: Any, tags: int, task: _Task, config: FineTuneConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = torch.nn.Linear(int(encoder.config.hidden_size), tags)
        torch.nn.init.normal_(self.head.weight, std=0.02)
        torch.nn.init.zeros_(self.head.bias)
        self._task = task
        self._smoothing = config.label_smoothing

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, tags)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return self.head(hidden.last_hidden_state)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """`rows` (batch,): which texts these are. Cross-entropy over the first tokens of words."""
        logits = self.logits(input_ids, attention_mask)
        expected = torch.full(input_ids.shape, _IGNORED)
        for place, row in enumerate(rows.tolist()):
            words, tags = self._task.words[row], self._task.tags[row]
            expected[place, torch.from_numpy(words.first)] = torch.from_numpy(tags)
        expected = expected.to(logits.device)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1),
            expected.flatten(),
            ignore_index=_IGNORED,
            label_smoothing=self._smoothing,
            reduction="sum",
        )
        return {"loss": loss / max(1, int((expected != _IGNORED).sum())), "logits": logits}


class _Trainer(transformers.Trainer):  # type: ignore[misc]  # transformers is untyped
    """The Trainer with batches of texts of like length."""

    batches: LengthBatches

    def get_train_dataloader(self) -> Any:
        loader = torch.utils.data.DataLoader(
            self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator
        )
        return self.accelerator.prepare(loader)


def _tune(
    module: TaggerModule,
    layers: list[Any],
    task: _Task,
    config: FineTuneConfig,
    seed: int,
    options: RunOptions,
    progress: Progress,
) -> RunResult:
    rows = TokenRows([w.ids for w in task.words], config.max_tokens)
    lengths = [len(w.ids) for w in task.words]
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _Trainer(
            model=module,
            args=arguments(
                Path(scratch),
                options,
                config,
                seed=seed,
            ),
            data_collator=collate,
            train_dataset=rows,
            optimizers=(adamw(module, layers, config), None),
        )
        trainer.batches = LengthBatches(
            task.train.astype(np.intp), lengths, config.batch_size, seed=seed
        )
        return run_trainer(
            trainer,
            score=lambda: _held_out_f1(module, task),
            metric=METRIC,
            config=config,
            options=options,
            progress=progress,
            judged=len(task.held_out),
        )


def _task(
    rows: Sequence[TaggedText],
    base: BaseModel,
    config: FineTuneConfig,
    seed: int,
    progress: Progress,
) -> _Task:
    for row in rows:
        checked_spans(row.text, row.spans, line=row.line)
    labels = labels_of(rows)
    if not labels:
        raise DataError(
            "no text holds a span", mend='Mark some: "entities" in JSONL, [..](..) in .md.'
        )
    strata = [row.spans[0].label if row.spans else "" for row in rows]
    train, held_out = stratified_split(strata, _HELD_OUT, np.random.default_rng(seed))
    if len(train) == 0 or not any(rows[i].spans for i in held_out.tolist()):
        raise DataError(
            f"{len(rows)} texts are too few to learn from some and to judge by others",
            mend="Add texts: at least two with a span of the same label, better fifty a label.",
        )
    tokenizer = WordTokenizer(base.path / "tokenizer.json", min(config.max_tokens, base.max_length))
    words = tokenizer.encode([row.text for row in rows])
    tags = [tags_of_words(w.offsets, r.spans, labels) for w, r in zip(words, rows, strict=True)]
    cut = sum(w.read < len(r.text) for w, r in zip(words, rows, strict=True))
    if cut:
        progress.say(
            f"{cut} texts are longer than {tokenizer.max_length} tokens; their ends are cut"
        )
    return _Task(rows, labels, words, tags, train, held_out)


def _held_out_logits(module: TaggerModule, task: _Task) -> list[FloatArray]:
    """(words, tags) of each held-out text, in order."""
    was_training = module.training
    module.eval()
    device = next(module.parameters()).device
    words = [task.words[row] for row in task.held_out.tolist()]
    result: list[FloatArray] = [np.empty((0, 0), np.float32)] * len(words)
    with torch.no_grad():
        for rows in batches_by_length([len(w.ids) for w in words], 32):
            ids, mask = (torch.from_numpy(a).to(device) for a in pad([words[r].ids for r in rows]))
            found = module.logits(ids, mask).float().cpu().numpy()
            for place, row in enumerate(rows):
                result[row] = found[place, words[row].first]
    module.train(was_training)
    return result


def _held_out_f1(module: TaggerModule, task: _Task) -> float:
    found = []
    for row, logits in zip(task.held_out.tolist(), _held_out_logits(module, task), strict=True):
        offsets = task.words[row].offsets
        found.append(
            [
                Span(int(offsets[start, 0]), int(offsets[end - 1, 1]), task.labels[label])
                for start, end, label in word_runs(best_path(logits))
            ]
        )
    return micro_scores([task.rows[i].spans for i in task.held_out.tolist()], found).f1


def _write(
    module: TaggerModule, task: _Task, base: BaseModel, folder: Path, threads: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(settings, metrics): the graph, the tokenizer, and what the served model finds."""

    class Logits(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
        def __init__(self) -> None:
            super().__init__()
            self.tagger = module

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.tagger.logits(input_ids, attention_mask)

    export_graph(
        Logits(),
        module.encoder.config,
        folder / "model.onnx",
        output="logits",
        output_axes={0: "rows", 1: "tokens"},
    )
    shutil.copyfile(base.path / "tokenizer.json", folder / "tokenizer.json")
    logits = np.concatenate(_held_out_logits(module, task))
    expected = np.concatenate([task.tags[row] for row in task.held_out.tolist()])
    settings = {
        "labels": list(task.labels),
        "max_length": base.max_length,
        "temperature": fit_temperature(logits, expected),
    }
    served = TokenClassifier.from_files(folder, settings, threads=threads)
    return settings, evaluate(served, [task.rows[i] for i in task.held_out.tolist()], seed=seed)


def evaluate(
    model: TokenClassifier, rows: Sequence[TaggedText], *, seed: int = 0
) -> dict[str, Any]:
    """Entity-level figures of a served model: precision, recall, f1 with its interval, labels."""
    truth = [list(row.spans) for row in rows]
    found = [[s.span for s in of.spans] for of in model.predict([row.text for row in rows])]
    scores = micro_scores(truth, found)
    low, high = f1_interval(span_counts(truth, found), np.random.default_rng(seed))
    return {
        "texts": len(rows),
        "spans": scores.support,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "f1_ci": [low, high],
        "labels": {name: asdict(of) for name, of in scores_by_label(truth, found).items()},
    }


def _fingerprint(rows: Sequence[TaggedText]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        spans = ";".join(f"{s.start},{s.end},{s.label}" for s in row.spans)
        digest.update(f"{row.text}\x1f{spans}\x1e".encode("utf-8", "replace"))
    return digest.hexdigest()
