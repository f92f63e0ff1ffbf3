"""Corrections become training rows, a training, and a model that has to earn its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree, ignore_patterns
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import MANIFEST, Registry, Version, read_manifest, write_artifact
from core.data.readers import read_news
from core.data.records import LabeledText
from core.db.engine import make_engine, session_factory
from core.db.leases import acquire
from core.errors import ArtifactError, DataError, SettingsError
from services.finance_sentiment import retraining
from services.finance_sentiment.corrections import Proposal, accept, key_of, propose
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.held_out import FILE, Answers, compared, digest_of, read_answers
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.lessons import (
    Taught,
    export,
    lessons,
    read_learned,
    read_taught,
    write_taught,
)
from services.finance_sentiment.promotion import judge, knowledge_objections, manifest_topics
from services.finance_sentiment.retraining import FOLDER, LEASE, Retrainer
from services.finance_sentiment.retraining_store import begin, is_due, standing
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import leases, metadata
from services.finance_sentiment.train import train
from tests.finance_sentiment.conftest import NOW, Clock

Sessions = sessionmaker[Session]
HEADS = ("sentiment", "topic")


def said(text: str, at: datetime = NOW, **labels: str) -> Taught:
    return Taught(key_of(text), text, labels, at)


CORRECTED = [
    said("Bank Oslo publishes the agenda of its annual meeting!", sentiment="negative"),
    said("the regulator looks into the bank of malmo", sentiment="negative", topic="banking"),
    said("rain floods the fields near malmo", sentiment="negative", topic="weather"),
]


# --- rows ----------------------------------------------------------------------------------------


def rows(*given: tuple[str, str, str]) -> list[LabeledText]:
    return [
        LabeledText(text, {"sentiment": sentiment, "topic": topic}, line)
        for line, (text, sentiment, topic) in enumerate(given)
    ]


def test_a_correction_outweighs_the_contrary_row_and_keeps_what_nobody_corrected() -> None:
    base = rows(("Bank up", "positive", "banking"), ("Oil down", "negative", "energy"))
    found = lessons(base, [said("bank UP!", sentiment="neutral")], HEADS, keep=False)
    [row] = found.rows
    assert (row.text, row.labels) == ("bank UP!", {"sentiment": "neutral", "topic": "banking"})
    assert found.outweighed == 1


def test_a_correction_that_agrees_with_its_row_outweighs_nothing() -> None:
    base = rows(("Bank up", "positive", "banking"))
    found = lessons(base, [said("bank up", sentiment="positive")], HEADS, keep=False)
    assert (len(found.rows), found.outweighed) == (1, 0)


def test_what_is_said_of_a_head_that_is_not_trained_is_left_out() -> None:
    taught = [said("Bank up", topic="banking"), said("Oil", sentiment="neutral", topic="energy")]
    found = lessons([], taught, ["sentiment"], keep=False)
    assert [row.labels for row in found.rows] == [{"sentiment": "neutral"}]


def test_personal_data_are_replaced_as_in_all_training_texts() -> None:
    base = rows(("Write to [email] at the bank", "positive", "banking"))
    taught = [said("Write to a@b.example at the bank", sentiment="negative")]
    found = lessons(base, taught, HEADS, keep=False)
    assert (found.rows[0].text, found.outweighed) == ("Write to [email] at the bank", 1)
    assert lessons(base, taught, HEADS, keep=True).rows[0].text == taught[0].text


# --- files ---------------------------------------------------------------------------------------


def test_what_is_written_for_a_training_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    write_taught(path, CORRECTED)
    assert [one.digest for one in read_taught(path)] == [one.digest for one in CORRECTED]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"key": "k", "text": "t"}',
        '{"key": "k", "text": "", "sentiment": "neutral"}',
        '{"key": "k", "text": "t", "sentiment": "awful"}',
        '{"key": "k", "text": "t", "topic": 1}',
        '{"key": "k", "text": "t", "topic": "a", "more": "x"}',
    ],
)
def test_a_bad_line_of_it_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text(f'{{"key": "k", "text": "t", "topic": "a"}}\n{line}\n')
    with pytest.raises(DataError, match="line 2"):
        read_taught(path)


def test_the_export_can_be_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "corrected.csv"
    mail = said("ask a@b.example, bank", sentiment="negative")
    shown = {mail.key: {"sentiment": "negative", "topic": "banking"}}
    assert export(path, [*CORRECTED, mail], shown) == 1, "of one text nobody knows the topic"
    read = read_news(path)
    assert [row.text for row in read] == [
        "the regulator looks into the bank of malmo",
        "rain floods the fields near malmo",
        "ask [email], bank",
    ]
    assert read[2].labels == {"sentiment": "negative", "topic": "banking"}


# --- when ----------------------------------------------------------------------------------------


@given(
    hours=st.lists(st.integers(0, 50), max_size=12),
    learned=st.sets(st.integers(0, 11)),
    last=st.none() | st.integers(0, 50),
    after=st.integers(0, 6),
)
def test_a_training_is_due_when_enough_wait_that_none_has_had(
    hours: list[int], learned: set[int], last: int | None, after: int
) -> None:
    taught = [
        said(f"text {n}", NOW + timedelta(hours=hour), sentiment="neutral")
        for n, hour in enumerate(hours)
    ]
    digests = {taught[n].digest for n in learned if n < len(taught)}
    began = None if last is None else NOW + timedelta(hours=last)
    fresh = [
        n for n, hour in enumerate(hours) if n not in learned and (last is None or hour > last)
    ]
    assert is_due(taught, digests, began, after) == (after > 0 and len(fresh) >= after)


# --- the gate ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corrected_model(
    tmp_path_factory: pytest.TempPathFactory, news_csv: Path, base_model: Path
) -> Path:
    output = tmp_path_factory.mktemp("corrected") / "model"
    train(
        news_csv, output, preset="fast", base_model=str(base_model), threads=1,
        corrections=CORRECTED,
    )  # fmt: skip
    return output


def live(folder: Path) -> Version:
    return Version(1, folder)


def variant(
    folder: Path,
    output: Path,
    *,
    answers: Callable[[dict[str, Any]], dict[str, Any]] = lambda said: said,
    accuracy: float | None = None,
) -> Path:
    """The same model with other held-out answers and figures."""
    with write_artifact(output) as draft:
        copytree(folder, draft.path, ignore=ignore_patterns(MANIFEST), dirs_exist_ok=True)
        told = json.loads((folder / FILE).read_text())
        (draft.path / FILE).write_text(json.dumps(answers(told)))
        manifest = read_manifest(folder)
        if accuracy is not None:
            sentiment = {"accuracy": accuracy, "accuracy_ci": [accuracy, accuracy]}
            manifest = replace(manifest, metrics={"sentiment": sentiment})
        draft.manifest = manifest
    return output


def all_wrong(told: dict[str, Any]) -> dict[str, Any]:
    wrong = {key: [label, "wrong"] for key, (label, _) in told["sentiment"].items()}
    return {**told, "sentiment": wrong}


def test_the_model_learned_what_was_corrected_and_says_so(
    corrected_model: Path, model: Path
) -> None:
    manifest = read_manifest(corrected_model)
    assert manifest.settings["corrections"] == {"learned": 3, "outweighed": 1}
    assert read_learned(corrected_model) == {one.digest for one in CORRECTED}
    assert read_learned(model) == frozenset()
    assert "weather" in manifest_topics(corrected_model)
    assert "weather" in Labeler.load(corrected_model, threads=1).topics


def test_corrections_never_judge_and_all_other_rows_judge_as_before(
    corrected_model: Path, model: Path
) -> None:
    old, new = read_answers(model)["sentiment"], read_answers(corrected_model)["sentiment"]
    assert set(old.of) - set(new.of) == {digest_of(CORRECTED[0].text)}
    assert set(new.of) <= set(old.of)


def test_a_model_that_is_as_good_and_knows_what_was_corrected_passes(
    corrected_model: Path, model: Path
) -> None:
    verdict = judge(live(model), corrected_model, CORRECTED, threads=1)
    assert verdict.reasons == ()
    corrected = verdict.figures["corrected"]
    assert corrected["labels"] == 5 and corrected["candidate"] >= corrected["live"]
    assert verdict.figures["sentiment"]["rows"] == 59


def test_a_model_that_is_worse_on_the_rows_that_judged_both_is_refused(
    corrected_model: Path, model: Path, tmp_path: Path
) -> None:
    worse = variant(corrected_model, tmp_path / "worse", answers=all_wrong)
    [reason] = judge(live(model), worse, CORRECTED, threads=1).reasons
    assert reason.startswith("sentiment: right on 0.000 of the held-out rows")


def test_a_model_that_forgot_corrected_stories_is_refused(
    corrected_model: Path, model: Path
) -> None:
    known = [one for one in CORRECTED if one.labels.get("topic") != "weather"]
    reasons = judge(live(corrected_model), model, known, threads=1).reasons
    assert any("labels that people corrected it gets" in reason for reason in reasons)
    assert any("no longer knows the topic weather" in reason for reason in reasons)


def test_a_model_of_before_is_compared_by_its_figures(
    corrected_model: Path, model: Path, tmp_path: Path
) -> None:
    before = variant(model, tmp_path / "before", answers=lambda _: {}, accuracy=0.9)
    fine = variant(corrected_model, tmp_path / "fine", accuracy=0.9)
    bad = variant(corrected_model, tmp_path / "bad", accuracy=0.5)
    assert judge(live(before), fine, CORRECTED, threads=1).reasons == ()
    [reason] = judge(live(before), bad, CORRECTED, threads=1).reasons
    assert "0.500" in reason


def test_a_head_that_is_gone_is_missed() -> None:
    old = {"sentiment": ["negative", "positive"], "topic": ["a", "b"]}
    assert knowledge_objections(old, {"sentiment": ["negative", "positive", "neutral"]}) == [
        "it no longer knows the topic a, b"
    ]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_two_models_are_compared_on_the_rows_that_judged_both(
    right: list[tuple[bool, bool]],
) -> None:
    old = Answers({str(n): ("a", "a" if one else "b") for n, (one, _) in enumerate(right)})
    new = Answers({str(n): ("a", "a" if two else "b") for n, (_, two) in enumerate(right)})
    found = compared(old, Answers({**new.of, "alone": ("a", "b")}), np.random.default_rng(0))
    assert found is not None
    assert found.first == pytest.approx(np.mean([one for one, _ in right]))
    assert found.second == pytest.approx(np.mean([two for _, two in right]))
    assert found.low <= found.difference <= found.high
    assert compared(old, Answers({"alone": ("a", "a")}), np.random.default_rng(0)) is None


@pytest.mark.parametrize("file", [FILE, "corrections.json"])
def test_a_file_of_the_model_that_makes_no_sense_is_told(tmp_path: Path, file: str) -> None:
    read: Callable[[Path], object] = read_answers if file == FILE else read_learned
    for text in ("{", "[]", '{"sentiment": []}' if file == FILE else '{"digests": 1}'):
        (tmp_path / file).write_text(text)
        with pytest.raises(ArtifactError, match="Train the model again"):
            read(tmp_path)


# --- the worker ----------------------------------------------------------------------------------


class FakeTraining:
    """In the place of a training: the artefact that it would make is there already."""

    source: Path
    status: int | None = 0
    during: Callable[[], None] = staticmethod(lambda: None)
    made = 0
    ended = 0

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        type(self).made += 1
        if self.status == 0:
            copytree(self.source, Path(arguments[arguments.index("--output") + 1]))

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
def training(monkeypatch: pytest.MonkeyPatch, corrected_model: Path) -> type[FakeTraining]:
    class Fake(FakeTraining):
        source = corrected_model

    monkeypatch.setattr(retraining, "Training", Fake)
    return Fake


class Desk:
    """A desk with a live model, whose corrections are accepted as they come."""

    def __init__(self, sessions: Sessions, settings: Settings, news_csv: Path) -> None:
        self.sessions = sessions
        self.clock = Clock()
        self.settings = settings.replace(retrain_after=3, retrain_data=news_csv)
        self.stop = Event()

    def check(self, owner: str = "one", **changed: Any) -> bool:
        self.clock.forward(minutes=1)
        settings = self.settings.replace(**changed)
        worker = Retrainer(settings, self.sessions, owner=owner, now=self.clock, stop=self.stop)
        return worker.check()

    def correct(self, *taught: Taught) -> None:
        for one in taught:
            self.clock.forward(minutes=1)
            with self.sessions.begin() as session:
                heads = one.labels.get("sentiment"), one.labels.get("topic")
                proposal = Proposal(None, one.text, *heads, new_topic=True, said_by="Ada")
                number = propose(session, proposal, (), self.clock())
                accept(session, number, "Ada", (), self.clock())

    def live(self) -> Version:
        version = Registry(self.settings.models_dir, KIND).active()
        assert version is not None
        return version

    def standing(self) -> dict[str, Any]:
        version = self.live()
        with self.sessions() as session:
            learned = read_learned(version.path)
            return standing(session, read_manifest(version.path).identity, learned, 3)

    def outcomes(self) -> list[str]:
        return [one["state"] for one in self.standing()["trainings"]]


@pytest.fixture
def desk(sessions: Sessions, live_settings: Settings, news_csv: Path) -> Desk:
    return Desk(sessions, live_settings, news_csv)


def test_nothing_is_trained_before_enough_was_corrected(
    desk: Desk, training: type[FakeTraining]
) -> None:
    desk.correct(*CORRECTED[:2])
    assert not desk.check()
    assert desk.standing()["waiting"] == 2
    desk.correct(CORRECTED[2])
    assert not desk.check(retrain_after=0), "0 is never"
    assert desk.check()
    assert training.made == 1


def test_a_model_that_passes_goes_live_and_nothing_waits_any_more(
    desk: Desk, training: type[FakeTraining], corrected_model: Path
) -> None:
    before = desk.live()
    desk.correct(*CORRECTED)
    assert desk.check()
    assert desk.live().number == before.number + 1
    assert desk.outcomes() == ["promoted"]
    told = desk.standing()
    assert (told["waiting"], told["trainings"][0]["corrections"]) == (0, 3)
    assert told["trainings"][0]["version"] == read_manifest(corrected_model).identity
    assert not desk.check()


def test_after_a_rollback_the_corrections_wait_again_and_are_not_trained_at_once(
    desk: Desk, training: type[FakeTraining]
) -> None:
    desk.correct(*CORRECTED)
    desk.check()
    Registry(desk.settings.models_dir, KIND).rollback()
    assert desk.standing()["waiting"] == 3
    assert not desk.check()


def test_a_model_that_does_not_pass_is_kept_for_a_person_and_not_tried_again(
    desk: Desk, training: type[FakeTraining], corrected_model: Path, tmp_path: Path
) -> None:
    training.source = variant(corrected_model, tmp_path / "worse", answers=all_wrong)
    before = desk.live()
    desk.correct(*CORRECTED)
    assert desk.check()
    assert desk.live() == before
    [told] = desk.standing()["trainings"]
    assert told["state"] == "refused" and "held-out rows" in told["reasons"][0]
    assert read_manifest(desk.settings.models_dir / told["folder"]).kind == KIND
    assert not desk.check()
    more = [said(f"another text {n}", sentiment="neutral") for n in range(3)]
    desk.correct(*more)
    assert desk.check()
    kept = list((desk.settings.models_dir / FOLDER).iterdir())
    assert len(kept) == 1, "the one before made room"


def test_a_failed_training_is_seen_and_not_repeated_in_a_loop(
    desk: Desk, training: type[FakeTraining]
) -> None:
    training.status = 1
    desk.correct(*CORRECTED)
    assert desk.check()
    [told] = desk.standing()["trainings"]
    assert told["state"] == "failed"
    assert told["reasons"] == ["the training failed: trefoil: the disk is full"]
    assert not desk.check()
    assert training.made == 1


def test_an_unforeseen_failure_is_kept_like_any_other(
    desk: Desk, training: type[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a surprise")

    monkeypatch.setattr(retraining, "judge", broken)
    desk.correct(*CORRECTED)
    assert desk.check()
    assert "a surprise" in desk.standing()["trainings"][0]["reasons"][0]
    assert not desk.check()


def test_a_model_that_went_live_meanwhile_is_not_replaced(
    desk: Desk, training: type[FakeTraining], model: Path
) -> None:
    def meanwhile() -> None:
        Registry(desk.settings.models_dir, KIND).promote(model)

    training.during = staticmethod(meanwhile)
    desk.correct(*CORRECTED)
    assert desk.check()
    [told] = desk.standing()["trainings"]
    assert told["reasons"] == ["another model went live while this one was trained"]


def test_one_worker_at_a_time_trains(desk: Desk, training: type[FakeTraining]) -> None:
    desk.correct(*CORRECTED)
    with desk.sessions.begin() as session:
        now = desk.clock.moment
        assert acquire(session, leases, LEASE, "other", now=now, ttl=timedelta(minutes=5))
    assert not desk.check()
    assert desk.outcomes() == []
    desk.clock.forward(minutes=6)
    assert desk.check()


def test_a_training_that_is_stopped_with_its_worker_begins_again_with_the_next(
    desk: Desk, training: type[FakeTraining]
) -> None:
    training.status = None
    training.during = staticmethod(desk.stop.set)
    desk.correct(*CORRECTED)
    assert not desk.check()
    assert (training.ended, desk.outcomes()) == (1, [])
    desk.stop, training.status = Event(), 0
    training.during = staticmethod(lambda: None)
    assert desk.check()
    assert desk.outcomes() == ["promoted"]


def test_a_training_whose_worker_was_killed_is_seen_as_failed(
    desk: Desk, training: type[FakeTraining]
) -> None:
    with desk.sessions.begin() as session:
        begin(session, "v1", 3, desk.clock())
    desk.correct(*CORRECTED)
    assert desk.outcomes() == ["running"]
    assert desk.check()
    assert desk.outcomes() == ["promoted", "failed"]


def test_trainings_need_the_data_that_the_model_was_trained_on(
    sessions: Sessions, live_settings: Settings
) -> None:
    asked = live_settings.replace(retrain_after=1)
    with pytest.raises(SettingsError, match="RETRAIN_DATA"):
        Retrainer(asked, sessions, owner="one", now=Clock(), stop=Event())


def test_corrections_are_trained_in_a_process_of_its_own(
    live_settings: Settings, news_csv: Path
) -> None:
    engine = make_engine(live_settings.database_url)
    metadata.create_all(engine)
    desk = Desk(session_factory(engine), live_settings, news_csv)
    desk.correct(*CORRECTED)
    assert desk.check()
    [told] = desk.standing()["trainings"]
    assert told["state"] == "promoted", told["reasons"]
    manifest = read_manifest(desk.live().path)
    assert manifest.settings["corrections"]["learned"] == 3
    assert manifest.settings["classifier"]["preset"] == "fast"
    engine.dispose()
