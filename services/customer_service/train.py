"""How does a file of questions become a model that knows when to answer?

every row       loses its personal data first, as every message will when the model is served
in-scope rows   train the intent classifier; held out in turn, they show how often it is right
`oos` rows      are never a class: the trained classifier reads them, and they help to set the
                threshold
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.readers import check_labels, read_intents
from core.data.records import OUT_OF_SCOPE, LabeledText
from core.errors import DataError, InvalidInput
from core.inference.classifier import TextClassifier, save_reference
from core.inference.encoder import UNKNOWN_LIMIT, Encoded, TextEncoder
from core.inference.neighbours import MAX_REFERENCE
from core.inference.open_set import OpenSet
from core.models import BUNDLED
from core.privacy import for_training
from core.progress import SILENT, Progress
from core.text import for_model, normalize
from core.training.classifier import Preset, TrainedClassifier, train_classifier
from services.customer_service import nearness
from services.customer_service.beside import TUNED, add_models
from services.customer_service.promise import save_rows
from services.customer_service.risk import (
    DEFAULT_OOS_SHARE,
    DEFAULT_RISK,
    FittedDecision,
    HeldOut,
    fit_decision,
)
from services.customer_service.rule import Floats, Signals
from services.customer_service.understanding import (
    HEAD,
    KIND,
    OUT_OF_SCOPE_FILE,
    REDACTED,
    SEARCH_FOLDER,
    FloatArray,
    nearest_out_of_scope,
    signals_of,
)


def train(
    data: Path,
    output: Path,
    *,
    preset: Preset = "fast",
    base_model: str = BUNDLED,
    seed: int = 0,
    risk: float = DEFAULT_RISK,
    oos_share: float = DEFAULT_OOS_SHARE,
    keep_personal_data: bool = False,
    tuning: Mapping[str, Any] | None = None,
    search_model: Path | None = None,
    tagger: Path | None = None,
    threads: int = 2,
    progress: Progress = SILENT,
) -> Manifest:
    """Read `data`, train, and write one artefact at `output`. Returns its manifest.

    `tuning`: `config`, `options` and `extra` of `train_classifier`, each with a default.
    `search_model`: what `trefoil tune pairs` wrote; articles are searched with its encoder.
    `tagger`: what `trefoil tune tokens` wrote; it finds the values of slots of kind `learned`.
    Each may be an earlier model of this service too, whose own is taken over.

    Texts are redacted first, unless `keep_personal_data`.

    Raises DataError for a bad file, ModelError for an unusable base model, InvalidInput for a
    `risk` outside (0, 1) or an `oos_share` outside [0, 1).
    """
    _check(risk, oos_share)
    inside, outside = read_training_rows(data, progress, keep_personal_data=keep_personal_data)
    with write_artifact(output) as draft:
        trained = train_classifier(
            inside,
            (HEAD,),
            folder=draft.path,
            base_model=base_model,
            preset=preset,
            seed=seed,
            threads=threads,
            progress=progress,
            **(tuning or {}),
        )
        tuned = preset == "accurate"
        add_models(draft.path, base_model, tuned=tuned, search_model=search_model, tagger=tagger)
        decision = _fit_decision(draft.path, trained, inside, outside, risk, oos_share, threads)
        progress.say("measuring from how near on a taught example may speak for a message")
        _save_nearness(draft.path, trained, inside, outside, seed, threads)
        said = {REDACTED: not keep_personal_data, TUNED: search_model is not None}
        draft.manifest = manifest = _manifest(trained, outside, decision, said)
    return manifest


def _manifest(
    trained: TrainedClassifier,
    outside: Sequence[LabeledText],
    decision: FittedDecision,
    said: Mapping[str, Any],
) -> Manifest:
    return Manifest(
        kind=KIND,
        created_at=now_iso(),
        base_model=trained.base.reference,
        base_revision=trained.base.revision,
        data_sha256=_fingerprint(trained, outside),
        metrics=trained.metrics,
        settings={
            "classifier": trained.settings,
            "decision": decision.settings(trained.settings["heads"][HEAD]["labels"]),
            **said,
        },
    )


def read_training_rows(
    path: Path, progress: Progress = SILENT, *, keep_personal_data: bool = False
) -> tuple[list[LabeledText], list[LabeledText]]:
    """(in-scope rows, out-of-scope rows), texts normalised and, unless `keep_personal_data`,
    redacted as they will be when served."""
    rows = [
        LabeledText(normalize(row.text), row.labels, row.line, row.extra)
        for row in read_intents(path)
    ]
    rows = for_training(rows, keep=keep_personal_data, progress=progress)
    inside = [row for row in rows if not is_out_of_scope(row)]
    outside = [row for row in rows if is_out_of_scope(row)]
    if not inside:
        raise DataError("every row is out of scope", path, mend="Add rows with an intent.")
    report = check_labels(inside, HEAD, path)
    for conflict in report.conflicts[:5]:
        lines = " and ".join(str(line) for line in conflict.lines)
        progress.say(f"note: lines {lines} hold one question with two intents, {conflict.labels}")
    return inside, outside


def is_out_of_scope(row: LabeledText) -> bool:
    """Whether the row's intent is the mark of a question that no intent answers."""
    return row.labels[HEAD].casefold() == OUT_OF_SCOPE


def _fit_decision(
    folder: Path,
    trained: TrainedClassifier,
    inside: Sequence[LabeledText],
    outside: Sequence[LabeledText],
    risk: float,
    oos_share: float,
    threads: int,
) -> FittedDecision:
    """Held-out in-scope rows as folds judged them; out-of-scope rows as the exported model does."""
    classifier = TextClassifier.load(folder, trained.settings, threads=threads)
    held_out = trained.held_out[HEAD]
    unseen = classifier.predict([row.text for row in outside]) if outside else None
    known = np.empty((0, classifier.encoder.dimensions), dtype=np.float32)
    if unseen is not None and unseen.encoded.readable.any():
        known = unseen.encoded.embeddings[unseen.encoded.readable]
        save_reference(folder / OUT_OF_SCOPE_FILE, known)
    # Embeddings are the same whoever judges them; probabilities and in-scope score are those of a
    # model that was not trained on the rows.
    seen = classifier.predict([inside[row].text for row in held_out.rows])
    seen = replace(seen, in_scope=held_out.in_scope)
    nearest = nearest_out_of_scope(seen.encoded, known)
    in_scope = _judged(
        signals_of(held_out.probabilities, seen, nearest), held_out.probabilities, held_out.labels
    )
    out_of_scope = None
    if unseen is not None:
        probabilities = unseen.heads[HEAD].probabilities
        signals = signals_of(probabilities, unseen, _nearest_other(unseen.encoded))
        out_of_scope = _judged(signals, probabilities, np.full(len(outside), -1))
    save_rows(folder, in_scope, out_of_scope)
    return fit_decision(in_scope, out_of_scope, risk=risk, oos_share=oos_share)


def _save_nearness(
    folder: Path,
    trained: TrainedClassifier,
    inside: Sequence[LabeledText],
    outside: Sequence[LabeledText],
    seed: int,
    threads: int,
) -> None:
    """By the encoder that no label has touched; not where that can read none of the questions."""
    own = folder / SEARCH_FOLDER
    searcher = TextEncoder.load(own if own.is_dir() else folder / "encoder", threads=threads)
    number = {name: n for n, name in enumerate(trained.settings["heads"][HEAD]["labels"])}
    labels = np.array(
        [number[row.labels[HEAD]] for row in inside] + [nearness.OUTSIDE] * len(outside),
        dtype=np.int32,
    )
    tokens = searcher.tokenize([for_model(row.text) for row in (*inside, *outside)])
    readable = np.array([t.unknown_share <= UNKNOWN_LIMIT for t in tokens], dtype=bool)
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(readable)
    if len(kept) > MAX_REFERENCE:
        kept = np.sort(rng.choice(kept, MAX_REFERENCE, replace=False))
    if len(np.unique(labels[kept])) < 2:
        return
    known = (
        None if own.is_dir() else _read_before(folder, trained, int(readable[: len(inside)].sum()))
    )
    if known is None or len(kept) < readable.sum():
        embeddings = searcher.encode_tokens([tokens[row] for row in kept]).embeddings
    else:
        more = [tokens[row] for row in kept if row >= len(inside)]
        parts = [known, searcher.encode_tokens(more).embeddings] if more else [known]
        embeddings = np.concatenate(parts)
    nearness.save(nearness.measure(embeddings, labels[kept], rng), folder)


def _read_before(folder: Path, trained: TrainedClassifier, readable: int) -> FloatArray | None:
    """What the classifier's encoder said of the in-scope rows it can read, in their order; None
    where that was not kept of all of them, or in another precision than the served one."""
    if trained.settings["precision"]["chosen"] != "fp32":
        return None
    reference = OpenSet.load(
        folder / "open_set.safetensors", trained.settings["open_set"]
    ).model.reference
    names = len(trained.settings["heads"][HEAD]["labels"]) if trained.settings["label_names"] else 0
    whole = 0 <= len(reference) - readable <= names and len(reference) < MAX_REFERENCE
    return reference[:readable] if whole and readable else None


def _nearest_other(encoded: Encoded) -> Floats:
    """(n,) as `nearest_out_of_scope`, of the known rows themselves: none meets itself."""
    nearest = np.zeros(len(encoded.embeddings))
    readable = np.flatnonzero(encoded.readable)
    if len(readable) > 1:
        cosine = encoded.embeddings[readable] @ encoded.embeddings[readable].T
        np.fill_diagonal(cosine, -1.0)
        nearest[readable] = cosine.max(axis=1)
    return nearest


def _judged(
    signals: Signals, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.intp]
) -> HeldOut:
    """`labels` (n,) are class numbers, −1 for out of scope."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return HeldOut(signals, order[:, 0] == labels, (order == labels[:, None]).any(axis=1))


def _fingerprint(trained: TrainedClassifier, outside: Sequence[LabeledText]) -> str:
    """Of all rows: the classifier's own digest covers the in-scope ones."""
    digest = hashlib.sha256(trained.data_sha256.encode())
    for row in outside:
        digest.update(row.text.encode("utf-8", "replace") + b"\x1e")
    return digest.hexdigest()


def _check(risk: float, oos_share: float) -> None:
    """Said before minutes of training, not after."""
    if not 0 < risk < 1:
        raise InvalidInput(f"--risk must be between 0 and 1 (exclusive), was: {risk}")
    if not 0 <= oos_share < 1:
        raise InvalidInput(f"--oos-share must be in [0, 1), was: {oos_share}")


def summary(manifest: Manifest) -> list[str]:
    """What a person wants to read when training is done."""
    metrics: dict[str, Any] = manifest.metrics[HEAD]
    decision = manifest.settings["decision"]
    low, high = metrics["accuracy_ci"]
    muddled = [name for name, trust in decision["trust"].items() if trust == 0]
    lines = [
        f"held-out accuracy {metrics['accuracy']:.3f} ({low:.3f} to {high:.3f}) "
        f"on {metrics['rows']} questions",
        f"threshold {decision['threshold']:.3f}: {decision['note']}",
    ]
    if muddled:
        lines.append(
            f"wrong too often to be answered without a question back: {', '.join(muddled)}. Look "
            "at their rows: labels may be mixed up, or two intents mean the same"
        )
    return lines
