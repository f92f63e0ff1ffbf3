"""How does a base model learn to judge a query and a text read together?

sentence-transformers' CrossEncoderTrainer with its binary loss. What does not belong to a query is
given (a relevance of 0, a `negative`) or mined: what a search finds for the query although it does
not belong to it. The report compares the search's own order with the re-ranked one on held-out
queries. Training only: torch is imported here.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from core.artifacts import Manifest, read_manifest, write_artifact
from core.data.pairs import TextPair, all_texts, fingerprint, relevant_texts, split_by_query
from core.errors import DataError, InvalidInput, ModelError
from core.evaluation.intervals import paired_bootstrap
from core.evaluation.retrieval import Floats, metrics_at, with_intervals
from core.inference.export_graph import export_graph
from core.inference.onnx_graph import batches_by_length
from core.inference.reranker import KIND, PairTokenizer, Reranker, padded
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.retrieval.lexical import LexicalIndex
from core.training.config import FineTuneConfig
from core.training.dropout import set_dropout, use_byte_dropout
from core.training.loop import RunOptions, RunResult
from core.training.tuning import (
    SHARED_SETTINGS,
    free_layers,
    manifest_of,
    refuse_unused,
    run_sentence_trainer,
    tuning_settings,
)

Mine = Literal["bm25", "dense"]

METRIC = "MRR@10"
DEFAULTS = FineTuneConfig(epochs=2, batch_size=16, learning_rate=1e-4, max_tokens=192, keep="best")
_HELD_OUT = 0.1
_MAX_QUERIES = 200
# What a search finds is re-ranked this deep, and wrong texts are drawn from as many.
DEPTH = 20

Found = dict[str, list[str]]


def train_reranker(
    pairs: Sequence[TextPair],
    output: Path,
    *,
    negatives: int = 4,
    mine: Mine = "bm25",
    base_model: str = BUNDLED,
    config: FineTuneConfig = DEFAULTS,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Manifest:
    """Write a re-ranker to the folder `output`; `Reranker.load` reads it.

    `negatives`: wrong texts mined for each right one where none are given, from 1 up. Raises
    DataError where the queries are too few, ModelError where the base model cannot be used.
    """
    refuse_unused(config, DEFAULTS, SHARED_SETTINGS)
    if negatives < 1:
        raise InvalidInput(f"negatives must be at least 1, was: {negatives}")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    base = resolve_model(base_model)
    rng = np.random.default_rng(seed)
    train, held_out = split_by_query(pairs, _HELD_OUT, rng, at_most=_MAX_QUERIES)
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    progress.say(f"searching for {len(queries)} queries ({mine})")
    found = search(queries, all_texts(pairs), mine, base, threads)
    judged = _Judged(found, relevant_texts(held_out))
    rows = labelled_rows(train, found, negatives, rng)
    tokenizer = PairTokenizer(base.path / "tokenizer.json", min(config.max_tokens, base.max_length))
    model = _cross_encoder(base, config, tokenizer)
    result = _tune(model, rows, judged, tokenizer, config, seed, options, progress)
    with write_artifact(output) as draft:
        settings = _export(model, base, draft.path, config)
        served = Reranker.from_files(draft.path, settings, threads=threads)
        draft.manifest = manifest_of(
            KIND,
            base,
            fingerprint(pairs),
            metrics=judged.report(served, seed),
            settings={
                "reranker": settings,
                "negatives": negatives,
                "mine": mine,
                "tuning": tuning_settings(config, seed, result),
            },
        )
    return read_manifest(output)


# --- searching -----------------------------------------------------------------------------------


def search(
    queries: Sequence[str], texts: Sequence[str], mine: Mine, base: BaseModel, threads: int
) -> Found:
    """Query → the best texts that a search finds, at most DEPTH, best first."""
    if mine == "bm25":
        index = LexicalIndex()
        index.add([str(i) for i in range(len(texts))], texts)
        return {q: [texts[int(hit.id)] for hit in index.search(q, DEPTH)] for q in queries}
    from core.evaluation.ranking import top_k_items
    from core.inference.encoder import TextEncoder
    from core.inference.export import export_base_encoder

    with tempfile.TemporaryDirectory() as folder:
        export_base_encoder(Path(folder), base.reference)
        encoder = TextEncoder.load(Path(folder), threads=threads)
        vectors = encoder.encode(texts).embeddings
        asked = encoder.encode(queries).embeddings
    result: Found = {}
    for start in range(0, len(queries), 256):
        best = top_k_items(asked[start : start + 256] @ vectors.T, DEPTH)
        for query, row in zip(queries[start : start + 256], best.tolist(), strict=True):
            result[query] = [texts[i] for i in row if i >= 0]
    return result


def labelled_rows(
    pairs: Sequence[TextPair], found: Found, negatives: int, rng: np.random.Generator
) -> dict[str, list[Any]]:
    """Columns query, text and label (1.0 belongs, 0.0 does not).

    Queries that have wrong texts of their own get no mined ones.
    """
    right = relevant_texts(pairs)
    rows = {(pair.query, pair.text): float(pair.belongs) for pair in pairs}
    rows |= {(pair.query, pair.negative): 0.0 for pair in pairs if pair.negative}
    given = {query for (query, _), label in rows.items() if label == 0.0}
    for query, texts in right.items():
        others = [text for text in found.get(query, []) if text not in texts]
        if query not in given:
            count = min(len(others), negatives * len(texts))
            for i in rng.permutation(len(others))[:count].tolist():
                rows[query, others[i]] = 0.0
    if not any(label == 0.0 for label in rows.values()):
        raise DataError(
            "no wrong text was given or found for any query",
            mend="Add rows with relevance 0, a column `negative`, or more texts to search.",
        )
    return {
        "query": [query for query, _ in rows],
        "text": [text for _, text in rows],
        "label": list(rows.values()),
    }


class _Judged:
    """Held-out queries with what the search found for each, and which of it is right."""

    def __init__(self, found: Found, right: Mapping[str, set[str]]) -> None:
        self.lists = [(query, found[query], right[query]) for query in right]
        self.pairs = [(query, text) for query, texts, _ in self.lists for text in texts]

    def metrics(self, scores: Sequence[float] | None) -> dict[str, Floats]:
        """A figure a query, for the order of `scores` (one for each of `pairs`), or the search's.

        A right text that the search did not find cannot be ranked: rank 0.
        """
        ranks, start = [], 0
        for _, texts, right in self.lists:
            part = None if scores is None else np.asarray(scores[start : start + len(texts)])
            start += len(texts)
            order = range(len(texts)) if part is None else np.argsort(-part, kind="stable")
            place = {texts[i]: rank for rank, i in enumerate(order, start=1)}
            ranks.append([place.get(text, 0) for text in sorted(right)])
        return metrics_at(ranks)

    def report(self, served: Reranker, seed: int) -> dict[str, Any]:
        """Figures of the served model and of the search alone, and what was gained."""
        before = self.metrics(None)
        after = self.metrics(served.score(self.pairs).tolist())
        gain = paired_bootstrap(after["mrr@10"], before["mrr@10"], np.random.default_rng(seed))
        return {
            "queries": len(self.lists),
            **with_intervals(after, seed),
            "search": with_intervals(before, seed),
            "mrr@10_gain": gain.difference,
            "mrr@10_gain_ci": [gain.low, gain.high],
        }


# --- training ------------------------------------------------------------------------------------


def _cross_encoder(base: BaseModel, config: FineTuneConfig, tokenizer: PairTokenizer) -> Any:
    import transformers
    from sentence_transformers import CrossEncoder

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = CrossEncoder(
            str(base.path),
            num_labels=1,
            device="cuda" if torch.cuda.is_available() else "cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={**safe, "attn_implementation": "eager", "use_safetensors": True},
        )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"no cross-encoder can be made from {base.reference!r}: {error}",
            mend="Use an encoder of an architecture that transformers ships.",
        ) from error
    use_byte_dropout(model.model)
    if config.dropout is not None:
        set_dropout(model.model, config.dropout)

    def features(pairs: Sequence[tuple[str, str]], **_: Any) -> dict[str, torch.Tensor]:
        """Token ids as serving makes them; the keywords are prompts, of which we have none."""
        return _tensors(model, tokenizer, pairs)

    model.preprocess = features
    return model


def _tensors(
    model: Any, tokenizer: PairTokenizer, pairs: Sequence[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    inputs = padded(tokenizer.encode(pairs))
    names = [n for n in inputs if n != "token_type_ids" or _has_types(model)]
    return {name: torch.from_numpy(inputs[name]) for name in names}


def _has_types(model: Any) -> bool:
    return int(getattr(model.model.config, "type_vocab_size", 0) or 0) > 1


def _layers(model: Any, config: FineTuneConfig) -> list[Any]:
    """The layers that learn; pooler and score, which start at random, always do."""
    layers = free_layers(model.model, config)
    embeddings = {id(p) for p in model.model.base_model.embeddings.parameters()}
    inside = {id(p) for p in model.model.base_model.encoder.parameters()}
    for parameter in model.model.parameters():
        if id(parameter) not in embeddings | inside:
            parameter.requires_grad_(True)
    return layers


def _tune(
    model: Any,
    rows: Mapping[str, list[Any]],
    judged: _Judged,
    tokenizer: PairTokenizer,
    config: FineTuneConfig,
    seed: int,
    options: RunOptions | None,
    progress: Progress,
) -> RunResult:
    from sentence_transformers import CrossEncoderTrainer as Trainer
    from sentence_transformers import CrossEncoderTrainingArguments as Arguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    return run_sentence_trainer(
        Trainer,
        Arguments,
        model,
        rows,
        loss=BinaryCrossEntropyLoss(model),
        layers=_layers(model, config),
        score=lambda trainer: float(
            judged.metrics(_scores(model, tokenizer, judged.pairs))["mrr@10"].mean()
        ),
        metric=METRIC,
        config=config,
        seed=seed,
        options=options,
        progress=progress,
        judged=len(judged.lists),
    )


def _scores(model: Any, tokenizer: PairTokenizer, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Logits by the model as it stands."""
    was_training = model.training
    model.eval()
    lengths = [len(ids) for ids, _ in tokenizer.encode(pairs)]
    scores = np.empty(len(pairs))
    with torch.no_grad():
        for batch in batches_by_length(lengths, 32):
            features = _tensors(model, tokenizer, [pairs[row] for row in batch])
            features = {name: value.to(model.device) for name, value in features.items()}
            scores[batch] = model.model(**features).logits[:, 0].float().cpu().numpy()
    model.train(was_training)
    return scores.tolist()


def _export(model: Any, base: BaseModel, folder: Path, config: FineTuneConfig) -> dict[str, Any]:
    """Write `model.onnx` and `tokenizer.json`; what serving needs to know of them."""
    inner = model.model.cpu().eval()

    class Score(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any, *types: Any) -> torch.Tensor:
            given = {"token_type_ids": types[0]} if types else {}
            output = self.inner(input_ids=input_ids, attention_mask=attention_mask, **given)
            return torch.sigmoid(output.logits[:, 0])

    export_graph(
        Score(),
        inner.config,
        folder / "model.onnx",
        output="scores",
        output_axes={0: "rows"},
        token_types=_has_types(model),
    )
    shutil.copyfile(base.path / "tokenizer.json", folder / "tokenizer.json")
    return {"max_length": min(config.max_tokens, base.max_length)}
