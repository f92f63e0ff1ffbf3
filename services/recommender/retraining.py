"""When does the model learn from the shop's own behaviour, and how does the new one go live?

Due (training_store.py) → export (exporting.py) → train and judge (promotion.py) → vectors of all
items by the new encoder → live

One worker at a time does it (a lease). Training and judging are `trefoil recommender candidate` in
a niced process of its own: torch and scipy stay there. A worker that is killed leaves a row that
the next one closes, and a folder that it removes; nothing of it is live or half live.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, Final, cast

from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Manifest, Registry, Version, read_manifest
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import PromotionRefused, TrefoilError
from core.schedule import Exclusive
from services.commands import BUNDLED_REFERENCE
from services.recommender import training_store
from services.recommender.comments import CommentStore, encode_comments
from services.recommender.exporting import Exported, export
from services.recommender.live import encode_beforehand
from services.recommender.model import KIND, load_encoder, load_model
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, leases
from services.recommender.training_store import Cause, Outcome, Result, Standing, When
from services.trainee import Training, until_done

logger = logging.getLogger("trefoil.recommender")

LEASE: Final = "training"
# Beside the registry's versions: the last candidate that was refused, for a person to look at.
FOLDER: Final = "candidates"
_UNFINISHED: Final = ".training-"
# Texts encoded between two renewals of the lease.
_TEXTS: Final = 64


@dataclass(frozen=True)
class _Task:
    """One training: its number in the table, what it starts from, and where it works."""

    number: int
    live: Version | None
    live_until: float | None
    preset: str
    base_model: str
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def report(self) -> Path:
        return self.folder / "verdict.json"

    def arguments(self, threads: int) -> list[str]:
        """The command."""
        said = ["recommender", "candidate", "--items", str(self.folder / "items.jsonl")]
        said += ["--events", str(self.folder / "events.jsonl"), "--output", str(self.model)]
        said += ["--json", str(self.report), "--preset", self.preset, "--seed", str(self.seed)]
        said += ["--base-model", self.base_model, "--threads", str(threads)]
        if self.live is not None:
            said += ["--live", str(self.live.path), "--live-until", repr(self.live_until)]
        return said


class Retrainer:
    """`owner` names this worker in the leases; `stop` ends a training that runs."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        *,
        owner: str,
        now: Callable[[], datetime],
        stop: Event,
    ) -> None:
        self._settings, self._sessions, self._readers = settings, sessions, readers
        self._now, self._stop = now, stop
        self._registry = Registry(settings.models_dir, KIND)
        self._items, self._comments = ItemStore(sessions, readers), CommentStore(readers)
        self._alone = Exclusive(sessions, leases, owner, now, stop)

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

    def _standing(self) -> tuple[Version | None, Standing]:
        live = self._registry.active()
        with self._readers() as session:
            return live, training_store.standing(session, live=live is not None)

    def _is_due(self) -> bool:
        live = self._registry.active()
        if live is not None:
            manifest = read_manifest(live.path)
            with self._readers() as session:
                known = training_store.trained_until(session, manifest.identity) is not None
            if not known:
                with self._sessions.begin() as session:
                    training_store.note_given(
                        session, manifest.identity, end_of_log(manifest), self._now()
                    )
        _, standing = self._standing()
        return training_store.plan(standing, when_of(self._settings), self._now()).due(self._now())

    def _steps(self, done: list[Outcome]) -> Generator[int, None, None]:
        place = self._settings.models_dir / FOLDER
        place.mkdir(parents=True, exist_ok=True)
        self._clear_up(place)
        # Asked again under the lease: another worker may just have done it.
        live, standing = self._standing()
        planned = training_store.plan(standing, when_of(self._settings), self._now())
        if not planned.due(self._now()) or planned.cause is None:
            return
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=place) as folder:
            task = self._begin(live, standing, planned.cause, Path(folder))
            try:
                yield from self._train(task)
                outcome = yield from self._settle(task)
                done.append(outcome)
            except GeneratorExit:
                with self._sessions.begin() as session:
                    training_store.put_back(session, task.number)
                raise
            except TrefoilError as error:
                done.append(self._failed(task, str(error)))
            except Exception as error:
                # Unforeseen, and kept like the rest: unkept it would train again at each tick.
                logger.exception("the training or the judging failed")
                done.append(self._failed(task, repr(error)))
        yield 1

    def _clear_up(self, place: Path) -> None:
        """What a killed worker left: its row and its folder. We have the lease, so it is dead."""
        live = self._registry.active()
        identity = None if live is None else read_manifest(live.path).identity
        with self._sessions.begin() as session:
            killed = training_store.close_killed(session, identity, self._now())
        for folder in place.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(folder, ignore_errors=True)
        if killed:
            logger.error("trainings whose worker was killed: %s", killed)

    def _begin(self, live: Version | None, standing: Standing, cause: Cause, folder: Path) -> _Task:
        manifest = None if live is None else read_manifest(live.path)
        identity = "" if manifest is None else manifest.identity
        preset = preset_of(manifest, standing.positives, self._settings.retrain_encoder_after)
        with self._sessions.begin() as session:
            until = training_store.trained_until(session, identity)
            number = training_store.begin(session, standing, cause, preset, identity, self._now())
        base = BUNDLED_REFERENCE if manifest is None else manifest.base_model
        seed = 0 if manifest is None else int(manifest.settings.get("seed", 0))
        logger.info("training", extra={"training": number, "cause": cause, "preset": preset})
        return _Task(number, live, until, preset, base, seed, folder)

    def _train(self, task: _Task) -> Generator[int, None, None]:
        written = Exported()
        with self._readers() as session:
            yield from export(
                session,
                task.folder / "items.jsonl",
                task.folder / "events.jsonl",
                self._settings.retrain_max_events,
                written,
            )
        arguments = task.arguments(self._settings.threads)
        with Training(arguments, task.folder / "train.log") as training:
            yield from until_done(training, self._stop)
        with self._sessions.begin() as session:
            training_store.keep(session, task.number, _result(task, written))

    def _settle(self, task: _Task) -> Generator[int, None, Outcome]:
        """Make the candidate live if it may be, and keep what became of it."""
        reasons = list(json.loads(task.report.read_text(encoding="utf-8"))["reasons"])
        if not reasons:
            encoder = load_encoder(task.model, self._settings.threads)
            prepared = load_model(task.model).prepared
            while encode_beforehand(self._items, encoder, prepared, _TEXTS):
                yield 1  # the lease is new with each portion
            while encode_comments(self._comments, self._items, encoder, _TEXTS):
                yield 1
            try:
                self._registry.promote(task.model, gate=_still(task.live))
            except PromotionRefused as error:
                reasons.append(error.message)
        folder = self._put_aside(task) if reasons and task.model.is_dir() else ""
        outcome: Outcome = "refused" if reasons else "promoted"
        with self._sessions.begin() as session:
            training_store.finish(session, task.number, outcome, self._now(), reasons, folder)
        logger.info("trained", extra={"training": task.number, "outcome": outcome})
        return outcome

    def _put_aside(self, task: _Task) -> str:
        """Keep a refused candidate in the place of the one before: each is as large as a model."""
        place = self._settings.models_dir / FOLDER
        for old in place.iterdir():
            if not old.name.startswith("."):
                shutil.rmtree(old, ignore_errors=True)
        version = read_manifest(task.model).identity
        task.model.rename(place / version)
        return f"{FOLDER}/{version}"

    def _failed(self, task: _Task, reason: str) -> Outcome:
        logger.error("the training failed: %s", reason)
        with self._sessions.begin() as session:
            training_store.finish(session, task.number, "failed", self._now(), [reason])
        return "failed"


def ask_for_training(
    settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> int:
    """Ask for a training; its number. StorageError where the database cannot be used."""
    with (
        migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine,
        session_factory(engine).begin() as session,
    ):
        return training_store.ask(session, now())


def when_of(settings: Settings) -> When:
    """By what the worker trains by itself."""
    pause = timedelta(hours=settings.retrain_hours)
    return When(settings.retrain_after, settings.retrain_growth, pause)


def preset_of(live: Manifest | None, positives: int, encoder_after: int) -> str:
    """How far up the ladder a training may try to go: as the live model did, and the encoder too
    once there are enough positive events. What is kept is decided by what ranks better."""
    if 0 < encoder_after <= positives:
        return "accurate"
    return "fast" if live is None else str(live.settings.get("preset", "fast"))


def end_of_log(manifest: Manifest) -> float:
    """Unix seconds of the newest event that a model may have been trained on: as its manifest
    says; where it does not, nothing that happened after it was made can have been among them."""
    said = manifest.settings.get("data", {}).get("last_event_at")
    if said is not None:
        return float(said)
    return datetime.fromisoformat(manifest.created_at).timestamp()


def _result(task: _Task, written: Exported) -> Result:
    """What the training said, and what its manifest says."""
    told: Mapping[str, Any] = json.loads(task.report.read_text(encoding="utf-8"))
    figures = cast(Mapping[str, Any], told["figures"])
    if not task.model.is_dir():
        return Result(counts=written.counts(), figures=figures)
    manifest = read_manifest(task.model)
    learnt = manifest.settings["learnt"]
    refused = bool(told["reasons"])
    return Result(
        version=manifest.identity,
        # A refused one was trained on what came before those who judged it.
        trained_until=figures.get("judged_from") if refused else written.trained_until or 0.0,
        counts=written.counts(),
        rung=str(learnt["rung"]),
        why=str(learnt["why"]),
        figures=figures,
    )


def _still(live: Version | None) -> Callable[[Version | None, Path], None]:
    """A gate: the model that the candidate was judged against is live."""

    def gate(now_live: Version | None, _: Path) -> None:
        if (now_live and now_live.number) != (live and live.number):
            raise PromotionRefused("another model went live while this one was trained")

    return gate
