"""How does an encoder learn which texts belong to which query?

sentence-transformers' trainer takes the steps, on one of four objectives:

    in_batch   pairs; the other texts of the batch are the wrong ones
    triplets   the same, and each row brings a wrong text of its own
    graded     pairs with a relevance; more relevant pairs should be closer (CoSENT)
    listwise   a list of graded candidates a query, corrected for popularity (`listwise.py`)

With `tune="head"` the encoder stays as it is and one matrix on its embeddings is learnt. The report
says what a search over held-out queries finds before and after. Training only: torch is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from core.artifacts import Manifest, read_manifest, write_artifact
from core.data.pairs import TextPair, all_texts, fingerprint, relevant_texts, split_by_query
from core.errors import InvalidInput
from core.evaluation.intervals import paired_bootstrap
from core.evaluation.retrieval import Floats, search_metrics, with_intervals
from core.inference.encoder import TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.onnx_graph import batches_by_length
from core.inference.onnx_session import pad
from core.inference.tokenizer import TextTokenizer
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.training.config import FineTuneConfig
from core.training.dropout import set_dropout, use_byte_dropout
from core.training.listwise import ListwiseLoss, candidate_lists
from core.training.loop import RunOptions, RunResult
from core.training.tuning import (
    SHARED_SETTINGS,
    free_layers,
    manifest_of,
    refuse_unused,
    run_sentence_trainer,
    tuning_settings,
)

Objective = Literal["in_batch", "triplets", "graded", "listwise"]
FloatArray = npt.NDArray[np.float32]

KIND = "bi_encoder"
METRIC = "MRR@10"
# The embeddings are good before the first step: small steps, and batches as large as memory allows,
# since their other texts are what is learnt from.
DEFAULTS = FineTuneConfig(epochs=2, batch_size=32, learning_rate=5e-5, max_tokens=128, keep="best")
_HELD_OUT = 0.1
_MAX_QUERIES = 500
_MAX_TEXTS = 1_000
_LIST_SIZE = 8


def train_bi_encoder(
    pairs: Sequence[TextPair],
    output: Path,
    *,
    objective: Objective | None = None,
    base_model: str = BUNDLED,
    config: FineTuneConfig = DEFAULTS,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Manifest:
    """Write the tuned encoder to `output/encoder`, for `TextEncoder.load`, with its manifest.

    Without an `objective` the pairs decide: triplets where there are negatives, graded where there
    is a relevance, else in_batch. Raises DataError where the queries are too few, InvalidInput for
    an objective that the pairs do not feed, ModelError where the base model cannot be used.
    """
    refuse_unused(config, DEFAULTS, SHARED_SETTINGS)
    objective = _objective(pairs, objective)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    base = resolve_model(base_model)
    # Served as it was trained: what lies behind that many tokens was never learnt from.
    base = dataclasses.replace(base, max_length=min(config.max_tokens, base.max_length))
    train, held_out = split_by_query(
        pairs, _HELD_OUT, np.random.default_rng(seed), at_most=_MAX_QUERIES
    )
    search = _Search(held_out, pairs, np.random.default_rng(seed))
    texts = _Tokens(base)
    model = _sentence_transformer(base, config, texts)
    frozen = search.measure(lambda of: _embed(model, texts, of))
    data = _rows(train, objective, np.random.default_rng(seed))
    start = float(frozen["mrr@10"].mean())
    result = _tune(model, data, objective, search, start, texts, config, seed, options, progress)
    with write_artifact(output) as draft:
        folder = draft.path / "encoder"
        export_encoder(_with_matrix(model.cpu().eval()), base, folder)
        served = TextEncoder.load(folder, threads=threads)
        tuned = search.measure(lambda of: served.encode(of).embeddings)
        draft.manifest = manifest_of(
            KIND,
            base,
            fingerprint(pairs),
            metrics=_report(search, frozen, tuned, seed),
            settings={"objective": objective, "tuning": tuning_settings(config, seed, result)},
        )
    return read_manifest(output)


def _objective(pairs: Sequence[TextPair], wanted: Objective | None) -> Objective:
    negatives = any(pair.negative for pair in pairs)
    graded = any(pair.relevance is not None for pair in pairs)
    if wanted is None:
        return "triplets" if negatives else "graded" if graded else "in_batch"
    if wanted == "triplets" and not negatives:
        raise InvalidInput("triplets need the column `negative`, which has no text")
    if wanted in ("graded", "listwise") and not graded:
        raise InvalidInput(f"{wanted} needs the column `relevance`, which is not there")
    return wanted


# --- what is judged ------------------------------------------------------------------------------


class _Search:
    """Held-out queries, and the texts among which theirs must be found: all that belong to them and
    a random part of the others."""

    def __init__(
        self, held_out: Sequence[TextPair], pairs: Sequence[TextPair], rng: np.random.Generator
    ) -> None:
        wanted = relevant_texts(held_out)
        self.queries = list(wanted)
        right = {text for texts in wanted.values() for text in texts}
        others = [text for text in all_texts(pairs) if text not in right]
        room = max(0, _MAX_TEXTS - len(right))
        some = rng.permutation(len(others))[:room].tolist()
        self.texts = [*sorted(right), *(others[i] for i in sorted(some))]
        place = {text: i for i, text in enumerate(self.texts)}
        self._relevant = [[place[text] for text in sorted(wanted[q])] for q in self.queries]

    def measure(self, embed: Any) -> dict[str, Floats]:
        """A figure a query; `embed`: texts → unit vectors (n, width)."""
        return search_metrics(embed(self.queries), embed(self.texts), self._relevant)


def _report(
    search: _Search, frozen: Mapping[str, Floats], tuned: Mapping[str, Floats], seed: int
) -> dict[str, Any]:
    """Figures of the served encoder, of the base model in the same search, and what was gained."""
    gain = paired_bootstrap(tuned["mrr@10"], frozen["mrr@10"], np.random.default_rng(seed))
    return {
        "queries": len(search.queries),
        "texts": len(search.texts),
        **with_intervals(tuned, seed),
        "frozen": with_intervals(frozen, seed),
        "mrr@10_gain": gain.difference,
        "mrr@10_gain_ci": [gain.low, gain.high],
    }


# --- what is trained -----------------------------------------------------------------------------


class _Tokens:
    """Token ids as serving makes them, each text tokenised once."""

    def __init__(self, base: BaseModel) -> None:
        self._tokenizer = TextTokenizer(base.path / "tokenizer.json", base.max_length)
        self._known: dict[str, npt.NDArray[np.int64]] = {}

    def ids(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for text, tokens in zip(new, self._tokenizer.encode(new), strict=True):
            self._known[text] = tokens.ids
        return [self._known[text] for text in texts]

    def features(self, texts: Sequence[str], **_: Any) -> dict[str, torch.Tensor]:
        """What a batch's column becomes; the keywords are prompts, of which we have none."""
        ids, mask = pad(self.ids(texts))
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def _sentence_transformer(base: BaseModel, config: FineTuneConfig, texts: _Tokens) -> Any:
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    transformers.utils.logging.disable_progress_bar()
    transformer = Transformer(
        str(base.path),
        model_kwargs={"local_files_only": True, "trust_remote_code": False},
        config_kwargs={"local_files_only": True, "trust_remote_code": False},
        processor_kwargs={"local_files_only": True, "trust_remote_code": False},
    )
    # Loaded by our own rules: safetensors, and attention in the form that the export fuses.
    transformer.model = load_torch_encoder(base)
    free_layers(transformer.model, config)
    use_byte_dropout(transformer.model)
    if config.dropout is not None:
        set_dropout(transformer.model, config.dropout)
    width = int(transformer.model.config.hidden_size)
    modules = [transformer, Pooling(width, base.pooling)]
    if config.tune == "head":
        matrix = torch.eye(width)
        modules.append(
            Dense(
                width,
                width,
                bias=False,
                activation_function=torch.nn.Identity(),
                init_weight=matrix,
            )
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(modules=[*modules, Normalize()], device=device)
    model.preprocess = texts.features
    return model


class _EachColumn(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """A loss on columns that are embedded one by one: a query is short beside a passage, and padded
    to the same length it would cost as much."""

    def __init__(self, model: Any, loss: Any) -> None:
        super().__init__()
        self.model = model
        self.inner = loss

    def forward(self, features: Sequence[dict[str, Any]], labels: Any) -> torch.Tensor:
        embeddings = [self.model(column)["sentence_embedding"] for column in features]
        return self.inner.compute_loss_from_embeddings(embeddings, labels)


def _rows(
    pairs: Sequence[TextPair], objective: Objective, rng: np.random.Generator
) -> dict[str, list[Any]]:
    """The columns of the data set, in the order in which the loss reads them."""
    if objective == "listwise":
        lists = candidate_lists(pairs, _LIST_SIZE, rng)
        columns: dict[str, list[Any]] = {"query": [of.query for of in lists]}
        for place in range(max(len(of.texts) for of in lists)):
            columns[f"candidate {place}"] = [
                of.texts[place] if place < len(of.texts) else "" for of in lists
            ]
        size = len(columns) - 1
        columns["label"] = [
            [_padded(part, size) for part in (of.grades, of.log_frequency, of.numbers)]
            for of in lists
        ]
        return columns
    if objective != "graded":
        pairs = [pair for pair in pairs if pair.belongs]
    columns = {"query": [p.query for p in pairs], "text": [p.text for p in pairs]}
    if objective == "triplets":
        pairs = [pair for pair in pairs if pair.negative]
        columns = {"query": [p.query for p in pairs], "text": [p.text for p in pairs]}
        columns["negative"] = [p.negative for p in pairs]
    if objective == "graded":
        columns["label"] = [float(p.relevance or 0.0) for p in pairs]
    return columns


def _padded(values: Sequence[float], size: int) -> list[float]:
    return [*map(float, values), *[float("nan")] * (size - len(values))]


def _tune(
    model: Any,
    data: Mapping[str, list[Any]],
    objective: Objective,
    search: _Search,
    start: float,
    texts: _Tokens,
    config: FineTuneConfig,
    seed: int,
    options: RunOptions | None,
    progress: Progress,
) -> RunResult:
    from sentence_transformers import SentenceTransformerTrainer as Trainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.base.sampler import BatchSamplers

    # A text that stands twice in a batch would be its own wrong answer.
    distinct = objective in ("in_batch", "triplets")
    return run_sentence_trainer(
        Trainer,
        Arguments,
        model,
        data,
        loss=_EachColumn(model, _loss(model, objective)),
        layers=free_layers(model[0].model, config),
        score=lambda trainer: (
            _mean_reciprocal_rank(model, texts, search) if trainer.state.global_step else start
        ),
        metric=METRIC,
        config=config,
        seed=seed,
        options=options,
        progress=progress,
        judged=len(search.queries),
        batch_sampler=BatchSamplers.NO_DUPLICATES if distinct else BatchSamplers.BATCH_SAMPLER,
    )


def _loss(model: Any, objective: Objective) -> Any:
    from sentence_transformers.sentence_transformer import losses

    kinds = {"graded": losses.CoSENTLoss, "listwise": ListwiseLoss}
    return kinds.get(objective, losses.MultipleNegativesRankingLoss)(model)


def _mean_reciprocal_rank(model: Any, texts: _Tokens, search: _Search) -> float:
    return float(search.measure(lambda of: _embed(model, texts, of))["mrr@10"].mean())


def _embed(model: Any, texts: _Tokens, of: Sequence[str]) -> FloatArray:
    """Unit vectors (n, width) by the model as it stands."""
    was_training = model.training
    model.eval()
    sequences = texts.ids(of)
    rows: list[FloatArray] = [np.empty(0, np.float32)] * len(of)
    with torch.no_grad():
        for batch in batches_by_length([len(s) for s in sequences], 32):
            features = texts.features([of[row] for row in batch])
            features = {name: value.to(model.device) for name, value in features.items()}
            found = model(features)["sentence_embedding"].float().cpu().numpy()
            for place, row in enumerate(batch):
                rows[row] = found[place]
    model.train(was_training)
    return np.stack(rows)


def _with_matrix(model: Any) -> Any:
    """The encoder to export. A learnt matrix is applied to each token: pooling is linear."""
    from sentence_transformers.base.modules import Dense

    encoder = model[0].model
    matrices = [module.linear for module in model if isinstance(module, Dense)]
    if not matrices:
        return encoder

    class Projected(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.matrix = matrices[0]
            self.config = encoder.config

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            output.last_hidden_state = self.matrix(output.last_hidden_state)
            return output

    return Projected().eval()
