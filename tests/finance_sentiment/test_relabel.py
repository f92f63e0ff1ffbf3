"""Another model goes live: the past is read anew, once, and no alarm is made of the difference."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.leases import acquire
from core.db.migrations import upgrade
from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import latest_baseline, page_of_alerts
from services.finance_sentiment.companies import Company
from services.finance_sentiment.corrections import Proposal, accept, propose
from services.finance_sentiment.domain import GIVEN, PERSON, Label, hour_of, moment_of
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.relabel import (
    LEASE,
    Reader,
    Relabeller,
    other_versions,
    progress_of,
)
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import (
    MIGRATIONS,
    baselines,
    leases,
    metadata,
    stories,
    story_companies,
    story_vectors,
)
from services.finance_sentiment.watch_store import last_hours
from services.finance_sentiment.watching import ANOTHER_MODEL, Watch, evaluate
from tests.finance_sentiment.conftest import NOW, Clock
from tests.finance_sentiment.test_worker import work_until

Sessions = sessionmaker[Session]
HOUR_NOW = hour_of(NOW)


class Model:
    """Calls a story negative where the number in its title is below its bias (of 100)."""

    def __init__(self, version: str, bias: int) -> None:
        self.version = version
        self.bias = bias
        self.texts: list[str] = []

    def label(self, text: str) -> Label:
        negative = int(text.split()[1]) < self.bias
        sentiment = "negative" if negative else "neutral"
        return Label(self.version, sentiment, "banking", 0.1, 0.8, 0.1, 0.9, True)

    def read(self, texts: Sequence[str]) -> Reading:
        self.texts += texts
        vectors = np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]
        return Reading([self.label(text) for text in texts], vectors)


MILD, STERN = Model("mild", 20), Model("stern", 45)


class News:
    """Ten stories an hour; `bad` shifts their numbers so that both models call more negative."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.rng = np.random.default_rng(1)

    def come(self, first: int, hours: int, model: Model, *, bad: int = 0, **values: Any) -> None:
        rows = []
        for hour in range(first, first + hours):
            for number in self.rng.integers(0, 100, 10):
                rows.append(row(hour, f"story {max(0, number - bad)} of {hour}", model) | values)
        with self.sessions.begin() as session:
            session.execute(insert(stories), rows)


def row(hour: int, title: str, model: Model) -> dict[str, object]:
    moment = moment_of(hour)
    texts = {"source": "A", "url": "", "title": title, "summary": "", "search_text": title}
    times = {"published_at": moment, "published_hour": hour, "fetched_at": moment}
    said = model.label(title)
    label = {"topic": said.topic, "sentiment": said.sentiment, "model_version": model.version}
    return {**texts, **times, **label, "state": "labelled"}


@pytest.fixture
def news(sessions: Sessions) -> News:
    return News(sessions)


def relabeller(
    sessions: Sessions,
    model: Model,
    *,
    clock: Clock | None = None,
    owner: str = "one",
    days: float = 60.0,
    batch: int = 100,
    linker: CompanyLinker | None = None,
) -> Relabeller:
    reader = Reader(model.version, model.read)
    return Relabeller(sessions, clock or Clock(), owner, days, batch, lambda: reader, linker)


def fresh(version: str = "stern", bias: int = 45) -> Model:
    return Model(version, bias)


def some(sessions: Sessions, relabel: Relabeller, batches: int) -> int:
    """As many batches and no more."""
    stop, left = Event(), [batches]
    whole = relabel.reader

    def reader() -> Reader | None:
        left[0] -= 1
        if not left[0]:
            stop.set()
        return whole()

    return Relabeller(
        sessions, relabel.now, relabel.owner, relabel.days, relabel.batch, reader, relabel.linker
    ).run(stop)


def versions(sessions: Sessions) -> dict[str | None, int]:
    query = select(stories.c.model_version, func.count()).group_by(stories.c.model_version)
    with sessions() as session:
        return {found[0]: int(found[1]) for found in session.execute(query)}


# --- the stories ---------------------------------------------------------------------------------


def test_the_past_is_read_anew_newest_first(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 20, 20, MILD)
    model = fresh()
    assert some(sessions, relabeller(sessions, model, batch=10), 2) == 20
    assert versions(sessions) == {"mild": 180, "stern": 20}
    with sessions() as session:
        query = select(func.min(stories.c.published_hour)).where(stories.c.model_version == "stern")
        assert session.execute(query).scalar_one() == HOUR_NOW - 2
    assert relabeller(sessions, model).run(Event()) == 180
    assert versions(sessions) == {"stern": 200}
    assert len(model.texts) == 200, "no story was read twice"
    assert relabeller(sessions, model).run(Event()) == 0


def test_stories_beyond_the_days_and_what_people_said_stay(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 24 * 61, 1, MILD)
    news.come(HOUR_NOW - 5, 1, MILD, model_version=GIVEN)
    news.come(HOUR_NOW - 4, 1, MILD)
    with sessions.begin() as session:
        chosen = session.execute(
            select(stories.c.id).where(stories.c.published_hour == HOUR_NOW - 4).limit(1)
        ).scalar_one()
        said = Proposal(chosen, "", "positive", "energy", True, "Ada")
        accept(session, propose(session, said, (), NOW), "Ada", (), NOW)
    assert relabeller(sessions, fresh()).run(Event()) == 9
    assert versions(sessions) == {"mild": 10, GIVEN: 10, "stern": 9, PERSON: 1}
    assert relabeller(sessions, fresh(), days=0).run(Event()) == 0


def test_stories_that_wait_for_their_first_label_go_first(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 5, 5, MILD)
    unread: dict[str, Any] = {
        "state": "pending",
        "model_version": None,
        "sentiment": None,
        "topic": None,
    }
    news.come(HOUR_NOW - 1, 1, MILD, **unread)
    assert relabeller(sessions, fresh()).run(Event()) == 0
    with sessions.begin() as session:
        session.execute(update(stories).where(stories.c.state == "pending").values(
            state="labelled", model_version="stern"))  # fmt: skip
    assert relabeller(sessions, fresh()).run(Event()) == 50


def test_one_worker_at_a_time_reads_the_past(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 10, 10, MILD)
    with sessions.begin() as session:
        assert acquire(session, leases, LEASE, "other", now=NOW, ttl=timedelta(minutes=5))
    clock = Clock()
    assert relabeller(sessions, fresh(), clock=clock).run(Event()) == 0
    clock.forward(minutes=6)  # the other one died
    assert relabeller(sessions, fresh(), clock=clock).run(Event()) == 100


def test_two_workers_read_each_story_once(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 20, 20, MILD)
    models = [fresh(), fresh()]

    def work(number: int) -> int:
        one = relabeller(sessions, models[number], owner=f"worker {number}", batch=20)
        return one.run(Event())

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    assert sum(done) == 200
    assert len(models[0].texts) + len(models[1].texts) == 200
    assert versions(sessions) == {"stern": 200}


def test_a_story_that_is_edited_while_the_model_reads_it_keeps_what_it_has(
    sessions: Sessions, news: News
) -> None:
    news.come(HOUR_NOW - 1, 1, MILD)

    class Slow(Model):
        def read(self, texts: Sequence[str]) -> Reading:
            with sessions.begin() as session:
                one = select(func.min(stories.c.id)).scalar_subquery()
                edited = {"state": "pending", "model_version": None, "title": "edited"}
                session.execute(update(stories).where(stories.c.id == one).values(edited))
            return super().read(texts)

    relabeller(sessions, Slow("stern", 45)).run(Event())
    assert versions(sessions) == {None: 1, "stern": 9}


def test_a_model_that_crashes_leaves_whole_batches_behind(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 10, 10, MILD)

    class Crashing(Model):
        def read(self, texts: Sequence[str]) -> Reading:
            if len(self.texts) >= 40:
                raise MemoryError
            return super().read(texts)

    with pytest.raises(MemoryError):
        relabeller(sessions, Crashing("stern", 45), batch=20).run(Event())
    assert versions(sessions) == {"mild": 60, "stern": 40}
    clock = Clock(NOW + timedelta(minutes=6))
    assert relabeller(sessions, fresh(), batch=20, clock=clock).run(Event()) == 60


def test_recent_stories_can_be_compared_with_what_comes_in(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 1, 1, MILD)
    news.come(HOUR_NOW - 24 * 8, 1, MILD)
    relabeller(sessions, fresh()).run(Event())
    with sessions() as session:
        kept = session.execute(select(story_vectors.c.model_version)).scalars().all()
    assert kept == ["stern"] * 10


def test_companies_are_read_anew_with_their_stories(sessions: Sessions) -> None:
    with sessions.begin() as session:
        titles = ["story 30 of Acme", "story 30 of nobody"]
        session.execute(insert(stories), [row(HOUR_NOW - 1, title, MILD) for title in titles])
    linker = CompanyLinker([Company(name="Acme")])
    relabeller(sessions, fresh(), linker=linker).run(Event())
    with sessions() as session:
        [found] = session.execute(select(story_companies))
        linked = session.execute(select(stories.c.companies_version)).scalars().all()
    assert (found.company, found.sentiment) == ("Acme", "negative")
    assert linked == [linker.version] * 2


def test_how_far_it_is_can_be_seen(sessions: Sessions, news: News) -> None:
    news.come(HOUR_NOW - 24 * 61, 1, MILD)
    news.come(HOUR_NOW - 10, 10, MILD)
    clock = Clock()
    work = relabeller(sessions, fresh(), batch=30, clock=clock)
    some(sessions, work, 1)
    with sessions() as session:
        said = progress_of(session, "stern", 60, NOW)
    assert (said["left"], said["older"]) == (70, 10)
    assert said["last"] == {
        "model_version": "stern", "started_at": NOW, "finished_at": None, "relabelled": 30,
    }  # fmt: skip
    clock.forward(minutes=1)
    work.run(Event())
    with sessions() as session:
        said = progress_of(session, "stern", 60, clock())
        assert progress_of(session, "", 60, clock())["left"] == 0
    assert (said["left"], said["older"], said["last"]["relabelled"]) == (0, 10, 100)
    assert said["last"]["finished_at"] == clock()


def test_the_models_that_labelled_stories_are_found(sessions: Sessions, news: News) -> None:
    for name in ("aa", "zz", "mild", GIVEN, PERSON):
        news.come(HOUR_NOW - 1, 1, Model(name, 20))
    with sessions() as session:
        assert other_versions(session, "mild") == ["aa", "zz"]
        assert other_versions(session, "") == ["aa", "mild", "zz"]


# --- the watch -----------------------------------------------------------------------------------


@pytest.fixture
def lite(sqlite_url: str) -> Sessions:
    """SQLite: what follows is about what is decided, not about how it is kept."""
    engine = make_engine(sqlite_url)
    metadata.create_all(engine)
    return session_factory(engine)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)


def look(sessions: Sessions, clock: Clock, version: str | None) -> int:
    watch = Watch(1.0, unread_allowed=0, version=version)
    return evaluate(sessions, watch, clock())


def raised(sessions: Sessions) -> list[str]:
    with sessions() as session:
        rows, _ = page_of_alerts(session, topic=None, firing=None, limit=50, cursor=None)
    return [found.topic for found in rows]


def normal_share(sessions: Sessions) -> float:
    with sessions() as session:
        known = latest_baseline(session)
    assert known is not None
    return known.normal.of("banking").share


def swap(sessions: Sessions, news: News, clock: Clock, *, bad: int = 0, told: bool) -> None:
    """MILD labelled eight days; then STERN is live, reads on and, in steps, reads the past. The
    watch is told which model is live, or takes all labels for one model's."""
    news.come(HOUR_NOW - 24 * 8, 24 * 8, MILD)
    look(sessions, clock, "mild" if told else None)
    assert normal_share(sessions) == pytest.approx(0.20, abs=0.03)
    model = fresh()
    for hour in range(12):
        news.come(HOUR_NOW + hour, 1, model, bad=bad)
        clock.forward(hours=1)
        if told:
            some(sessions, relabeller(sessions, model, clock=clock, batch=100), 4)
        look(sessions, clock, "stern" if told else None)


@pytest.mark.usefixtures("quick")
def test_a_sterner_model_is_no_surge(lite: Sessions, clock: Clock) -> None:
    news = News(lite)
    swap(lite, news, clock, told=True)
    assert raised(lite) == []
    assert normal_share(lite) == pytest.approx(0.45, abs=0.03)
    assert versions(lite) == {"stern": 8 * 240 + 120}


@pytest.mark.usefixtures("quick")
def test_taken_for_one_model_it_would_have_been_an_alarm(lite: Sessions, clock: Clock) -> None:
    news = News(lite)
    swap(lite, news, clock, told=False)
    assert raised(lite) == ["banking"]


@pytest.mark.usefixtures("quick")
def test_a_surge_is_found_while_the_past_is_being_read(lite: Sessions, clock: Clock) -> None:
    news = News(lite)
    swap(lite, news, clock, bad=50, told=True)
    assert raised(lite) == ["banking"]


@pytest.mark.usefixtures("quick")
def test_until_there_is_enough_of_the_new_model_nothing_is_judged_and_that_is_said(
    lite: Sessions, clock: Clock
) -> None:
    news = News(lite)
    news.come(HOUR_NOW - 24 * 8, 24 * 8, MILD)
    look(lite, clock, "mild")
    clock.forward(hours=1)
    news.come(HOUR_NOW, 1, STERN)
    look(lite, clock, "stern")
    with lite() as session:
        [hour] = last_hours(session)
        assert session.execute(select(baselines.c.model_version)).scalars().all() == ["mild"]
    assert (hour.news, hour.reason) == ("degraded", ANOTHER_MODEL)


@pytest.mark.usefixtures("quick")
def test_what_is_normal_is_learned_once_more_when_all_is_read(lite: Sessions, clock: Clock) -> None:
    news = News(lite)
    news.come(HOUR_NOW - 24 * 8, 24 * 8, MILD)
    look(lite, clock, "mild")
    model = fresh()
    some(lite, relabeller(lite, model, clock=clock, batch=100), 9)
    clock.forward(hours=1)
    look(lite, clock, "stern")
    with lite() as session:
        assert latest_baseline(session).learned_hours < 100  # type: ignore[union-attr]
    clock.forward(hours=1)
    relabeller(lite, model, clock=clock).run(Event())
    clock.forward(hours=1)
    look(lite, clock, "stern")
    with lite() as session:
        assert latest_baseline(session).learned_hours > 140  # type: ignore[union-attr]
        before = session.execute(select(func.count()).select_from(baselines)).scalar_one()
    clock.forward(hours=1)
    look(lite, clock, "stern")
    with lite() as session:
        after = session.execute(select(func.count()).select_from(baselines)).scalar_one()
    assert after == before, "and not at every look from then on"


@pytest.mark.usefixtures("quick")
def test_what_the_new_model_would_have_raised_in_the_past_is_not_raised_now(
    lite: Sessions, clock: Clock
) -> None:
    news = News(lite)
    news.come(HOUR_NOW - 24 * 8, 24 * 4, MILD)
    # Calm for the mild model, a surge for the stern one; over since three days.
    with lite.begin() as session:
        for hour in range(HOUR_NOW - 24 * 4, HOUR_NOW - 24 * 4 + 12):
            grey = [row(hour, f"story 30 of {hour} {n}", MILD) for n in range(10)]
            session.execute(insert(stories), grey)
    news.come(HOUR_NOW - 24 * 4 + 12, 24 * 4 - 12, MILD)
    look(lite, clock, "mild")
    assert raised(lite) == []
    relabeller(lite, fresh(), clock=clock).run(Event())
    for hour in range(3):
        news.come(HOUR_NOW + hour, 1, STERN)
        clock.forward(hours=1)
        look(lite, clock, "stern")
    assert raised(lite) == []


@pytest.mark.usefixtures("quick")
def test_an_alert_that_was_raised_keeps_what_it_said_when_labels_are_put_right(
    lite: Sessions, clock: Clock
) -> None:
    news = News(lite)
    news.come(HOUR_NOW - 24 * 10, 24 * 10 - 6, MILD)
    news.come(HOUR_NOW - 6, 6, MILD, bad=60)
    look(lite, clock, "mild")
    with lite.begin() as session:
        [alert], _ = page_of_alerts(session, topic=None, firing=None, limit=5, cursor=None)
        for story in alert.story_ids[:4]:
            said = Proposal(story, "", "positive", None, False, "Ada")
            accept(session, propose(session, said, (), NOW), "Ada", (), NOW)
    clock.forward(minutes=10)
    look(lite, clock, "mild")
    with lite() as session:
        [now], _ = page_of_alerts(session, topic=None, firing=None, limit=5, cursor=None)
    assert now.explanation == alert.explanation and now.started_at == alert.started_at
    for name in ("stories_at_start", "negative_at_start", "statistic", "threshold"):
        assert now.evidence[name] == alert.evidence[name]
    assert now.evidence["negative"] < alert.evidence["negative"], "what it counts goes on"


# --- the worker ----------------------------------------------------------------------------------


def test_a_worker_reads_the_past_with_the_model_that_is_live(live_settings: Settings) -> None:
    upgrade(live_settings.database_url, MIGRATIONS)
    engine = make_engine(live_settings.database_url)
    sessions = session_factory(engine)
    moment = datetime.now(UTC) - timedelta(days=3)
    title = "bank oslo hit by losses as bad loans rise and deposits flee"
    old = row(hour_of(moment), "story 90 of calm", MILD) | {"title": title, "summary": ""}
    with sessions.begin() as session:
        session.execute(insert(stories), [old])

    def read_anew() -> bool:
        return "mild" not in versions(sessions)

    work_until(live_settings.replace(relabel_tick=0.1), read_anew)
    with sessions() as session:
        [found] = session.execute(select(stories))
    assert (found.sentiment, found.topic, found.state) == ("negative", "banking", "labelled")
    engine.dispose()
