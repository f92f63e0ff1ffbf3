"""`trefoil report` and `trefoil compare`: how good is a model, and is another one better?

Both load any artefact that holds a classifier, whichever service trained it, and judge it as it is
served: the exported encoder in the precision that was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.commands import existing_file, new_file, progress, write_json

if TYPE_CHECKING:
    from core.artifacts import Manifest
    from core.data.records import LabeledText
    from core.evaluation.comparison import Comparison
    from core.evaluation.judged import Judged
    from core.evaluation.mistakes import Examples
    from core.inference.classifier import TextClassifier

_BATCH = 64
_SHOWN = 10
_ROWS_HELP = "CSV, JSONL, YAML or Parquet with text and the head's label."
_folder = click.Path(path_type=Path, exists=True, file_okay=False)
_head_option = click.option(
    "--head", help="Which label is judged: intent, sentiment, topic (default: the model's first)."
)


@click.command(
    "report",
    help="Write one HTML page that says how good a model is, and JSON beside it. Example: "
    "trefoil report --model model --data test.csv --output report.html --train train.csv",
)
@click.option("--model", type=_folder, required=True, help="An artefact folder.")
@existing_file("--data", help=f"{_ROWS_HELP} `oos` marks rows that are out of scope.")
@new_file("--output", help="The HTML file to write.")
@existing_file(
    "--train", required=False, help="The rows it was trained on, to show those nearest to mistakes."
)
@new_file("--json", "json_path", required=False, help="Default: beside the HTML file.")
@_head_option
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
def report(
    model: Path,
    data: Path,
    output: Path,
    train: Path | None,
    json_path: Path | None,
    head: str | None,
    seed: int,
) -> None:
    from core.evaluation.report import build_report, render
    from core.files import written_whole

    json_path = output.with_suffix(".json") if json_path is None else json_path
    if json_path.absolute() == output.absolute():
        raise click.UsageError("--output and --json name one file: end --output with .html")
    manifest, classifier = _load(model)
    chosen = _head_of(classifier, head)
    judged = _judge(manifest, classifier, chosen, _rows(data, chosen))
    training = None if train is None else _examples(manifest, classifier, chosen, train)
    made = build_report(
        judged,
        model=_model_facts(manifest, model, chosen),
        data={"file": data.name, "sha256": _sha256(data), "head": chosen},
        training=training,
        seed=seed,
    )
    page = render(made, title=f"{model.name}: {chosen}")
    write_json(json_path, _without_nan(made.figures))
    with written_whole(output) as file:
        file.write(page)
    for sentence in made.figures["headline"]:
        click.echo(sentence)
    click.echo(f"{output} and {json_path}")


@click.command(
    "compare",
    help="Is the second model better than the first, on the same rows? Example: "
    "trefoil compare --model live --model candidate --data test.csv",
)
@click.option(
    "--model", "models", type=_folder, multiple=True, required=True, help="Two, in this order."
)
@existing_file("--data", help=_ROWS_HELP)
@new_file("--json", "json_path", required=False, help="Where the figures go.")
@_head_option
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
def compare(
    models: tuple[Path, ...], data: Path, json_path: Path | None, head: str | None, seed: int
) -> None:
    if len(models) != 2:
        raise click.UsageError(f"give --model twice, the second is judged; given: {len(models)}")
    loaded = [_load(folder) for folder in models]
    chosen = _head_of(loaded[0][1], head)
    for _, classifier in loaded:
        _head_of(classifier, chosen)
    rows = _rows(data, chosen)
    judged = [_judge(manifest, classifier, chosen, rows) for manifest, classifier in loaded]
    # In-scope rows alone, as in the report.
    inside = judged[0].inside
    first, second = (each.take(inside) for each in judged)
    result = _compared(first, second, seed)
    names = [str(folder) for folder in models]
    for line in _compare_lines(result, names, first.texts):
        click.echo(line)
    if json_path is not None:
        facts = [_model_facts(loaded[i][0], models[i], chosen) for i in range(2)]
        write_json(json_path, _without_nan(_compare_json(result, facts, first, data)))


def _load(folder: Path) -> tuple[Manifest, TextClassifier]:
    """The artefact's manifest and classifier, every file checked."""
    from core.artifacts import verified_beside
    from core.errors import ArtifactCorrupt, ArtifactError
    from core.inference.classifier import TextClassifier

    with verified_beside(folder) as manifest:
        settings = manifest.settings.get("classifier")
        if settings is None:
            raise ArtifactError(
                f"{str(folder)!r} holds a {manifest.kind} model, which labels no texts",
                mend="Give a model of customer-service or finance-sentiment.",
            )
        try:
            return manifest, TextClassifier.load(folder, settings)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactCorrupt(
                f"the manifest of {str(folder)!r} lacks {error}", mend="Train it again."
            ) from error


def _head_of(classifier: TextClassifier, asked: str | None) -> str:
    heads = tuple(classifier.heads)
    if asked is not None and asked not in heads:
        raise click.UsageError(f"the model has no head {asked!r}; it has {', '.join(heads)}")
    return heads[0] if asked is None else asked


def _rows(path: Path, head: str) -> list[LabeledText]:
    """Rows of `text` and the head's column, whatever the head is called."""
    from core.data.fields import text_field
    from core.data.readers import iterate_table
    from core.data.records import LabeledText

    return [
        LabeledText(
            text_field(path, row, "text"), {head: text_field(path, row, head)}, row.line, {}
        )
        for row in iterate_table(path, ["text", head])
    ]


def _as_served(manifest: Manifest, texts: Sequence[str]) -> list[str]:
    """The texts as the service hands them to the model."""
    from core.text import normalize

    return [normalize(t) for t in texts] if manifest.kind == "customer_service" else list(texts)


def _judge(
    manifest: Manifest, classifier: TextClassifier, head: str, rows: Sequence[LabeledText]
) -> Judged:
    import numpy as np

    from core.evaluation.judged import Judged

    texts = _as_served(manifest, [row.text for row in rows])
    parts = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
    found = [classifier.predict(p) for p in progress().bar(parts, len(parts), "judging")]
    first = next(iter(classifier.heads))
    return Judged(
        texts=[row.text for row in rows],
        truth=[row.labels[head] for row in rows],
        classes=classifier.heads[head].labels,
        probabilities=np.concatenate([f.heads[head].probabilities for f in found]),
        # The out-of-scope score is that of the first head.
        in_scope=np.concatenate([f.in_scope for f in found]) if head == first else None,
        embeddings=np.concatenate([f.encoded.embeddings for f in found]),
        logits=np.concatenate([f.heads[head].logits for f in found]),
        readable=np.concatenate([f.encoded.readable for f in found]),
    )


def _examples(
    manifest: Manifest, classifier: TextClassifier, head: str, path: Path
) -> Examples | None:
    """The in-scope training rows with the model's embeddings; None where there are none."""
    import numpy as np

    from core.data.records import OUT_OF_SCOPE
    from core.evaluation.mistakes import Examples

    rows = [r for r in _rows(path, head) if r.labels[head].casefold() != OUT_OF_SCOPE]
    if not rows:
        return None
    texts = _as_served(manifest, [row.text for row in rows])
    parts = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
    bar = progress().bar(parts, len(parts), "reading training rows")
    encoded = [classifier.encoder.encode_tokens(classifier.tokenize(part)) for part in bar]
    return Examples(
        [row.text for row in rows],
        [row.labels[head] for row in rows],
        np.concatenate([part.embeddings for part in encoded]),
        np.concatenate([part.readable for part in encoded]),
    )


def _model_facts(manifest: Manifest, folder: Path, head: str) -> dict[str, Any]:
    settings = manifest.settings["classifier"]
    held_out = manifest.metrics.get(head, {})
    return {
        "folder": str(folder),
        "kind": manifest.kind,
        "version": manifest.identity,
        "created_at": manifest.created_at,
        "base_model": manifest.base_model,
        "base_revision": manifest.base_revision,
        "preset": settings.get("preset"),
        "precision": settings.get("precision", {}).get("chosen"),
        "seed": settings.get("seed"),
        "held_out_accuracy": held_out.get("accuracy"),
        "training_data_sha256": manifest.data_sha256,
        "libraries": dict(manifest.libraries),
    }


def _sha256(path: Path) -> str:
    from core.files import sha256_of

    return sha256_of(path)


def _compared(first: Judged, second: Judged, seed: int) -> Comparison:
    import numpy as np

    from core.errors import InvalidInput
    from core.evaluation import comparison
    from core.evaluation.judged import Coded

    if not first.texts:
        raise InvalidInput("every row is out of scope", mend="Add rows with a label.")
    one, other = Coded(first), Coded(second)

    def pair(name: str) -> tuple[comparison.Metric, comparison.Metric]:
        # What is better when smaller is turned round, so that more is always better.
        sign = -1.0 if name in ("ece", "brier") else 1.0
        return (lambda r: sign * one.metric(name, r), lambda r: sign * other.metric(name, r))

    return comparison.compare(
        first.truth,
        first.predicted,
        second.predicted,
        {name: pair(name) for name in ("accuracy", "macro_f1", "weighted_f1", "ece", "brier")},
        np.random.default_rng(seed),
        resamples=400,
    )


def _compare_lines(result: Comparison, names: Sequence[str], texts: Sequence[str]) -> list[str]:
    lines = [result.sentence(*names)]
    for name, d in result.differences.items():
        lines.append(
            f"{name}: {abs(d.first):.3f} → {abs(d.second):.3f}, "
            f"better by {d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f}): {d.verdict}"
        )
    lines.append(f"{len(result.rows)} rows get another label")
    for row in result.rows[:_SHOWN]:
        text = texts[row.row] if len(texts[row.row]) <= 70 else f"{texts[row.row][:69]}…"
        lines.append(f"  {text!r}: true {row.truth}, first {row.first}, second {row.second}")
    return lines


def _compare_json(
    result: Comparison, facts: Sequence[Mapping[str, Any]], first: Judged, data: Path
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "verdict": result.verdict,
        "first": facts[0],
        "second": facts[1],
        "data": {"file": data.name, "sha256": _sha256(data), "in_scope_rows": len(first.texts)},
        "mcnemar": asdict(result.test),
        "metrics": {
            name: {
                "first": abs(d.first),
                "second": abs(d.second),
                "better_by": d.difference,
                "better_by_ci": [d.low, d.high],
                "verdict": d.verdict,
            }
            for name, d in result.differences.items()
        },
        "rows": [asdict(row) | {"text": first.texts[row.row]} for row in result.rows],
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: what cannot be computed is null."""
    if isinstance(value, Mapping):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
