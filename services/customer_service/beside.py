"""Which models of their own stand beside the intent classifier in one artefact?

    search_encoder/   searches articles: one that was tuned on the company's questions, or beside a
                      tuned classifier the untuned one
    tagger/           finds the values of slots of kind `learned`

Both come from artefacts of `trefoil tune`, or from an earlier model of this service.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.artifacts import verify
from core.errors import InvalidInput
from core.inference.encoder import EncoderConfig
from core.inference.export import export_base_encoder
from core.inference.token_classifier import KIND as TOKEN_CLASSIFIER
from services.customer_service.understanding import KIND, SEARCH_FOLDER, TAGGER_FOLDER

# What `core.training.biencoder` writes; naming it there would import torch for `--help`.
BI_ENCODER: Final = "bi_encoder"
# The manifest's word that the search encoder was tuned for it.
TUNED: Final = "search_tuned"


def add_models(
    folder: Path, base_model: str, *, tuned: bool, search_model: Path | None, tagger: Path | None
) -> None:
    """Put them into the artefact at `folder`; `tuned`: the classifier's encoder was.

    ArtifactError for an artefact of another kind, InvalidInput for a model that has none.
    """
    if tagger is not None:
        _take(tagger, TOKEN_CLASSIFIER, "", folder, TAGGER_FOLDER)
    if search_model is not None:
        _take(search_model, BI_ENCODER, "encoder", folder, SEARCH_FOLDER)
    elif tuned:
        # It is better at search; not the same twice.
        untuned = export_base_encoder(folder / SEARCH_FOLDER, base_model)
        if untuned.encoder_id == EncoderConfig.load(folder / "encoder").encoder_id:
            shutil.rmtree(folder / SEARCH_FOLDER)


def taken_from(model: Path, settings: Mapping[str, Any]) -> list[str]:
    """The options of `train` that give the next model what this one has; `settings` of its
    manifest."""
    options = ["--tagger", str(model)] if (model / TAGGER_FOLDER).is_dir() else []
    return options + (["--search-model", str(model)] if settings.get(TUNED) else [])


def _take(source: Path, kind: str, part: str, folder: Path, place: str) -> None:
    if verify(source).kind != KIND:
        verify(source, kind=kind)
    else:
        part = place
    if not (source / part).is_dir():
        raise InvalidInput(f"the model in {str(source)!r} has no {place}")
    shutil.copytree(source / part, folder / place)
