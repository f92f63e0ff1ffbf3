"""Is a list of channels read as it is meant, and does a mistake in it say where it is?"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DataError, NotFound
from services.finance_sentiment.channels import channel_named, read_channels
from services.finance_sentiment.silences import Matcher

SECRETS = {"SECRET": "s3cret", "HOOK": "https://chat.example/T0/B0/x", "EMPTY": " "}
HOOK = "{name: desk, kind: webhook, address: 'https://desk.example/hook'"
MAIL = (
    "{name: mail, kind: email, address: 'ada@example.com, bo@example.com',"
    " from: news@example.com, smtp: mail.internal"
)


def read(tmp_path: Path, *rows: str):
    path = tmp_path / "channels.yaml"
    path.write_text("".join(f"- {row}\n" for row in rows), encoding="utf-8")
    return read_channels(path, SECRETS)


def test_channels_are_read_with_their_secrets_and_matchers(tmp_path: Path) -> None:
    matchers = "matchers: [{name: topic, value: banking}, {name: test, operator: '!=', value: x}]"
    desk, chat = read(
        tmp_path,
        HOOK + ", secret_env: SECRET, " + matchers + "}",
        "{name: chat, kind: slack, address_env: HOOK}",
    )
    assert (desk.name, desk.kind, desk.secret) == ("desk", "webhook", "s3cret")
    assert desk.matchers == (Matcher("topic", "=", "banking"), Matcher("test", "!=", "x"))
    assert chat.address == SECRETS["HOOK"]
    for secret in (SECRETS["SECRET"], SECRETS["HOOK"]):
        assert secret not in repr([desk, chat])


def test_a_mail_channel_knows_whom_to_write_to_and_how(tmp_path: Path) -> None:
    plain, login = read(
        tmp_path,
        MAIL + "}",
        MAIL.replace("name: mail", "name: mail2").replace("mail.internal", "'mail.internal:2525'")
        + ", security: tls, user: ada, password_env: SECRET}",
    )
    assert plain.mail is not None and login.mail is not None
    assert plain.mail.recipients == ("ada@example.com", "bo@example.com")
    assert (plain.mail.port, plain.mail.security) == (587, "starttls")
    assert (login.mail.port, login.mail.user, login.mail.password) == (2525, "ada", "s3cret")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{name: desk, kind: pigeon, address: x}", "`kind`: expected one of webhook"),
        ("{name: 'a b', kind: webhook, address: 'https://a.example'}", "`name`: expected 1 to 60"),
        ("{name: desk, kind: webhook}", "`address`: expected an address, or address_env"),
        (HOOK + ", address_env: HOOK}", "`address`: expected an address, or address_env"),
        ("{name: desk, kind: webhook, address: 'ftp://a.example'}", "an http or https address"),
        ("{name: a, kind: alertmanager, address: 'http://a.example?x=1'}", "without a query"),
        (HOOK + ", colour: red}", "has no key 'colour'"),
        (HOOK + ", smtp: mail.internal}", "a channel of kind webhook has no key 'smtp'"),
        (HOOK + ", secret_env: MISSING}", "environment variable MISSING is not set"),
        (HOOK + ", secret_env: EMPTY}", "environment variable EMPTY is not set"),
        (HOOK + ", secret_env: 'a secret, by mistake'}", "the name of an environment variable"),
        (HOOK + ", matchers: [{name: colour, value: red}]}", "`matchers`: `name`: expected one"),
        (HOOK + ", matchers: {name: topic}}", "`matchers`: expected a list"),
        (MAIL.replace("ada@example.com,", "ada@example.com\\nbcc,") + "}", "mail addresses"),
        (MAIL.replace("from: news@example.com", "from: news") + "}", "`from`: expected a mail"),
        (MAIL + ", security: maybe}", "`security`: expected one of"),
        (
            MAIL.replace("mail.internal", "'mail.internal:99999'") + "}",
            "`smtp`: expected host:port",
        ),
        (MAIL + ", user: ada}", "user and password_env, or neither"),
        (MAIL + ", user: ada, password_env: SECRET, security: none}", "without encryption"),
        (MAIL + ", ca_file: nowhere.pem}", "`ca_file`: expected a file"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    with pytest.raises(DataError) as raised:
        read(tmp_path, HOOK.replace("desk", "first") + "}", row)
    assert expected in str(raised.value)
    assert "line 2" in str(raised.value)


def test_two_channels_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'desk' stands above"):
        read(tmp_path, HOOK + "}", HOOK + "}")


def test_there_are_no_more_channels_than_connections(tmp_path: Path) -> None:
    rows = [HOOK.replace("desk,", f"desk{number},") + "}" for number in range(21)]
    assert len(read(tmp_path, *rows[:20])) == 20
    with pytest.raises(DataError, match="at most 20 channels, found 21"):
        read(tmp_path, *rows)


def test_a_secret_typed_into_the_file_by_mistake_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        read(tmp_path, HOOK + ", secret_env: 'hunter2!'}")
    assert "hunter2" not in str(raised.value)


def test_a_channel_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Channels are: desk"):
        channel_named(read(tmp_path, HOOK + "}"), "dask")
