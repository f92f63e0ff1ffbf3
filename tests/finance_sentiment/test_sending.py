"""Does a message reach a real receiver, and is what comes back understood?"""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import apprise
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from services.finance_sentiment import mailing
from services.finance_sentiment.channels import Channel, Mail
from services.finance_sentiment.delivery import FIRING
from services.finance_sentiment.outcomes import ARRIVED, LATER, NEVER
from services.finance_sentiment.sending import LONGEST_REST, Sender
from services.finance_sentiment.through_apprise import CLOUD, HOSTED
from services.finance_sentiment.wording import Note, headline, trial_note
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.receiver import Receiver, Reply
from tests.finance_sentiment.test_payloads import note, over

KEY = "alert:7:1:desk:1:firing"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def send(receiver: Receiver) -> Iterator[Sender]:
    with closing(Sender((receiver.address,))) as sender:
        yield sender


# --- over HTTP ----------------------------------------------------------------------------------


def test_a_webhook_arrives_signed_and_with_its_key(receiver: Receiver, send: Sender) -> None:
    channel = Channel("desk", "webhook", receiver.url(), secret="s3cret", token="t0ken")
    outcome = send(channel, note(), KEY, NOW)
    assert (outcome.came, outcome.said) == (ARRIVED, "answered 200: ok")
    [got] = receiver.got
    assert got.json["receiver"] == "desk"
    stamp = got.headers["X-Trefoil-Timestamp"]
    assert stamp == str(int(NOW.timestamp()))
    proof = hmac.new(b"s3cret", stamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Trefoil-Signature"] == f"sha256={proof}"
    assert got.headers["Idempotency-Key"] == KEY
    assert got.headers["Authorization"] == "Bearer t0ken"
    assert got.headers["Content-Type"] == "application/json"


def test_without_a_secret_nothing_is_signed(receiver: Receiver, send: Sender) -> None:
    send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW)
    assert receiver.got[0].headers["X-Trefoil-Signature"] is None


def test_an_alertmanager_gets_a_list_of_alerts(receiver: Receiver, send: Sender) -> None:
    channel = Channel("am", "alertmanager", receiver.url("/am/"))
    assert send(channel, note(), KEY, NOW).came == ARRIVED
    assert send.push(channel, [note(), over()], NOW).came == ARRIVED
    first, second = receiver.at("/am/api/v2/alerts")
    assert [len(first.json), len(second.json)] == [1, 2]
    assert first.json[0]["labels"]["alertname"] == "NegativeNews"


def test_slack_gets_its_blocks(receiver: Receiver, send: Sender) -> None:
    assert send(Channel("chat", "slack", receiver.url()), note(), KEY, NOW).came == ARRIVED
    assert receiver.got[0].json["blocks"][0]["type"] == "header"


@pytest.mark.parametrize(
    ("status", "came"),
    [(status, ARRIVED) for status in (200, 204)]
    + [(status, NEVER) for status in (301, 400, 401, 404, 410)]
    + [(status, LATER) for status in (408, 425, 429, 500, 502, 503)],
)
def test_a_status_tells_whether_another_attempt_would_help(
    receiver: Receiver, send: Sender, status: int, came: str
) -> None:
    receiver.answers["/hook"] = Reply(status, b"why", {"location": receiver.url("/elsewhere")})
    outcome = send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW)
    assert outcome.came == came
    assert outcome.said.startswith("redirected" if status == 301 else f"answered {status}")
    assert status < 400 or outcome.said.endswith(": why")
    assert len(receiver.got) == 1  # no redirect is followed; the outbox tries again


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 02 Mar 2026 12:35:00 GMT", 300.0),
        ("999999999", LONGEST_REST),
        ("soon", 0.0),
        ("-5", 0.0),
    ],
)
def test_retry_after_is_heard_in_seconds_and_as_a_date(
    receiver: Receiver, send: Sender, status: int, header: str, seconds: float
) -> None:
    receiver.answers["/hook"] = Reply(status, headers={"retry-after": header})
    assert send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW).wait == seconds


def test_a_private_address_is_refused_unless_it_is_allowed(receiver: Receiver) -> None:
    with closing(Sender()) as send:
        outcome = send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW)
    assert outcome.came == NEVER
    assert "DELIVER_ALLOW" in outcome.said
    assert receiver.got == []


def test_nobody_there_may_pass() -> None:
    gone = Receiver()
    gone.stop()
    with closing(Sender((gone.address,))) as send:
        assert send(Channel("desk", "webhook", gone.url()), note(), KEY, NOW).came == LATER


def test_an_answer_that_is_hostile_is_cut_and_folded(receiver: Receiver, send: Sender) -> None:
    receiver.answers["/hook"] = Reply(400, b"a\x00\x1b[31m\n" * 5_000 + b"\xff")
    said = send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW).said
    assert len(said) < 250 and "\n" not in said and "\x1b" not in said
    receiver.answers["/hook"] = Reply(200, b"x" * 200_000)
    assert send(Channel("desk", "webhook", receiver.url()), note(), KEY, NOW).came == LATER


# --- by mail ------------------------------------------------------------------------------------


class Mailbox:
    """What a mail server took; `refuse`: recipient → answer in the place of 250."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.refuse: dict[str, str] = {}
        self.answer = "250 taken"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.to.append(envelope.rcpt_tos)
        return self.answer


class Server(Controller):
    """On a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = int(self.server.sockets[0].getsockname()[1])
        super()._trigger_server()


def serve(box: Mailbox, **options: Any) -> Server:
    controller = Server(box, hostname="127.0.0.1", port=0, **options)
    controller.start()
    return controller


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(box: Mailbox) -> Iterator[int]:
    controller = serve(box)
    yield controller.port
    controller.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    name = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run([*command.split(), *name], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    return both


def by_mail(port: int, *recipients: str, **other: Any) -> Channel:
    to = recipients or ("ada@example.com",)
    options = {"security": "none"} | other
    mail = Mail(to, "news@monitor.example", "127.0.0.1", port, **options)
    return Channel("mail", "email", ", ".join(to), mail=mail)


def test_a_mail_arrives_as_plain_text_with_a_stable_name(box: Mailbox, smtp: int) -> None:
    channel = by_mail(smtp, "ada@example.com", "bo@example.com")
    assert mailing.send_mail(channel, note(), KEY, NOW).came == ARRIVED
    assert mailing.send_mail(channel, note(), KEY, NOW).came == ARRIVED
    first, second = box.mails
    assert box.to[0] == ["ada@example.com", "bo@example.com"]
    assert first["Subject"] == "banking: 62 % negative, normally 21 %"
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@monitor.example>")
    assert first["List-Id"] == "<news-monitor.monitor.example>"
    assert first.get_content_type() == "text/plain"
    assert "https://wire.example/1" in first.get_content()


def test_the_end_answers_the_mail_of_the_start(box: Mailbox, smtp: int) -> None:
    mailing.send_mail(by_mail(smtp), note(), KEY, NOW)
    mailing.send_mail(by_mail(smtp), over(), "other", NOW, KEY)
    assert box.mails[1]["In-Reply-To"] == box.mails[0]["Message-ID"]


def test_no_title_or_topic_can_add_a_header(box: Mailbox, smtp: int) -> None:
    evil = "x\r\nBcc: all@example.com\r\n\r\nhello"
    said = note(FIRING, headline(evil, "", [evil]), topic=evil)
    assert mailing.send_mail(by_mail(smtp), said, "k\r\nBcc: you@example.com", NOW).came == ARRIVED
    [mail] = box.mails
    assert mail["Bcc"] is None
    assert box.to == [["ada@example.com"]]
    assert mail["Subject"].startswith("x Bcc: all@example.com hello")
    with pytest.raises(ValueError):
        mailing.mail_of(
            Mail(("a@b.example\r\nBcc: c@d.example",), "x@y.example", "h", 25, "none"),
            said,
            KEY,
            NOW,
            None,
        )


@pytest.mark.parametrize(
    ("answer", "came"), [("451 later", LATER), ("554 never", NEVER), ("250 taken", ARRIVED)]
)
def test_the_mail_server_s_answer_is_heard(box: Mailbox, smtp: int, answer: str, came: str) -> None:
    box.answer = answer
    outcome = mailing.send_mail(by_mail(smtp), note(), KEY, NOW)
    assert outcome.came == came
    assert came == ARRIVED or f"answered {answer[:3]}" in outcome.said


def test_a_recipient_who_is_refused_does_not_keep_the_mail_from_others(
    box: Mailbox, smtp: int
) -> None:
    box.refuse["bo@example.com"] = "550 nobody of that name"
    outcome = mailing.send_mail(
        by_mail(smtp, "ada@example.com", "bo@example.com"), note(), KEY, NOW
    )
    assert outcome.came == ARRIVED and "bo@example.com" in outcome.said
    assert mailing.send_mail(by_mail(smtp, "bo@example.com"), note(), KEY, NOW).came == NEVER
    box.refuse["bo@example.com"] = "450 mailbox busy"
    assert mailing.send_mail(by_mail(smtp, "bo@example.com"), note(), KEY, NOW).came == LATER


def test_nobody_at_the_mail_server_s_place_may_pass() -> None:
    assert mailing.send_mail(by_mail(1), note(), KEY, NOW).came == LATER


def test_a_mail_server_that_never_comes_to_an_end_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, box: Mailbox
) -> None:
    monkeypatch.setattr(mailing, "TOTAL_SECONDS", 0.1)

    async def forever(*_: Any) -> str:
        import asyncio

        await asyncio.sleep(60)
        return "250 at last"

    box.handle_RCPT = forever  # type: ignore[method-assign]
    controller = serve(box)
    try:
        assert mailing.send_mail(by_mail(controller.port), note(), KEY, NOW).came == LATER
    finally:
        controller.stop()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_encrypted_and_with_a_login(
    box: Mailbox, certificate: Path, security: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    asked: list[tuple[bytes, bytes]] = []

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        asked.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cret", handled=False)

    how = {"ssl_context": context} if security == "tls" else {"tls_context": context}
    controller = serve(
        box, authenticator=login, auth_required=True, auth_require_tls=security != "tls", **how
    )
    try:
        options = {"security": security, "user": "ada", "ca_file": certificate}
        port = controller.port
        right = by_mail(port, **options, password="s3cret")
        assert mailing.send_mail(right, note(), KEY, NOW).came == ARRIVED
        wrong = mailing.send_mail(by_mail(port, **options, password="no"), note(), KEY, NOW)
        assert wrong.came == NEVER and "535" in wrong.said
        unknown = mailing.send_mail(
            by_mail(port, security=security, user="ada", password="s3cret"), note(), KEY, NOW
        )
        assert unknown.came == NEVER and "certificate" in unknown.said
    finally:
        controller.stop()
    assert set(asked) == {(b"ada", b"s3cret"), (b"ada", b"no")}


# --- through Apprise ----------------------------------------------------------------------------


def through(address: str) -> Channel:
    return Channel("phone", "apprise", address)


def test_apprise_reaches_a_host_that_is_allowed(receiver: Receiver, send: Sender) -> None:
    said = note(FIRING, headline("hello @everyone", "", ["Wire"]))
    outcome = send(through(f"json://{receiver.address}/in"), said, KEY, NOW)
    assert outcome.came == ARRIVED
    [got] = receiver.got
    assert got.json["title"] == "banking: 62 % negative, normally 21 %"
    assert "@everyone" not in got.json["message"]


def test_apprise_may_not_reach_a_host_that_is_not_allowed(receiver: Receiver) -> None:
    with closing(Sender(("127.0.0.2:80", "10.0.0.0/8"))) as send:
        outcome = send(through(f"json://{receiver.address}/in"), note(), KEY, NOW)
        assert outcome.came == NEVER and "DELIVER_ALLOW" in outcome.said
        public = send(through("jsons://hooks.example/in"), note(), KEY, NOW)
        assert public.came == NEVER and "hooks.example:443" in public.said
    assert receiver.got == []


def test_a_network_may_be_allowed_to_apprise(receiver: Receiver) -> None:
    with closing(Sender(("127.0.0.0/8",))) as send:
        assert send(through(f"json://{receiver.address}/in"), note(), KEY, NOW).came == ARRIVED


def test_apprise_follows_no_redirect(receiver: Receiver, send: Sender) -> None:
    receiver.answers["/in"] = Reply(307, headers={"location": receiver.url("/elsewhere")})
    address = f"json://{receiver.address}/in?redirect=yes"
    assert send(through(address), note(), KEY, NOW).came == LATER
    assert [got.path for got in receiver.got] == ["/in"]


@pytest.mark.parametrize(
    "address", ["mailto://ada:pw@mail.internal", "syslog://", "dbus://", "file:///etc/passwd", "x"]
)
def test_other_kinds_of_apprise_addresses_are_refused(send: Sender, address: str) -> None:
    outcome = send(through(address), note(), KEY, NOW)
    assert outcome.came == NEVER and "Known" in outcome.said


def test_an_address_that_apprise_cannot_read_is_said_to_be_so(send: Sender) -> None:
    assert "cannot read" in send(through("tgram://nonsense"), note(), KEY, NOW).said


def test_a_failure_behind_apprise_may_pass(receiver: Receiver, send: Sender) -> None:
    receiver.answers["/in"] = Reply(500)
    outcome = send(through(f"json://{receiver.address}/in"), note(), KEY, NOW)
    assert outcome.came == LATER and "error=500" in outcome.said


def test_what_counts_as_a_service_of_the_internet_has_one_fixed_address_there() -> None:
    manager = apprise.manager_plugins.NotificationManager()
    for schema in sorted(CLOUD):
        plugin = manager[schema]
        address = str(plugin.notify_url)
        assert address.startswith("https://"), schema
        assert "{" not in address.split("/")[2] and "." in address.split("/")[2], schema
        assert not any("{host}" in template for template in plugin.templates), schema
    for schema in sorted(HOSTED):
        assert any("{host}" in template for template in manager[schema].templates), schema


def test_a_missing_library_is_told_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, send: Sender
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = send(through("tgram://123456789:abcdefg_hijklmnop/12315544/"), note(), KEY, NOW)
    assert outcome.came == NEVER and "pip install 'trefoil[notify]'" in outcome.said


def test_the_trial_message_says_that_there_is_nothing_to_do(
    receiver: Receiver, send: Sender
) -> None:
    trial: Note = trial_note("desk", NOW + timedelta(0), "")
    send(Channel("desk", "webhook", receiver.url()), trial, KEY, NOW)
    body = receiver.got[0].json
    assert body["commonAnnotations"]["summary"].startswith("TEST: ")
    assert (body["status"], body["commonLabels"]["test"]) == ("resolved", "true")
