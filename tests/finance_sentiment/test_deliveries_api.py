"""Can people see what was told to whom, send it after all, and try a channel?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from core.errors import NotFound, SettingsError
from services.finance_sentiment.app import create_app
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.cli import group
from services.finance_sentiment.deliverer import Deliverer
from services.finance_sentiment.sending import Sender
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, api_keys, outbox
from services.finance_sentiment.telling import Teller
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.receiver import Receiver, Reply, raise_alert

Sessions = sessionmaker[Session]
PREFIX = "TREFOIL_FINANCE_SENTIMENT_"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def kept(settings: Settings, receiver: Receiver) -> Iterator[Sessions]:
    """A database in which one message was given up."""
    upgrade(settings.database_url, MIGRATIONS)
    engine = make_engine(settings.database_url)
    sessions = session_factory(engine)
    raise_alert(sessions)
    receiver.answers["/hook"] = Reply(404, b"nobody here")
    teller = Teller((Channel("desk", "webhook", receiver.url()),))
    sender = Sender((receiver.address,))
    deliverer = Deliverer(sessions, teller, sender, lambda: NOW, "one", timedelta(days=7), Event())
    deliverer.tick()
    deliverer.settle()
    deliverer.close()
    yield sessions
    engine.dispose()


@pytest.fixture
def client(settings: Settings, kept: Sessions) -> Iterator[TestClient]:
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        yield client


def test_a_dead_letter_is_shown_with_its_reason_and_sent_after_all(client: TestClient) -> None:
    [shown] = client.get("/v1/deliveries", params={"state": "dead"}).json()["deliveries"]
    assert shown["last_error"] == "answered 404: nobody here"
    assert (shown["channel"], shown["event"], shown["subject"]) == ("desk", "firing", "alert:1")
    assert shown["summary"] == "banking: 60 % negative, your limit is 50 %"
    assert client.post(f"/v1/deliveries/{shown['id']}/retry").json()["state"] == "pending"
    assert client.post(f"/v1/deliveries/{shown['id']}/retry").status_code == 404
    assert client.get("/v1/deliveries?state=dead").json()["deliveries"] == []
    [pending] = client.get("/v1/deliveries?state=pending&channel=desk").json()["deliveries"]
    assert pending["attempts"] == 0 and pending["due_at"] is not None


@pytest.mark.parametrize(
    "query",
    ["state=lost", "limit=0", "limit=201", "cursor=x", "colour=red", "channel=" + "x" * 101],
)
def test_a_question_that_cannot_be_meant_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/deliveries?{query}").status_code in (400, 422)


def test_errors_of_receivers_are_for_those_who_look_after_alerts(
    settings: Settings, kept: Sessions
) -> None:
    with kept.begin() as session:
        reader = create_key(session, api_keys, "reader", ["read"])
        desk = create_key(session, api_keys, "desk", ["alerts"])
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        for key, status in ((reader, 403), (desk, 200)):
            headers = {"X-API-Key": key}
            assert client.get("/v1/deliveries", headers=headers).status_code == status
            assert client.post("/v1/deliveries/1/retry", headers=headers).status_code == status


@pytest.mark.parametrize("address", ["news.example", "javascript:x", "https://a.example/?x=1"])
def test_links_begin_with_a_web_address_or_not_at_all(address: str) -> None:
    assert Settings(public_url="https://news.example/").public_url == "https://news.example"
    with pytest.raises(SettingsError, match="PUBLIC_URL"):
        Settings(public_url=address)


# --- commands -----------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


@pytest.fixture
def environment(
    settings: Settings, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "channels.yaml"
    path.write_text(f"- {{name: desk, kind: webhook, address: '{receiver.url()}'}}\n")
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path / "var"))
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", settings.database_url)
    monkeypatch.setenv(f"{PREFIX}CHANNELS", str(path))
    monkeypatch.setenv(f"{PREFIX}DELIVER_ALLOW", receiver.address)


@pytest.mark.usefixtures("environment")
def test_notify_sends_a_test_right_now_and_says_what_came_back(receiver: Receiver) -> None:
    receiver.answers["/hook"] = Reply(200, b"thanks")
    done = run("notify", "desk")
    assert (done.exit_code, done.output) == (0, "desk: answered 200: thanks\n")
    [got] = receiver.got
    assert got.json["commonAnnotations"]["summary"].startswith("TEST: ")


@pytest.mark.usefixtures("environment")
def test_notify_that_fails_says_why_and_ends_with_1(receiver: Receiver) -> None:
    receiver.answers["/hook"] = Reply(401, b"who are you")
    done = run("notify", "desk")
    assert done.exit_code == 1
    assert "desk: answered 401: who are you" in done.output
    other = run("notify", "dask")
    assert isinstance(other.exception, NotFound) and "desk" in str(other.exception)


def test_notify_without_channels_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{PREFIX}CHANNELS", raising=False)
    done = run("notify", "desk")
    assert done.exit_code == 2 and "CHANNELS" in done.output


@pytest.mark.usefixtures("environment")
def test_deliveries_lists_and_revives(kept: Sessions) -> None:
    line = run("deliveries", "--state", "dead").output
    assert "dead (1 of 12 attempts) desk firing: banking: 60 % negative" in line
    assert line.rstrip().endswith("| answered 404: nobody here")
    assert run("deliveries", "--state", "sent").output == "no messages\n"
    assert run("deliveries", "--retry", "1").exit_code == 0
    with kept() as session:
        assert session.execute(select(outbox.c.state)).scalar_one() == "pending"
