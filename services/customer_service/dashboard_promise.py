"""What does the live model promise about wrong answers, and what would another promise cost?

The held-out rows that its threshold was fitted on lie in its artefact (promise.py), so each other
promise can be worked out exactly: the threshold that the model would get, how much it would answer,
and how much of that would be wrong. One that is chosen becomes a new version of the same model.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from core.artifacts import Manifest, Registry, Version, read_manifest
from core.errors import Conflict, InvalidInput, NotFound
from core.inference.slot import ModelSlot
from services.customer_service.promise import load_rows, restate
from services.customer_service.risk import fit_decision
from services.customer_service.understanding import IntentModel

_log = logging.getLogger(__name__)

# From strict to loose, closer together where people choose.
CHOICES: Final = (
    *(n / 1000 for n in range(5, 30, 5)),
    *(n / 100 for n in range(3, 16)),
    0.175,
    0.2,
    0.25,
    0.3,
)


class Promises:
    """All calls may block; the choices of a model are worked out once, in about a second."""

    def __init__(self, registry: Registry, models: ModelSlot[IntentModel]) -> None:
        self._registry, self._models = registry, models
        self._lock = threading.Lock()
        self._known: tuple[str, list[dict[str, Any]]] = ("", [])

    def read(self) -> dict[str, Any]:
        """What the live model promises, its risk-coverage curve, and the choices, strictest first;
        NotFound where no model is live."""
        version, manifest = self._live()
        said = manifest.settings["decision"]
        return {
            "version": manifest.identity,
            "number": version.number,
            **{key: said[key] for key in ("risk", "oos_share", "promised", "note", "threshold")},
            "held_out_rows": said["held_out_rows"],
            "held_out_oos_rows": said["held_out_oos_rows"],
            "at_threshold": said["at_threshold"],
            "curve": said["risk_coverage"],
            "choices": self._choices(version, manifest),
        }

    def keep(self, risk: float, version: str) -> None:
        """Make the live model one that keeps another promise, as its next version. Conflict where
        `version` is not live any more: somebody saw the cost of another model."""
        live, manifest = self._live()
        if manifest.identity != version:
            raise Conflict(
                "another model went live meanwhile", mend="Look at what it would cost there."
            )
        said = manifest.settings["decision"]
        with tempfile.TemporaryDirectory(prefix=".promise-", dir=self._registry.root) as folder:
            output = Path(folder) / "model"
            restate(live.path, output, risk=risk, oos_share=said["oos_share"])
            made = self._registry.promote(output)
        self._models.refresh()
        _log.info("another promise", extra={"risk": risk, "version": made.number})

    def _live(self) -> tuple[Version, Manifest]:
        version = self._registry.active()
        if version is None:
            raise NotFound("no model is live", mend="Run: trefoil models promote MODEL")
        return version, read_manifest(version.path)

    def _choices(self, version: Version, manifest: Manifest) -> list[dict[str, Any]]:
        with self._lock:
            identity, known = self._known
            if identity != manifest.identity:
                known = _worked_out(version.path, manifest.settings["decision"])
                self._known = (manifest.identity, known)
        return known


def _worked_out(folder: Path, said: dict[str, Any]) -> list[dict[str, Any]]:
    """Nothing for a model that keeps no rows."""
    try:
        rows = load_rows(folder)
    except InvalidInput:
        return []
    found = []
    for risk in sorted({*CHOICES, float(said["risk"])}):
        fitted = fit_decision(*rows, risk=risk, oos_share=said["oos_share"])
        point = None if fitted.point is None else asdict(fitted.point)
        found.append({"risk": risk, "promised": fitted.promised, "point": point})
    return found
