"""What was taught becomes a model, and only a better one goes live."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import MANIFEST, Manifest, Registry, read_manifest, write_artifact
from core.db.engine import make_engine, session_factory
from core.db.leases import acquire
from services.customer_service import retrain as retraining
from services.customer_service.app import create_app
from services.customer_service.candidates import CandidateStore, RegressionTest, RegressionTests
from services.customer_service.examples import Example, ExampleStore, key_of
from services.customer_service.retrain import Retrainer, merged, training_arguments
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import leases
from services.customer_service.understanding import KIND
from services.trainee import NICE, Training

# After any training of this run.
NOW = datetime(2100, 3, 1, 12, 0, tzinfo=UTC)
GREETINGS = ("hello there", "hi shop", "hey everybody", "good morning dear team", "hello bot")


@dataclass
class Bench:
    """A shop with a live model, and what looks into its database."""

    settings: Settings
    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]

    @property
    def examples(self) -> ExampleStore:
        return ExampleStore(self.sessions, self.readers)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        return CandidateStore(self.sessions, self.readers).page(limit=50, cursor=0)[0]

    def live(self) -> str:
        version = Registry(self.settings.models_dir, KIND).active()
        assert version is not None
        return read_manifest(version.path).identity

    def retrainer(self, stop: threading.Event | None = None, **values: Any) -> Retrainer:
        return Retrainer(
            self.settings.replace(**values),
            self.sessions,
            self.readers,
            owner="me",
            now=lambda: NOW,
            stop=stop or threading.Event(),
        )

    def teach(self, *texts: str, at: datetime = NOW) -> None:
        self.examples.add("refund", texts, "taught", at - timedelta(seconds=1))

    def log(self, messages: Sequence[str]) -> None:
        store = ConversationStore(self.sessions, self.readers)
        for number, message in enumerate(messages):
            turn = Turn("c", f"m{number}", message, "answer", None, "en", {}, NOW)
            store.add(turn, "web")


@pytest.fixture
def bench(shop: Settings, questions: Path) -> Bench:
    settings = shop.replace(training_data=str(questions), retrain_examples=2)
    engine = make_engine(settings.database_url)
    return Bench(settings, session_factory(engine), session_factory(engine, read_only=True))


class FakeTraining:
    """In the place of a training: the artefact that it would make is there already."""

    source: Path
    status: int | None = 0
    ended = 0
    during: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        output = Path(arguments[arguments.index("--output") + 1])
        if self.status == 0:
            copytree(self.source, output)

    def wait(self, seconds: float) -> int | None:
        type(self).during()
        return self.status

    def last_line(self) -> str:
        return "trefoil: the disk is full"

    def __enter__(self) -> FakeTraining:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).ended += 1


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, other_artifact: Path) -> type[FakeTraining]:
    class Fake(FakeTraining):
        source = other_artifact

    monkeypatch.setattr(retraining, "Training", Fake)
    return Fake


Variant = Callable[..., Path]


@pytest.fixture
def variant(artifact: Path, tmp_path: Path) -> Variant:
    """The live model with another manifest."""

    def make(change: Callable[[Manifest], Manifest]) -> Path:
        with write_artifact(tmp_path / "variant") as draft:
            copytree(artifact, draft.path, ignore=ignore_patterns(MANIFEST), dirs_exist_ok=True)
            draft.manifest = change(read_manifest(artifact))
        return tmp_path / "variant"

    return make


def mute(manifest: Manifest) -> Manifest:
    """It answers nothing any more."""
    decision = {**manifest.settings["decision"], "threshold": 1.1}
    return replace(manifest, settings={**manifest.settings, "decision": decision})


def worse(manifest: Manifest) -> Manifest:
    """It was right in one held-out row of ten."""
    intent = {**manifest.metrics["intent"], "accuracy": 0.1, "accuracy_ci": [0.05, 0.2]}
    return replace(manifest, metrics={**manifest.metrics, "intent": intent})


# --- when ----------------------------------------------------------------------------------------


def test_nothing_is_trained_before_enough_was_taught(
    bench: Bench, training: type[FakeTraining]
) -> None:
    bench.teach("one")
    assert not bench.retrainer().retrain()
    bench.teach("two")
    assert not bench.retrainer(training_data="").retrain(), "nobody named the team's own rows"
    assert bench.retrainer().retrain()


def test_what_was_taught_before_the_live_model_counts_no_more(
    bench: Bench, training: type[FakeTraining]
) -> None:
    bench.teach("one", "two", "three", at=datetime(2020, 1, 1, tzinfo=UTC))
    assert not bench.retrainer().retrain()


def test_after_a_candidate_only_new_examples_count(
    bench: Bench, training: type[FakeTraining]
) -> None:
    bench.teach("one", "two")
    assert bench.retrainer().retrain()
    assert not bench.retrainer().retrain()
    bench.teach("three", "four", at=NOW + timedelta(days=1))
    assert bench.retrainer().retrain()


def test_one_worker_at_a_time_trains(bench: Bench, training: type[FakeTraining]) -> None:
    bench.teach("one", "two")
    with bench.sessions.begin() as session:
        assert acquire(
            session, leases, retraining.LEASE, "other", now=NOW, ttl=timedelta(minutes=5)
        )
    assert not bench.retrainer().retrain()
    assert bench.candidates == []


# --- the verdict ---------------------------------------------------------------------------------


def test_a_candidate_that_passes_everything_goes_live(
    bench: Bench, training: type[FakeTraining], other_artifact: Path
) -> None:
    bench.teach("one", "two")
    bench.log(GREETINGS)
    assert bench.retrainer().retrain()
    [made] = bench.candidates
    assert (made["state"], made["verdict"]["reasons"]) == ("promoted", [])
    assert (made["examples"], made["replay"]["turns"]) == (2, len(GREETINGS))
    assert bench.live() == made["version"] == read_manifest(other_artifact).identity


def test_a_worse_candidate_waits_for_a_person(
    bench: Bench, training: type[FakeTraining], variant: Variant
) -> None:
    training.source, before = variant(worse), bench.live()
    bench.teach("one", "two")
    assert bench.retrainer().retrain()
    [made] = bench.candidates
    [reason] = made["verdict"]["reasons"]
    assert made["state"] == "kept"
    assert reason.startswith("held-out intent accuracy is 0.100")
    assert bench.live() == before


def test_a_candidate_that_answers_less_waits_and_says_what_would_change(
    bench: Bench, training: type[FakeTraining], variant: Variant
) -> None:
    training.source = variant(mute)
    bench.teach("one", "two")
    bench.log(GREETINGS)
    RegressionTests(bench.sessions, bench.readers).put(
        [RegressionTest("hello there", "greeting", None), RegressionTest("hm", None, "handoff")],
        NOW,
    )
    assert bench.retrainer().retrain()
    [made] = bench.candidates
    lost, regressed = made["verdict"]["reasons"]
    assert lost == "fewer answers: 5 messages lose theirs, 0 get one"
    assert "'hello there' (intent greeting)" in regressed
    assert made["replay"]["by_intent"] == [{"from": "greeting", "to": None, "count": 5}]
    assert {t["text"] for t in made["verdict"]["failing"]} == {"hello there", "hm"}


def test_what_another_model_was_judged_against_is_not_promoted(
    bench: Bench, training: type[FakeTraining], two_encoders: Path
) -> None:
    promoted: list[Any] = []

    def meanwhile() -> None:
        if not promoted:
            promoted.append(Registry(bench.settings.models_dir, KIND).promote(two_encoders))

    training.during = staticmethod(meanwhile)
    bench.teach("one", "two")
    assert bench.retrainer().retrain()
    [made] = bench.candidates
    assert made["state"] == "kept"
    assert made["verdict"]["reasons"][0].startswith("another model went live")


def test_a_training_that_fails_is_told_and_not_tried_again(
    bench: Bench, training: type[FakeTraining]
) -> None:
    training.status = 1
    bench.teach("one", "two")
    assert bench.retrainer().retrain()
    [made] = bench.candidates
    assert (made["state"], made["verdict"]["reasons"]) == (
        "failed",
        ["the training failed: trefoil: the disk is full"],
    )
    assert not bench.retrainer().retrain()


def test_a_worker_that_stops_ends_its_training_and_leaves_nothing(
    bench: Bench, training: type[FakeTraining]
) -> None:
    stop = threading.Event()
    training.status, training.during = None, staticmethod(stop.set)
    bench.teach("one", "two")
    assert not bench.retrainer(stop).retrain()
    assert training.ended == 1
    assert bench.candidates == []
    assert list((bench.settings.models_dir / "candidates").iterdir()) == []


def test_only_the_newest_candidates_are_kept_whole(
    bench: Bench, training: type[FakeTraining]
) -> None:
    retrainer = bench.retrainer(auto_promote=False)
    bench.teach("one")
    moments = iter(NOW + timedelta(hours=n) for n in range(100))
    retrainer._now = lambda: next(moments)
    for _ in range(retraining.KEPT + 1):
        assert retrainer.retrain(at_once=True)
    assert [c["state"] for c in bench.candidates] == ["kept"] * retraining.KEPT + ["dropped"]
    assert len(list((bench.settings.models_dir / "candidates").iterdir())) == retraining.KEPT


# --- a person looks ------------------------------------------------------------------------------


def test_a_person_sees_what_would_change_and_makes_it_live(
    bench: Bench, training: type[FakeTraining], variant: Variant
) -> None:
    training.source = variant(worse)
    bench.teach("one", "two")
    bench.retrainer().retrain()
    with TestClient(create_app(bench.settings), base_url="http://localhost") as client:
        [line] = client.get("/v1/admin/candidates").json()["candidates"]
        assert (line["state"], line["passed"], line["changed"]) == ("kept", False, 0)
        path = f"/v1/admin/candidates/{line['id']}"
        assert client.get(path).json()["replay"]["turns"] == 0
        promoted = client.post(f"{path}/promote")
        assert (promoted.status_code, promoted.json()["state"]) == (200, "promoted")
        assert client.post(f"{path}/promote").status_code == 409
        assert client.get("/v1/admin/candidates/99").status_code == 404
        assert client.get("/v1/admin/models").json()["models"][0]["version"] == line["version"]
    assert bench.live() == line["version"]


def test_tests_are_stored_changed_and_deleted(client: TestClient) -> None:
    path = "/v1/admin/tests"
    one = {"text": "hello there", "intent": "greeting"}
    two = {"text": "a person please", "action": "handoff"}
    assert len(client.put(path, json={"tests": [one, two]}).json()["tests"]) == 2
    changed = {"text": "Hello there!", "action": "answer"}
    said = client.put(path, json={"tests": [changed]}).json()["tests"]
    assert {"text": "Hello there!", "intent": None, "action": "answer"} in said
    assert len(said) == 2
    left = client.request("DELETE", path, json={"texts": ["hello THERE"]}).json()["tests"]
    assert [test["text"] for test in left] == ["a person please"]
    for wrong in ({"text": "x"}, {**one, "action": "answer"}, {"text": "x", "action": "dance"}):
        assert client.put(path, json={"tests": [wrong]}).status_code == 422


# --- what is trained on --------------------------------------------------------------------------


def example(text: str, intent: str) -> Example:
    return Example(text, intent, key_of(text), "taught", NOW)


def test_the_examples_join_the_teams_rows_and_the_later_word_counts() -> None:
    base = [("Hello", "greeting"), ("my money", "greeting"), ("my money", "refund"), ("bye", "bye")]
    taught = [
        example("my money!", "refund"),
        example("hello", "greeting"),
        example("new", "refund"),
    ]
    assert list(merged(base, taught)) == [
        ("Hello", "greeting"),
        ("my money", "refund"),
        ("bye", "bye"),
        ("new", "refund"),
    ]


def test_the_options_are_those_of_the_live_model(artifact: Path, tmp_path: Path) -> None:
    manifest = read_manifest(artifact)
    said = training_arguments(manifest, Path("d.csv"), Path("out"), tmp_path / "tuning.json")
    options = dict(zip(said[2::2], said[3::2], strict=True))
    assert options["--risk"] == "0.1"
    assert (options["--preset"], options["--seed"]) == ("fast", "0")
    assert options["--base-model"] == manifest.base_model
    kept = replace(manifest, settings={**manifest.settings, "redacted": False})
    assert "--keep-personal-data" in training_arguments(kept, Path("d"), Path("o"), tmp_path)
    tuned = {**manifest.settings["classifier"], "tuning": {"config": {"epochs": 3}}}
    accurate = replace(manifest, settings={**manifest.settings, "classifier": tuned})
    said = training_arguments(accurate, Path("d"), Path("o"), tmp_path / "tuning.json")
    assert said[-2:] == ["--config", str(tmp_path / "tuning.json")]
    assert (tmp_path / "tuning.json").read_text() == '{"config": {"epochs": 3}}'


# --- the process ---------------------------------------------------------------------------------


def test_what_was_taught_is_trained_in_a_process_of_its_own(bench: Bench) -> None:
    bench.teach("kindly reverse the charge", "charge it back", "undo the payment please")
    before = bench.live()
    assert bench.retrainer(auto_promote=False).retrain()
    [made] = bench.candidates
    assert made["state"] == "kept", made["verdict"]
    assert made["version"] not in (None, before)
    folder = bench.settings.models_dir / "candidates" / made["folder"]
    assert read_manifest(folder).kind == KIND
    assert "torch" not in _imported_by("services.customer_service.worker")


def _imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


_WORKER = """
import sys, threading
from pathlib import Path
from services.trainee import Training
training = Training(["customer-service", "worker"], Path(sys.argv[1]))
print(training.pid, flush=True)
threading.Event().wait()
"""


def test_the_training_ends_with_its_worker_however_that_ends(
    shop: Settings, tmp_path: Path
) -> None:
    environment = {**os.environ, "TREFOIL_CUSTOMER_SERVICE_DATABASE_URL": shop.database_url}
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert _runs(pid)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert eventually(lambda: not _runs(pid))


def test_leaving_a_training_ends_it(shop: Settings, tmp_path: Path) -> None:
    with Training(["customer-service", "worker", "--help"], tmp_path / "log") as training:
        assert eventually(lambda: training.wait(0.05) is not None)
    assert "Usage" in (tmp_path / "log").read_text()
    with Training(["customer-service", "worker"], tmp_path / "log") as training:
        assert eventually(lambda: os.getpriority(os.PRIO_PROCESS, training.pid) == NICE)
    assert not _runs(training.pid)


def _runs(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody collected has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            return False
    return True


def test_the_rows_of_a_training_are_read_back_as_they_were(tmp_path: Path) -> None:
    rows = [('a "quoted", text', "a"), ("zwei\nZeilen", "b")]
    retraining.write_rows(tmp_path / "rows.csv", rows)
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)] == [("text", "intent"), *rows]
