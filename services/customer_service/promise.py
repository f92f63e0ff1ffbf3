"""How does a trained model keep another promise, without new training?

The held-out rows that its threshold was fitted on lie in the artefact. With another risk, or with
another share of questions out of scope, the same rows give another threshold: a new artefact of the
same model, whose risk-coverage curve shows what that costs.

The share can be read from the service's own log: how many messages look out of scope, corrected
for how often the held-out rows of either kind look so ("adjusted count", Forman 2008, "Quantifying
counts and costs via classification").
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from core.artifacts import MANIFEST, Manifest, now_iso, verified_beside, write_artifact
from core.errors import InvalidInput
from services.customer_service.risk import FittedDecision, HeldOut, fit_decision
from services.customer_service.rule import Floats, Signals
from services.customer_service.understanding import HEAD, KIND, IntentModel

ROWS_FILE: Final = "decision_rows.safetensors"
# Fewer messages say too little of a share.
LEAST_MESSAGES: Final = 200
# What a log may claim: beyond it hardly anything would be answered, whatever the threshold.
LARGEST_SHARE: Final = 0.95
_FIELDS: Final = (
    "intent",
    "probability",
    "pair_probability",
    "in_scope",
    "readable",
    "nearest_oos",
)


def save_rows(folder: Path, in_scope: HeldOut, out_of_scope: HeldOut | None) -> None:
    """Keep what `fit_decision` is given beside the model."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, rows in (("in", in_scope), ("out", out_of_scope)):
        if rows is not None:
            of = {field: getattr(rows.signals, field) for field in _FIELDS}
            of |= {"right": rows.right, "pair_right": rows.pair_right}
            # The format writes memory as it lies: a column of a table would be another one there.
            tensors |= {
                f"{name}.{field}": np.ascontiguousarray(value, dtype=np.float64)
                for field, value in of.items()
            }
    save_file(tensors, str(folder / ROWS_FILE))


def load_rows(folder: Path) -> tuple[HeldOut, HeldOut | None]:
    """(in-scope rows, out-of-scope rows); InvalidInput for a model that does not keep them."""
    path = folder / ROWS_FILE
    tensors = load_file(str(path)) if path.is_file() else {}
    if "in.intent" not in tensors:  # or the rows of a model that was trained before they were kept
        raise InvalidInput(
            f"the model in {str(folder)!r} keeps no held-out rows", mend="Train it again."
        )

    def rows(name: str) -> HeldOut:
        of = {field: tensors[f"{name}.{field}"] for field in (*_FIELDS, "right", "pair_right")}
        numbers = {name: of[name] for name in _FIELDS if name not in ("intent", "readable")}
        return HeldOut(
            Signals(intent=of["intent"].astype(np.int64), readable=of["readable"] > 0.5, **numbers),
            of["right"] > 0.5,
            of["pair_right"] > 0.5,
        )

    return rows("in"), rows("out") if "out.right" in tensors else None


def restate(model: Path, output: Path, *, risk: float, oos_share: float) -> FittedDecision:
    """Write the model with the threshold of another promise to `output`."""
    with verified_beside(model, kind=KIND) as manifest:
        decision = fit_decision(*load_rows(model), risk=risk, oos_share=oos_share)
        with write_artifact(output) as draft:
            shutil.copytree(
                model, draft.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST)
            )
            draft.manifest = _restated(manifest, decision)
    return decision


def _restated(manifest: Manifest, decision: FittedDecision) -> Manifest:
    labels = manifest.settings["classifier"]["heads"][HEAD]["labels"]
    settings = {**manifest.settings, "decision": decision.settings(labels)}
    return replace(manifest, created_at=now_iso(), settings=settings, files={})


def logged_share(folder: Path, messages: Sequence[str], *, threads: int = 2) -> float:
    """Share of `messages` that are out of scope, in [0, LARGEST_SHARE].

    InvalidInput for fewer than LEAST_MESSAGES, or for a model without out-of-scope rows to learn
    from what such a message looks like.
    """
    if len(messages) < LEAST_MESSAGES:
        raise InvalidInput(
            f"the log holds {len(messages)} messages, {LEAST_MESSAGES} are needed to estimate a "
            "share",
            mend="State it with --oos-share until there are more.",
        )
    in_scope, out_of_scope = load_rows(folder)
    model = IntentModel.load(folder, threads=threads)
    if out_of_scope is None:
        raise InvalidInput(
            "the model was trained without `oos` rows, so it cannot tell how many messages are "
            "like them",
            mend="Add some and train again, or state the share with --oos-share.",
        )
    seen = np.concatenate(
        [model.predict(messages[i : i + 256]).in_scope for i in range(0, len(messages), 256)]
    )
    kinds = in_scope.signals.in_scope, out_of_scope.signals.in_scope
    return adjusted_share(seen.astype(np.float64), *kinds)


def adjusted_share(seen: Floats, inside: Floats, outside: Floats) -> float:
    """Share of out-of-scope rows among `seen`, from the in-scope scores (higher is surer) of rows
    of either kind; the cut is where the two kinds differ most."""
    cuts = np.unique(np.concatenate([inside, outside]))
    hits, alarms = _below(outside, cuts), _below(inside, cuts)
    best = int(np.argmax(hits - alarms))
    difference = float(hits[best] - alarms[best])
    if difference <= 0:
        return 0.0
    flagged = float(_below(seen, cuts[best : best + 1])[0])
    return float(np.clip((flagged - alarms[best]) / difference, 0.0, LARGEST_SHARE))


def _below(scores: Floats, cuts: Floats) -> Floats:
    """(len(cuts),) share of `scores` at or below each cut."""
    return np.searchsorted(np.sort(scores), cuts, side="right") / len(scores)
