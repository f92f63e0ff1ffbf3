"""When does the model learn what was taught, and does the new one earn the live one's place?

Enough new examples → train (services/trainee.py) → judge (judge.py) → go live, or wait for a person

One worker at a time does it (a lease). The training is `trefoil customer-service train` on the
team's own rows and the examples, with the options of the live model; torch stays in that process.
"""

from __future__ import annotations

import csv
import logging
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, Final

from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Manifest, Registry, Version, read_manifest
from core.data.readers import read_intents
from core.errors import PromotionRefused, TrefoilError
from core.files import written_whole
from core.schedule import Exclusive
from services.customer_service.beside import taken_from
from services.customer_service.candidates import FOLDER, CandidateStore, RegressionTests
from services.customer_service.content import ContentStore
from services.customer_service.examples import Example, ExampleStore, key_of
from services.customer_service.judge import Judge, Judgement
from services.customer_service.risk import DEFAULT_OOS_SHARE
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore
from services.customer_service.tables import leases
from services.customer_service.understanding import HEAD, KIND, REDACTED
from services.trainee import Training, options_of, until_done

_log = logging.getLogger(__name__)

LEASE: Final = "retraining steps"
# Candidates that wait for a person, the newest, are kept whole; each is as large as a model.
KEPT: Final = 3

Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Task:
    """One training: what it is told, and what it leaves behind."""

    live: Version
    manifest: Manifest
    examples: list[Example]
    started: datetime
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def arguments(self, training_data: Path) -> list[str]:
        """Write what the command reads; the command."""
        data = self.folder / "train.csv"
        write_rows(data, merged(base_rows(training_data), self.examples))
        said = training_arguments(self.manifest, data, self.model, self.folder / "tuning.json")
        return said + taken_from(self.live.path, self.manifest.settings)


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
        self._settings, self._now, self._stop = settings, now, stop
        self._registry = Registry(settings.models_dir, KIND)
        self._examples = ExampleStore(sessions, readers)
        self._candidates = CandidateStore(sessions, readers)
        self._judge = Judge(
            ContentStore(sessions, readers),
            self._examples,
            ConversationStore(sessions, readers),
            RegressionTests(sessions, readers),
            turns=settings.replay_turns,
            threads=settings.threads,
        )
        self._alone = Exclusive(sessions, leases, owner, now, stop)

    def retrain(self, *, at_once: bool = False) -> bool:
        """Train and judge if it is time, or `at_once` if there is anything to learn from. Whether
        there is a new candidate."""
        if not self._is_due(at_once):
            return False
        made: list[int] = []
        steps = self._steps(at_once, made)
        try:
            self._alone.repeat(LEASE, lambda: next(steps, 0))
        finally:
            steps.close()  # ends the training, if another worker took over or this one stops
        return bool(made)

    def _is_due(self, at_once: bool) -> bool:
        live = self._registry.active()
        if live is None or not self._settings.training_data:
            return False
        if at_once:
            return True
        moments = [
            datetime.fromisoformat(read_manifest(live.path).created_at),
            self._candidates.last_start(),
        ]
        since = max(moment for moment in moments if moment is not None)
        return self._examples.count_since(since) >= self._settings.retrain_examples

    def _steps(self, at_once: bool, made: list[int]) -> Generator[int, None, None]:
        live = self._registry.active()
        # Asked again under the lease: another worker may just have done it.
        if live is None or not self._is_due(at_once):
            return
        _, examples = self._examples.read()
        place = self._settings.models_dir / FOLDER
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".training-", dir=place) as folder:
            task = _Task(live, read_manifest(live.path), examples, self._now(), Path(folder))
            failure = None
            try:
                arguments = task.arguments(Path(self._settings.training_data))
                yield from self._train(arguments, task)
                yield 1  # the lease is new when judging begins
                judgement = self._judge.judge(live, task.model)
            except TrefoilError as error:
                failure = str(error)
            except Exception as error:
                # Unforeseen, and stored like the rest: unstored it would train again at each tick.
                _log.exception("the training or the judging failed")
                failure = repr(error)
            if failure is not None:
                made.append(self._store_failure(task, failure))
            else:
                made.append(self._settle(task, judgement))
        yield 1

    def _train(self, arguments: Sequence[str], task: _Task) -> Generator[int, None, None]:
        _log.info("training", extra={"examples": len(task.examples)})
        with Training(arguments, task.folder / "train.log") as training:
            yield from until_done(training, self._stop)

    def _settle(self, task: _Task, judgement: Judgement) -> int:
        """Store the candidate, and make it live where it may be; its number."""
        identity = read_manifest(task.model).identity
        name = f"{task.started:%Y%m%d-%H%M%S}-{identity}"
        place = self._settings.models_dir / FOLDER / name
        shutil.rmtree(place, ignore_errors=True)
        task.model.rename(place)
        reasons = list(judgement.reasons)
        passed, live = not reasons, False
        if passed and self._settings.auto_promote:
            try:
                self._registry.promote(place, gate=_still(task.live))
                shutil.rmtree(place, ignore_errors=True)
                live = True
            except PromotionRefused as error:
                reasons.append(error.message)
        number = self._candidates.add(
            folder=name,
            version=identity,
            state="promoted" if live else "kept",
            examples=len(task.examples),
            metrics=judgement.metrics,
            verdict=judgement.verdict() | {"passed": passed, "reasons": reasons},
            replay=judgement.replay.as_mapping(),
            created_at=task.started,
        )
        self._make_room()
        what = "is live" if live else "waits for a person"
        _log.info("candidate %d (%s) %s", number, identity, what)
        return number

    def _store_failure(self, task: _Task, failure: str) -> int:
        _log.error("no candidate: %s", failure)
        return self._candidates.add(
            folder="",
            version=None,
            state="failed",
            examples=len(task.examples),
            metrics={},
            verdict={"passed": False, "reasons": [failure]},
            replay={},
            created_at=task.started,
        )

    def _make_room(self) -> None:
        for old in self._candidates.kept()[KEPT:]:
            shutil.rmtree(self._settings.models_dir / FOLDER / old["folder"], ignore_errors=True)
            self._candidates.set_state(old["id"], "dropped")


def _still(live: Version) -> Callable[[Version | None, Path], None]:
    """A gate: the model that the candidate was judged against is live."""

    def gate(now_live: Version | None, _: Path) -> None:
        if now_live is None or now_live.number != live.number:
            raise PromotionRefused(
                "another model went live while this one was trained",
                mend="Look at what would change, and promote it by hand.",
            )

    return gate


def base_rows(path: Path) -> Rows:
    """(text, intent) of the team's own rows. DataError names a bad row."""
    return [(row.text, row.labels[HEAD]) for row in read_intents(path)]


def merged(base: Rows, examples: Sequence[Example]) -> Rows:
    """The team's rows and the examples. Where both hold a text, the later word counts: a row with
    another intent than the example's is left out, one with the same is not doubled."""
    taught = {example.key: example.intent for example in examples}
    keys = [key_of(text) for text, _ in base]
    kept = [row for row, key in zip(base, keys, strict=True) if taught.get(key, row[1]) == row[1]]
    there = {key for (_, intent), key in zip(base, keys, strict=True) if taught.get(key) == intent}
    return [*kept, *((e.text, e.intent) for e in examples if e.key not in there)]


def write_rows(path: Path, rows: Rows) -> None:
    """A CSV as `train --data` reads it."""
    with written_whole(path) as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "intent"), *rows])


def training_arguments(manifest: Manifest, data: Path, output: Path, config: Path) -> list[str]:
    """`trefoil` with the options that the live model was trained with; those of a tuning go to the
    file `config`. The share of out-of-scope questions is that of its threshold, or the default
    where it had none to fit on."""
    decision: Mapping[str, Any] = manifest.settings["decision"]
    redacted = bool(manifest.settings.get(REDACTED, False))
    return [
        *("customer-service", "train", "--data", str(data), "--output", str(output)),
        *("--risk", str(decision["risk"])),
        *("--oos-share", str(decision["oos_share"] or DEFAULT_OOS_SHARE)),
        *options_of(manifest, redacted=redacted, config=config),
    ]
