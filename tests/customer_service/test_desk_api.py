"""The desk over HTTP: logging in, taking over, and what only an admin may."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key, create_publishable_key
from core.web.logs import JsonFormatter
from services.customer_service import passwords
from services.customer_service.app import create_app
from services.customer_service.cli import group
from services.customer_service.settings import Settings
from services.customer_service.tables import api_keys

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday, 10:00 in Berlin
PASSWORD = "seven grey umbrellas"
SHOP = "https://shop.example"
OFFICE = {
    "timezone": "Europe/Berlin",
    "weekly": {"monday": ["09:00-17:00"], "tuesday": ["09:00-17:00"]},
    "expected_minutes": 10,
}


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.token = ""

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> Any:
        body = {"name": name, "password": password}
        response = self.client.post("/v1/desk/login", json=body, headers=headers)
        self.token = response.json().get("csrf_token", "")
        return response

    def get(self, url: str) -> Any:
        return self.client.get(url)

    def post(self, url: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", url, body, **headers)

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> Any:
        headers = {"x-csrf-token": self.token, **headers}
        return self.client.request(method, url, json=body, headers=headers)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", cheap)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(shop: Settings, clock: Clock) -> Iterator[Any]:
    """A service with keys and agents; the first client keeps it running."""
    app = create_app(shop.replace(desk_seconds=0.02), now=clock)
    with TestClient(app, base_url="http://bot.example"):
        accounts = app.state.people.accounts
        accounts.add("anna", PASSWORD, role="agent", shown_as="Anna")
        accounts.add("bert", PASSWORD, role="agent")
        accounts.add("chief", PASSWORD, role="admin")
        engine = make_engine(shop.database_url)
        with session_factory(engine).begin() as session:
            app.state.keys = {
                "shop": create_publishable_key(session, api_keys, "shop", [SHOP]),
                "server": create_key(session, api_keys, "server", ["chat"]),
                "owner": create_key(session, api_keys, "owner", ["*"]),
            }
        app.state.authenticator._in_use = (float("-inf"), False)  # asked anew
        yield app


@pytest.fixture
def browser(app: Any) -> Callable[..., Person]:
    """A browser without cookies, at this address of the service."""

    def open_(url: str = "http://bot.example") -> Person:
        return Person(TestClient(app, base_url=url))

    return open_


@pytest.fixture
def anna(browser: Callable[..., Person]) -> Person:
    person = browser()
    assert person.log_in("anna").status_code == 200
    return person


@pytest.fixture
def chief(browser: Callable[..., Person]) -> Person:
    person = browser()
    assert person.log_in("chief").status_code == 200
    return person


@pytest.fixture
def customer(app: Any) -> Callable[..., dict[str, Any]]:
    """Send a message into the conversation "c"; the answer."""
    client = TestClient(app, base_url="http://bot.example")
    client.headers["authorization"] = f"Bearer {app.state.keys['server']}"

    def say(message: str, conversation_id: str = "c", **values: Any) -> dict[str, Any]:
        body = {"message": message, "conversation_id": conversation_id, **values}
        response = client.post("/v1/chat", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    return say


def read(app: Any, url: str) -> Any:
    """What the customer's side reads."""
    client = TestClient(app, base_url="http://bot.example")
    return client.get(url, headers={"authorization": f"Bearer {app.state.keys['server']}"})


# --- the door ------------------------------------------------------------------------------------


def test_logging_in_gives_a_cookie_that_scripts_and_other_sites_never_get(
    browser: Callable[..., Person],
) -> None:
    person = browser()
    response = person.log_in("Anna")
    assert response.json()["name"] == "anna"
    assert set(response.json()) == {"name", "shown_as", "role", "language", "csrf_token"}
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert person.get("/v1/desk/me").json() == response.json()


def test_over_https_or_by_setting_the_cookie_is_secure(
    app: Any, browser: Callable[..., Person], shop: Settings
) -> None:
    assert "Secure" in browser("https://bot.example").log_in("anna").headers["set-cookie"]
    with TestClient(create_app(shop.replace(desk_secure_cookie=True))) as client:
        assert "Secure" in Person(client).log_in("anna").headers["set-cookie"]


def test_who_has_no_cookie_reads_and_changes_nothing(app: Any, anna: Person) -> None:
    keys = app.state.keys
    client = TestClient(app, base_url="http://bot.example")
    urls = ["/v1/desk/me", "/v1/desk/queue", "/v1/desk/canned", "/v1/desk/conversations/c"]
    for url in urls:
        assert client.get(url).status_code == 401, url
        for key, status in (("shop", 403), ("server", 403), ("owner", 401)):
            headers = {"authorization": f"Bearer {keys[key]}"}
            assert client.get(url, headers=headers).status_code == status, (url, key)
        assert client.get(url, headers={"cookie": "trefoil_desk=forged"}).status_code == 401


def test_a_change_needs_the_sessions_own_csrf_token(anna: Person, chief: Person) -> None:
    body = {"texts": {"en": "Hello"}}
    for token in ("", "x", chief.token, anna.token[:-1], "é"):
        headers = {"x-csrf-token": token.encode()}
        response = anna.client.put("/v1/desk/canned/hi", json=body, headers=headers)
        assert response.status_code == 403, token
        assert "X-CSRF-Token" in response.json()["detail"]
    assert anna.client.put("/v1/desk/canned/hi", json=body).status_code == 403
    assert anna.get("/v1/desk/canned").json() == {"canned": []}
    assert anna.send("PUT", "/v1/desk/canned/hi", body).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://bot.example"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://bot.example"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://bot.example.evil.example"}, 403),
        ({"origin": "http://bot.example:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://bot.example"}, 403),
    ],
)
def test_a_page_of_another_site_changes_nothing_even_with_the_token(
    anna: Person, headers: dict[str, str], status: int
) -> None:
    response = anna.send("PUT", "/v1/desk/canned/hi", {"texts": {"en": "Hello"}}, **headers)
    assert response.status_code == status
    assert anna.log_in("anna", **headers).status_code == status


def test_a_cookie_opens_no_websocket_and_counts_for_nothing_beside_a_key(
    app: Any, anna: Person
) -> None:
    headers = {"authorization": f"Bearer {app.state.keys['server']}"}
    assert anna.client.get("/v1/desk/me", headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        anna.client.websocket_connect("/v1/chat/ws"),
    ):
        pass
    assert refused.value.status_code == 401


def test_guessing_a_password_is_limited_by_name_and_by_address(
    app: Any, browser: Callable[..., Person]
) -> None:
    person = browser()
    statuses = [person.log_in("anna", f"wrong guess {n}").status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    refused = person.log_in("bert")
    assert refused.status_code == 429, "the address is used up"
    assert int(refused.headers["retry-after"]) > 60
    elsewhere = Person(
        TestClient(app, base_url="http://bot.example", client=("203.0.113.9", 50_000))
    )
    assert elsewhere.log_in("ANNA ").status_code == 429, "the name is used up too"
    assert elsewhere.log_in("bert").status_code == 200


def test_a_disabled_agent_is_shut_out_at_once(app: Any, anna: Person) -> None:
    assert anna.get("/v1/desk/queue").status_code == 200
    app.state.people.accounts.set_disabled("anna", True)
    assert anna.get("/v1/desk/queue").status_code == 401
    assert anna.log_in("anna").status_code == 401


def test_logging_out_ends_the_session_wherever_its_cookie_is(
    anna: Person, browser: Callable[..., Person]
) -> None:
    copied = browser()
    copied.client.cookies.update(anna.client.cookies)
    response = anna.post("/v1/desk/logout")
    assert response.status_code == 204
    assert 'trefoil_desk="";' in response.headers["set-cookie"]
    assert copied.get("/v1/desk/me").status_code == 401


def test_a_session_ends_by_time(anna: Person, clock: Clock) -> None:
    clock.now = NOW + timedelta(minutes=61)
    assert anna.get("/v1/desk/me").status_code == 401


def test_an_agent_sets_another_password_and_logs_in_again(anna: Person) -> None:
    change = {"old": PASSWORD, "new": "nine blue umbrellas"}
    assert anna.post("/v1/desk/password", {**change, "new": "short"}).status_code == 422
    assert anna.post("/v1/desk/password", {**change, "old": "wrong"}).status_code == 401
    assert anna.post("/v1/desk/password", change).status_code == 204
    assert anna.get("/v1/desk/me").status_code == 401
    assert anna.log_in("anna").status_code == 401
    assert anna.log_in("anna", "nine blue umbrellas").status_code == 200


def test_a_role_says_what_its_cookie_opens(anna: Person, chief: Person) -> None:
    for url in ("/v1/admin/feedback", "/v1/admin/hours", "/v1/admin/intents/greeting"):
        assert anna.get(url).status_code == 403
        assert chief.get(url).status_code == 200
    edited = {"answers": {"en": ["Welcome!"]}}
    assert chief.client.put("/v1/admin/intents/greeting", json=edited).status_code == 403
    assert chief.send("PUT", "/v1/admin/intents/greeting", edited).status_code == 200
    message = {"message": "hello bot"}
    assert anna.post("/v1/chat", message).status_code == 403


# --- the desk ------------------------------------------------------------------------------------


def test_a_customer_is_handed_over_and_answered_by_a_person(
    app: Any,
    anna: Person,
    browser: Callable[..., Person],
    customer: Callable[..., dict[str, Any]],
    clock: Clock,
) -> None:
    customer("hello bot")
    assert customer("get me a human")["action"] == "handoff"
    polled = read(app, "/v1/conversations/c").json()
    assert (len(polled["turns"]), polled["messages"], polled["next_cursor"]) == (2, [], None)
    clock.now += timedelta(seconds=90)
    [queued] = anna.get("/v1/desk/queue").json()["queue"]
    assert (queued["conversation_id"], queued["state"], queued["position"]) == ("c", "waiting", 1)
    assert (queued["last_message"], queued["waiting_seconds"]) == ("get me a human", 90.0)
    assert queued["language"] == "en"

    url = "/v1/desk/conversations/c"
    said = {"text": "Hello, Anna here.", "message_id": "a-1"}
    assert anna.post(f"{url}/messages", said).status_code == 409
    assert anna.post(f"{url}/take").json()["agent"] == "anna"
    bert = browser()
    bert.log_in("bert")
    assert bert.post(f"{url}/take").status_code == 409
    assert bert.post(f"{url}/messages", said).status_code == 409
    first = anna.post(f"{url}/messages", said)
    assert first.status_code == 200, first.text
    assert anna.post(f"{url}/messages", said).json() == first.json()

    news = read(app, f"/v1/conversations/c?cursor={polled['poll_cursor']}").json()
    assert news["turns"] == []
    [message] = news["messages"]
    assert (message["role"], message["name"], message["text"]) == ("agent", "Anna", said["text"])
    assert "agent" not in message, "what an agent logs in with is none of the customer's business"
    later = read(app, f"/v1/conversations/c?cursor={news['poll_cursor']}").json()
    assert (later["turns"], later["messages"]) == ([], [])

    transcript = anna.get(url).json()
    assert [turn["message"] for turn in transcript["turns"]] == ["hello bot", "get me a human"]
    assert len(transcript["turns"][0]["guesses"]) == 3
    assert transcript["turns"][0]["guesses"][0]["intent"] == "greeting"
    assert [m["agent"] for m in transcript["messages"]] == ["anna"]
    assert anna.post(f"{url}/resolve").status_code == 204
    assert anna.get("/v1/desk/queue").json()["queue"] == []
    assert customer("hello bot")["action"] == "answer"


def test_while_a_person_has_the_conversation_the_bot_is_silent(
    app: Any, anna: Person, customer: Callable[..., dict[str, Any]], clock: Clock
) -> None:
    customer("get me a human")
    anna.post("/v1/desk/conversations/c/take")
    answers = [customer(text, message_id=text[-2:]) for text in ("hello bot", "xyzzy", "/greeting")]
    assert [answer["action"] for answer in answers] == ["handoff"] * 3
    assert [answer["text"] for answer in answers] == [
        "A colleague is reading along and will answer you here.",
        "",
        "",
    ]
    assert all(answer["intent"] is None and answer["buttons"] == [] for answer in answers)
    assert customer("hello bot", message_id="ot") == answers[0]
    shown = anna.get("/v1/desk/conversations/c").json()["turns"]
    assert [turn["message"] for turn in shown[1:]] == ["hello bot", "xyzzy", "/greeting"]
    clock.now += timedelta(minutes=15)  # and the agent says nothing
    assert customer("hello bot")["action"] == "answer"
    assert anna.get("/v1/desk/queue").json()["queue"][0]["state"] == "waiting"


def test_a_silent_answer_streams_and_goes_over_a_socket_as_nothing(
    app: Any, anna: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    customer("get me a human")
    anna.post("/v1/desk/conversations/c/take")
    customer("hello bot")
    client = TestClient(app, base_url="http://bot.example")
    key = {"authorization": f"Bearer {app.state.keys['server']}"}
    body = {"message": "hello bot", "conversation_id": "c"}
    streamed = client.post("/v1/chat", json=body, headers={**key, "accept": "text/event-stream"})
    assert streamed.text.startswith("event: done")
    with client.websocket_connect("/v1/chat/ws", headers=key) as socket:
        socket.send_json(body)
        assert socket.receive_json()["event"] == "done"


def test_who_waits_is_answered_where_the_bot_is_sure_and_else_told_their_place(
    customer: Callable[..., dict[str, Any]], anna: Person
) -> None:
    customer("get me a human", "first")
    assert customer("get me a human")["text"] == "A colleague takes over."
    assert customer("hello bot")["action"] == "answer"
    assert customer("delete my account")["action"] == "retrieve"
    for unsure in ("xyzzy plugh", "get me a human", "/talk_to_human"):
        told = customer(unsure)
        assert told["action"] == "handoff", unsure
        assert told["text"].startswith("You are in line for a colleague (number 2)"), unsure
        assert told["buttons"] == []
    anna.post("/v1/desk/conversations/first/take")
    assert customer("xyzzy", locale="zh")["text"].startswith("您正在排队等候人工客服（第1位）")
    reasons = {
        q["conversation_id"]: q["reason"] for q in anna.get("/v1/desk/queue").json()["queue"]
    }
    assert reasons == {"first": "asked", "c": "asked"}


def test_a_customer_whom_nothing_helps_is_handed_over_as_unsure(
    customer: Callable[..., dict[str, Any]], anna: Person
) -> None:
    while customer("xyzzy plugh")["action"] != "handoff":
        pass
    assert anna.get("/v1/desk/queue").json()["queue"][0]["reason"] == "unsure"


def test_the_hand_over_tells_when_somebody_comes(
    chief: Person, customer: Callable[..., dict[str, Any]], clock: Clock
) -> None:
    assert chief.send("PUT", "/v1/admin/hours", OFFICE).status_code == 200
    told = customer("get me a human", "open")["text"]
    assert told == "A colleague takes over. A colleague will take over, usually within 10 minutes."
    clock.now = NOW + timedelta(days=1, hours=9)
    told = customer("get me a human", "closed")["text"]
    assert told.startswith(
        "A colleague takes over. We are back on Monday at 9:00 (Berlin time). You can leave your "
        "e-mail address here"
    )
    assert customer("转接 人工", "chinese")["text"].startswith(
        "马上转接。我们周一 9:00（Berlin时间）回来。"
    )


def test_what_an_agent_says_comes_over_the_customers_websocket(
    app: Any, anna: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    client = TestClient(app, base_url="http://bot.example")
    page = {"authorization": f"Bearer {app.state.keys['shop']}", "origin": SHOP}
    session = client.post("/v1/sessions", headers=page).json()
    name, headers = session["conversation_id"], {"authorization": f"Bearer {session['token']}"}
    client.post("/v1/chat", json={"message": "get me a human"}, headers=headers)
    customer("get me a human", "somebody-else")
    for conversation in (name, "somebody-else"):
        anna.post(f"/v1/desk/conversations/{conversation}/take")

    def say(conversation: str, number: int) -> None:
        body = {"text": f"Hello {number}", "message_id": f"a-{number}"}
        url = f"/v1/desk/conversations/{conversation}/messages"
        assert anna.post(url, body).status_code == 200

    say(name, 1)  # before the socket was opened: read over HTTP
    with client.websocket_connect("/v1/chat/ws", headers=headers) as socket:
        say("somebody-else", 2)
        say(name, 3)
        received = socket.receive_json()
        assert received["event"] == "message"
        assert (received["data"]["text"], received["data"]["role"]) == ("Hello 3", "agent")
        say(name, 4)
        assert socket.receive_json()["data"]["message_id"] == "a-4"


def test_agents_read_what_was_handed_over_and_admins_everything(
    anna: Person, chief: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    customer("hello bot")
    assert anna.get("/v1/desk/conversations/c").status_code == 404
    assert chief.get("/v1/desk/conversations/c").json()["handoff"] is None
    assert chief.get("/v1/desk/conversations/nobody").status_code == 404


def test_an_admin_releases_what_an_agent_has(
    anna: Person,
    chief: Person,
    browser: Callable[..., Person],
    customer: Callable[..., dict[str, Any]],
) -> None:
    customer("get me a human")
    url = "/v1/desk/conversations/c"
    anna.post(f"{url}/take")
    bert = browser()
    bert.log_in("bert")
    assert bert.post(f"{url}/release").status_code == 409
    assert bert.post(f"{url}/resolve").status_code == 409
    assert chief.post(f"{url}/release").json()["state"] == "waiting"
    assert bert.post(f"{url}/take").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"text": "", "message_id": "a"},
        {"text": " \n ", "message_id": "a"},
        {"text": "x" * 10_001, "message_id": "a"},
        {"text": "x"},
        {"text": "x", "message_id": "a b"},
    ],
)
def test_a_message_of_the_wrong_shape_is_refused(anna: Person, body: Any) -> None:
    assert anna.post("/v1/desk/conversations/c/messages", body).status_code == 422


def test_pages_of_a_conversation_hold_turns_and_messages_without_gap_or_repeat(
    app: Any, anna: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    customer("get me a human", message_id="m0")
    anna.post("/v1/desk/conversations/c/take")
    for number in range(5):
        body = {"text": "Hello", "message_id": f"a{number}"}
        anna.post("/v1/desk/conversations/c/messages", body)
    for number in (1, 2):
        customer("thanks", message_id=f"m{number}")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(app, f"/v1/conversations/c?limit=2&cursor={cursor}").json()
        seen += [item["message_id"] for item in page["turns"] + page["messages"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == ["a0", "a1", "a2", "a3", "a4", "m0", "m1", "m2"]
    for wrong in ("x", "1-x", "1-2-3", "1_000"):
        assert read(app, f"/v1/conversations/c?cursor={wrong}").status_code == 422, wrong


def test_canned_answers_are_kept_changed_and_forgotten(anna: Person) -> None:
    url = "/v1/desk/canned/good bye"
    for text in ("Bye", "Good bye!"):
        assert anna.send("PUT", url, {"texts": {"en": text, "zh": "再见"}}).status_code == 200
    kept = [{"name": "good bye", "texts": {"en": "Good bye!", "zh": "再见"}}]
    assert anna.get("/v1/desk/canned").json() == {"canned": kept}
    assert anna.send("DELETE", url).status_code == 204
    assert anna.send("DELETE", url).status_code == 404
    for name, body in ((" x", {"texts": {"en": "x"}}), ("x", {"texts": {}}), ("x", {"texts": 5})):
        assert anna.send("PUT", f"/v1/desk/canned/{name}", body).status_code == 422


# --- what an owner does --------------------------------------------------------------------------


def test_business_hours_are_set_told_and_removed(chief: Person, app: Any) -> None:
    nothing = {"hours": None, "open": None, "until": None}
    assert chief.get("/v1/admin/hours").json() == nothing
    told = chief.send("PUT", "/v1/admin/hours", OFFICE).json()
    assert (told["open"], told["until"]) == (True, "2026-03-02T16:00:00Z")
    assert told["hours"]["weekly"] == OFFICE["weekly"]
    for wrong in ({**OFFICE, "timezone": "Nowhere"}, {**OFFICE, "weekly": {"monday": ["9-17"]}}):
        assert chief.send("PUT", "/v1/admin/hours", wrong).status_code == 422
    assert chief.get("/v1/admin/hours").json() == told
    assert chief.send("DELETE", "/v1/admin/hours").status_code == 204
    assert chief.get("/v1/admin/hours").json() == nothing


def test_an_owners_key_erases_a_conversation_and_the_log_says_who(
    app: Any, anna: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("services")
    logger.addHandler(handler)
    level, _ = logger.level, logger.setLevel(logging.INFO)
    with ExitStack() as undo:
        undo.callback(logger.setLevel, level)
        undo.callback(logger.removeHandler, handler)
        customer("get me a human", "bob-smith")
        anna.log_in("anna")
        anna.post("/v1/desk/conversations/bob-smith/take")
        body = {"text": "a secret matter", "message_id": "a"}
        anna.post("/v1/desk/conversations/bob-smith/messages", body)
        client = TestClient(app, base_url="http://bot.example")
        url = "/v1/admin/conversations/bob-smith"
        for key, status in (("server", 403), ("owner", 204), ("owner", 404)):
            headers = {"authorization": f"Bearer {app.state.keys[key]}"}
            assert client.delete(url, headers=headers).status_code == status
    assert read(app, "/v1/conversations/bob-smith").status_code == 404
    assert anna.get("/v1/desk/queue").json()["queue"] == []
    log = stream.getvalue()
    for line in ("agent logged in", "conversation taken", "conversation erased"):
        assert line in log
    assert '"by": "owner"' in log
    for private in ("bob-smith", "a secret matter", "get me a human", PASSWORD):
        assert private not in log


# --- the command line ----------------------------------------------------------------------------


def test_the_first_admin_is_made_on_the_command_line(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path))
    runner = CliRunner()

    def run(*words: str, typed: str = f"{PASSWORD}\n") -> Any:
        return runner.invoke(group, ["agents", *words], input=typed)

    added = run("add", "Chief@Shop.example", "--role", "admin")
    assert (added.exit_code, PASSWORD in added.output) == (0, False), added.output
    assert "chief@shop.example" in run("list").output
    assert run("add", "chief@shop.example").exit_code != 0
    assert run("add", "bert", typed="short\n").exit_code != 0
    assert run("add", "bert", PASSWORD).exit_code == 2, "a password is never an argument"
    assert run("password", "chief@shop.example", typed="nine blue umbrellas\n").exit_code == 0
    assert run("disable", "chief@shop.example").exit_code == 0
    assert "disabled" in run("list").output
    assert run("disable", "chief@shop.example", "--undo").exit_code == 0
    assert "live" in run("list").output
    assert run("disable", "nobody").exit_code != 0


# --- teaching from the desk ----------------------------------------------------------------------


def test_an_agent_teaches_new_intents_and_changes_no_answer_that_is_there(
    anna: Person, chief: Person, customer: Callable[..., dict[str, Any]]
) -> None:
    new = {"intent": "engraving", "texts": ["do you engrave"], "answer": "Yes, up to 12 letters."}
    assert anna.post("/v1/desk/intents", new).json()["new"] is True
    assert customer("Do you engrave?")["text"] == "Yes, up to 12 letters."
    named = [one["name"] for one in anna.get("/v1/desk/intents").json()["intents"]]
    assert "engraving" in named
    more = {"intent": "engraving", "texts": ["can it be engraved"]}
    assert anna.post("/v1/desk/intents", more).json()["examples"] == 2
    other = {**more, "answer": "No."}
    assert anna.post("/v1/desk/intents", other).status_code == 403
    assert anna.post("/v1/desk/intents", {**other, "language": "zh"}).status_code == 200
    assert chief.post("/v1/desk/intents", other).status_code == 200
    assert customer("do you engrave", "another")["text"] == "No."


def test_nobody_teaches_at_the_desk_without_a_log_in(app: Any) -> None:
    client = TestClient(app, base_url="http://bot.example")
    headers = {"authorization": f"Bearer {app.state.keys['owner']}"}
    assert client.get("/v1/desk/intents").status_code == 401
    assert client.get("/v1/desk/intents", headers=headers).status_code == 401
    assert client.get("/v1/admin/figures").status_code == 401
    assert client.get("/v1/admin/figures", headers=headers).status_code == 200


def test_an_agent_reads_no_figures_and_an_admin_does(anna: Person, chief: Person) -> None:
    for path in ("figures", "promise", "gaps", "intents"):
        assert anna.get(f"/v1/admin/{path}").status_code == 403
        assert chief.get(f"/v1/admin/{path}").status_code == 200
