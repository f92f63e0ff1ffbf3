"""When does the model learn what people corrected, and does the new one earn the live one's place?

Enough accepted corrections → train (services/trainee.py) → judge (promotion.py) → go live, or not

One worker at a time does it (a lease). The training is `trefoil finance-sentiment train` on the
base training data and all accepted corrections, with the options of the live model, in a niced
process of its own: torch stays there.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Manifest, Registry, Version, read_manifest
from core.errors import PromotionRefused, SettingsError, TrefoilError
from core.schedule import Exclusive
from services.finance_sentiment.corrections import taught
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.labels import REDACTED
from services.finance_sentiment.lessons import Taught, read_learned, write_taught
from services.finance_sentiment.promotion import Verdict, judge
from services.finance_sentiment.retraining_store import (
    Outcome,
    begin,
    finish,
    forget,
    is_due,
    last_start,
    waiting,
)
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import leases
from services.trainee import Training, options_of, until_done

logger = logging.getLogger("trefoil.finance_sentiment")

LEASE: Final = "retrain"
# Beside the registry's versions: the last candidate that was refused, for a person to look at.
FOLDER: Final = "candidates"


@dataclass(frozen=True)
class _Task:
    """One training: its number in the table, what it starts from, and where it works."""

    number: int
    live: Version
    manifest: Manifest
    said: list[Taught]
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def arguments(self, data: Path) -> list[str]:
        """Write what the command reads; the command."""
        corrections = self.folder / "corrections.jsonl"
        write_taught(corrections, self.said)
        redacted = bool(self.manifest.settings.get(REDACTED, False))
        return [
            *("finance-sentiment", "train", "--data", str(data), "--output", str(self.model)),
            *("--corrections-from", str(corrections)),
            *options_of(self.manifest, redacted=redacted, config=self.folder / "tuning.json"),
        ]


class Retrainer:
    """`owner` names this worker in the leases; `stop` ends a training that runs. SettingsError:
    trainings are asked for, and nobody says on which data."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        *,
        owner: str,
        now: Callable[[], datetime],
        stop: Event,
    ) -> None:
        if settings.retrain_after and settings.retrain_data is None:
            raise SettingsError(
                "RETRAIN_AFTER is set, but not RETRAIN_DATA",
                mend="Set RETRAIN_DATA to the file that the live model was trained on.",
            )
        self._settings, self._sessions, self._now, self._stop = settings, sessions, now, stop
        self._registry = Registry(settings.models_dir, KIND)
        self._alone = Exclusive(sessions, leases, owner, now, stop)
        self._said_waiting = 0

    def check(self) -> bool:
        """Train and judge if it is time; whether that was so."""
        if not self._is_due():
            return False
        done: list[Outcome] = []
        steps = self._steps(done)
        try:
            self._alone.repeat(LEASE, lambda: next(steps, 0))
        finally:
            steps.close()  # ends the training, if another worker took over or this one stops
        return bool(done)

    def _is_due(self) -> bool:
        live = self._registry.active()
        if live is None:
            return False
        learned = read_learned(live.path)
        with self._sessions() as session:
            said, last = taught(session), last_start(session)
        wait = len(waiting(said, learned))
        if wait != self._said_waiting:
            after = self._settings.retrain_after
            logger.info("corrections wait for a training", extra={"waiting": wait, "after": after})
            self._said_waiting = wait
        return is_due(said, learned, last, self._settings.retrain_after)

    def _steps(self, done: list[Outcome]) -> Generator[int, None, None]:
        live = self._registry.active()
        # Asked again under the lease: another worker may just have done it.
        if live is None or not self._is_due():
            return
        manifest = read_manifest(live.path)
        with self._sessions.begin() as session:
            said = taught(session)
            number = begin(session, manifest.identity, len(said), self._now())
        place = self._settings.models_dir / FOLDER
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".training-", dir=place) as folder:
            task = _Task(number, live, manifest, said, Path(folder))
            try:
                yield from self._train(task)
                yield 1  # the lease is new when judging begins
                verdict = judge(live, task.model, said, threads=self._settings.threads)
                done.append(self._settle(task, verdict))
            except GeneratorExit:
                with self._sessions.begin() as session:
                    forget(session, number)
                raise
            except TrefoilError as error:
                done.append(self._failed(task, str(error)))
            except Exception as error:
                # Unforeseen, and kept like the rest: unkept it would train again at each tick.
                logger.exception("the training or the judging failed")
                done.append(self._failed(task, repr(error)))
        yield 1

    def _train(self, task: _Task) -> Generator[int, None, None]:
        data = self._settings.retrain_data
        assert data is not None, "checked when it was made"
        logger.info("training", extra={"corrections": len(task.said)})
        with Training(task.arguments(data), task.folder / "train.log") as training:
            yield from until_done(training, self._stop)

    def _settle(self, task: _Task, verdict: Verdict) -> Outcome:
        """Make the candidate live if it may be, and keep what became of it."""
        version, reasons = read_manifest(task.model).identity, list(verdict.reasons)
        if not reasons:
            try:
                self._registry.promote(task.model, gate=_still(task.live))
            except PromotionRefused as error:
                reasons.append(error.message)
        outcome: Outcome = "refused" if reasons else "promoted"
        folder = self._put_aside(task, version) if reasons else ""
        with self._sessions.begin() as session:
            finish(
                session,
                task.number,
                outcome,
                self._now(),
                reasons=reasons,
                figures=verdict.figures,
                version=version,
                folder=folder,
            )
        logger.info("retrained", extra={"outcome": outcome, "model": version, "reasons": reasons})
        return outcome

    def _put_aside(self, task: _Task, version: str) -> str:
        """Keep a refused candidate in the place of the one before: each is as large as a model."""
        place = self._settings.models_dir / FOLDER
        for old in place.iterdir():
            if not old.name.startswith("."):
                shutil.rmtree(old, ignore_errors=True)
        task.model.rename(place / version)
        return f"{FOLDER}/{version}"

    def _failed(self, task: _Task, reason: str) -> Outcome:
        logger.error("the training failed: %s", reason)
        with self._sessions.begin() as session:
            finish(session, task.number, "failed", self._now(), reasons=[reason])
        return "failed"


def _still(live: Version) -> Callable[[Version | None, Path], None]:
    """A gate: the model that the candidate was judged against is live."""

    def gate(now_live: Version | None, _: Path) -> None:
        if now_live is None or now_live.number != live.number:
            raise PromotionRefused("another model went live while this one was trained")

    return gate
