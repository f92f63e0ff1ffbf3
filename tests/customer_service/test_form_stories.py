"""Forms and webhooks, as customers meet them: over HTTP, with a company's own server behind."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.errors import SettingsError
from services.customer_service.actions import MAX_REPLY_BYTES
from services.customer_service.app import create_app
from services.customer_service.calls import signature
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.understanding import KIND
from tests.customer_service.conftest import NOW

SECRET = "a secret that both sides know"

ANSWERS = """
slots:
  order_number:
    pattern: '(?<![A-Za-z])LY-\\d{6}(?!\\d)'
    ask: {en: "Which order is it about?", zh: "是哪个订单？"}
  product: {kind: lookup, values: {Glow 2: [glow two], Beam: [beamer]}}
  since: {kind: date, past: true, ask: {en: "Since when?", zh: "从什么时候开始？"}}
  fault: {kind: text}
intents:
  greeting: {answers: {en: ["Hello!"], zh: ["您好！"]}}
  talk_to_human: {answers: {en: ["A colleague takes over."]}, handoff: true}
  repair:
    description: {en: "Have it repaired"}
    form:
      slots:
        - slot: order_number
          validate: 'LY-[12]\\d{5}'
          invalid: {en: "That is no order of ours."}
        - {slot: product, ask: {en: "Which product?", zh: "哪个商品？"}, validate: [Glow 2, Beam]}
        - since
        - {slot: fault, ask: {en: "What is wrong with it?", zh: "出了什么问题？"}}
      confirm: {en: "{product} of {order_number}, since {since}: “{fault}”. Right?"}
    answers: {en: ["The repair of {product} is booked."], zh: ["{product} 的维修已登记。"]}
  order_status:
    description: {en: "Where is my order"}
    call:
      name: order_status
      url: /orders
      slots: [order_number]
      reply: [status, shipped_on, not_found]
      timeout: 1
      cases:
        - {when: {not_found: true}, answers: {en: ["I can't find {order_number}."]}}
    answers:
      en: ["Your order {order_number} left the warehouse on {shipped_on}.", "It is {status}."]
      zh: ["订单 {order_number} 于 {shipped_on} 发货。"]
"""


@dataclass
class Company:
    """A company's server: gives `reply` and keeps what it was sent."""

    address: str = ""
    reply: Any = field(default_factory=lambda: {"shipped_on": "2 March"})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]


def answer_for(company: Company) -> type[BaseHTTPRequestHandler]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            company.got.append((self.path, headers, body))
            if company.hang is not None:
                company.hang.wait(20)
            raw = company.reply
            content = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
            self.send_response(company.status)
            for name, value in company.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Answer


@pytest.fixture
def company() -> Iterator[Company]:
    company = Company()
    server = ThreadingHTTPServer(("127.0.0.1", 0), answer_for(company))
    server.daemon_threads = True
    company.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield company
    if company.hang is not None:
        company.hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(
    make_settings: Callable[..., Settings], artifact: Path, company: Company, tmp_path: Path
) -> Iterator[Serve]:
    """The service with these answers, which may call the company."""
    opened: list[TestClient] = []

    def start(**values: Any) -> TestClient:
        given = {
            "action_urls": (f"http://{company.address}/hooks",),
            "action_secret": SECRET,
            "fetch_allow": (company.address,),
        }
        settings = make_settings(**{**given, **values})
        Registry(settings.models_dir, KIND).promote(artifact)
        answers = tmp_path / "intents.yaml"
        answers.write_text(ANSWERS, encoding="utf-8")
        told = run_import(settings, answers=answers, articles=None, now=lambda: NOW)
        assert "not taken" not in str(told)
        client = TestClient(create_app(settings, now=lambda: NOW), base_url="http://localhost")
        opened.append(client)
        return client.__enter__()

    yield start
    for client in opened:
        client.__exit__(None, None, None)


def say(client: TestClient, message: str, **values: Any) -> dict[str, Any]:
    body = {"message": message, "conversation_id": "c", **values}
    response = client.post("/v1/chat", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


# --- forms ----------------------------------------------------------------------------------------


def test_a_form_asks_for_what_is_missing_one_at_a_time_until_it_is_confirmed(serve: Serve) -> None:
    client = serve()
    first = say(client, "/repair")
    assert (first["action"], first["text"]) == ("ask_slot", "Which order is it about?")
    second = say(client, "it's LY-204518, the beamer")
    assert (second["action"], second["text"]) == ("ask_slot", "Since when?")
    assert second["slots"] == {"order_number": "LY-204518", "product": "Beam"}
    third = say(client, "yesterday")
    assert third["text"] == "What is wrong with it?"
    fourth = say(client, "where is my order? it fell off the table")
    said = "Beam of LY-204518, since 2026-02-28: “where is my order? it fell off the table”. Right?"
    assert (fourth["action"], fourth["text"]) == ("ask_slot", said)
    assert [button["payload"] for button in fourth["buttons"]] == ["Yes", "No"]
    last = say(client, "Yes")
    assert (last["action"], last["text"]) == ("answer", "The repair of Beam is booked.")
    assert last["slots"]["fault"] == "where is my order? it fell off the table"


def test_a_choice_has_buttons(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    asked = say(client, "LY-204518")
    assert asked["text"] == "Which product?"
    assert [button["title"] for button in asked["buttons"]] == ["Glow 2", "Beam"]


def test_what_is_wrong_is_said_and_after_two_repeats_a_person_takes_over(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    again = say(client, "LY-904518")
    assert again["text"] == "That is no order of ours. Which order is it about?"
    assert "order_number" not in again["slots"]
    once_more = say(client, "LY-904519")
    assert once_more["action"] == "ask_slot"
    given_up = say(client, "LY-904510")
    assert given_up["action"] == "handoff"
    assert "colleague" in given_up["text"]
    assert say(client, "LY-204518")["intent"] != "repair"


def test_a_correction_at_the_end_is_taken_and_confirmed_anew(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    say(client, "LY-204518, the beamer, since 20.02.2026")
    say(client, "it is dark")
    no = say(client, "No")
    assert no["action"] == "ask_slot"
    assert "different" in no["text"]
    anew = say(client, "LY-204519, not LY-204518")
    assert anew["text"].startswith("Beam of LY-204519")
    assert say(client, "yes please")["action"] == "answer"


def test_another_sure_intent_is_answered_and_the_question_comes_once_more(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    greeted = say(client, "hello there")
    assert greeted["action"] == "answer"
    assert greeted["text"] == "Hello!\n\nBack to what we were doing: Which order is it about?"
    assert say(client, "LY-204518")["text"] == "Which product?"


def test_interrupted_twice_the_form_is_dropped(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    say(client, "hello there")
    assert say(client, "good morning shop")["text"] == "Hello!"
    assert say(client, "LY-204518")["intent"] != "repair"


def test_a_person_is_never_kept_from_by_a_form(serve: Serve) -> None:
    client = serve()
    say(client, "/repair")
    answer = say(client, "I need a human")
    assert (answer["action"], answer["text"]) == ("handoff", "A colleague takes over.")


@pytest.mark.parametrize(
    ("message", "locale", "said"),
    [("Never mind!", "en", "dropped"), ("算了", "zh", "取消"), ("cancel", "en", "dropped")],
)
def test_a_form_can_be_left_at_any_question(
    serve: Serve, message: str, locale: str, said: str
) -> None:
    client = serve()
    say(client, "/repair", locale=locale)
    left = say(client, message, locale=locale)
    assert left["action"] == "answer"
    assert said in left["text"]
    assert say(client, "LY-204518", locale=locale)["intent"] != "repair"


def test_a_form_lives_in_the_database_and_not_in_the_process(serve: Serve) -> None:
    say(serve(), "/repair")
    assert say(serve(), "LY-204518")["text"] == "Which product?"


# --- webhooks -------------------------------------------------------------------------------------


def test_the_answer_is_filled_from_the_companys_reply(serve: Serve, company: Company) -> None:
    client = serve()
    assert say(client, "where is my order")["text"] == "Which order is it about?"
    answer = say(client, "LY-204518", message_id="m-2")
    assert answer["action"] == "call"
    assert answer["text"] == "Your order LY-204518 left the warehouse on 2 March."
    assert answer["slots"] == {"order_number": "LY-204518"}
    ((path, headers, body),) = company.got
    assert path == "/hooks/orders"
    assert json.loads(body) == {
        "action": "order_status",
        "conversation_id": "c",
        "message_id": "m-2",
        "locale": "en",
        "slots": {"order_number": "LY-204518"},
    }
    stamp = headers["x-trefoil-timestamp"]
    assert stamp == str(int(NOW.timestamp()))
    assert headers["x-trefoil-signature"] == signature(SECRET, stamp, body)
    assert headers["content-type"] == "application/json"


def test_a_repeated_message_asks_the_company_once(serve: Serve, company: Company) -> None:
    client = serve()
    first = say(client, "where is my order LY-204518", message_id="m")
    assert say(client, "where is my order LY-204518", message_id="m") == first
    assert len(company.got) == 1


def test_another_message_has_another_key(serve: Serve, company: Company) -> None:
    client = serve()
    say(client, "where is my order LY-204518")
    say(client, "where is my order LY-204518")
    assert len({headers["idempotency-key"] for _, headers, _ in company.got}) == 2


def test_a_corrected_value_asks_again(serve: Serve, company: Company) -> None:
    client = serve()
    say(client, "where is my order LY-204518")
    assert say(client, "no, LY-204519")["action"] == "call"
    assert [body["slots"]["order_number"] for body in company.bodies] == ["LY-204518", "LY-204519"]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"not_found": True}, "I can't find LY-204518."),
        ({"not_found": False, "shipped_on": "2 May"}, "left the warehouse on 2 May."),
        ({"status": "packed", "order_number": "LY-1"}, "It is packed."),
        ({"status": "a\u202e\nb\x00" + "x" * 900}, "It is a b" + "x" * 497 + "."),
        ({"status": "{order_number} <b>"}, "It is {order_number} <b>."),
        ({"status": 7, "nested": {"a": 1}, "none": None}, "It is 7."),
    ],
)
def test_what_the_company_says_is_text_and_nothing_else(
    serve: Serve, company: Company, reply: Any, text: str
) -> None:
    company.reply = reply
    answer = say(serve(), "where is my order LY-204518")
    assert answer["action"] == "call"
    assert answer["text"].endswith(text)


def failed(client: TestClient, outcome: str) -> None:
    answer = say(client, "where is my order LY-204518")
    assert answer["action"] == "handoff"
    assert answer["intent"] == "order_status"
    assert "can't look that up" in answer["text"]
    assert "127.0.0.1" not in answer["text"]
    counted = f'calls_total{{call="order_status",outcome="{outcome}"}} 1.0'
    assert counted in client.get("/metrics").text


@pytest.mark.parametrize(
    ("status", "reply", "headers", "outcome"),
    [
        (500, {"shipped_on": "2 March"}, {}, "failed"),
        (404, {}, {}, "failed"),
        (200, b"<html>", {}, "failed"),
        (200, ["shipped_on"], {}, "failed"),
        (200, b" " * (MAX_REPLY_BYTES + 1), {}, "too_large"),
        (302, {}, {"location": "http://127.0.0.1:1/"}, "redirect"),
        (307, {}, {"location": "http://169.254.169.254/"}, "redirect"),
    ],
)
def test_a_webhook_that_fails_is_said_politely_and_handed_over(
    serve: Serve,
    company: Company,
    status: int,
    reply: Any,
    headers: dict[str, str],
    outcome: str,
) -> None:
    company.status, company.reply, company.headers = status, reply, headers
    failed(serve(), outcome)


def test_a_reply_without_what_the_answer_needs_is_handed_over_too(
    serve: Serve, company: Company
) -> None:
    company.reply = {"shipped": "2 March"}
    assert say(serve(), "where is my order LY-204518")["action"] == "handoff"


def test_a_slow_webhook_is_waited_for_only_so_long(serve: Serve, company: Company) -> None:
    company.hang = threading.Event()
    failed(serve(), "timeout")


def test_a_private_address_is_called_only_where_it_is_allowed(
    serve: Serve, company: Company
) -> None:
    failed(serve(fetch_allow=()), "refused")
    assert company.got == []


def test_what_no_setting_names_is_never_called(serve: Serve, company: Company) -> None:
    client = serve(action_urls=("https://shop.example/hooks",))
    said = client.get("/v1/admin/intents/order_status").json()
    del said["name"], said["trained"], said["taught"]
    said["call"]["url"] = f"http://{company.address}/hooks/orders"
    stored = client.put("/v1/admin/intents/order_status", json=said)
    assert stored.status_code == 200, stored.text
    failed(client, "refused")
    assert company.got == []


def test_a_failure_is_told_in_the_customers_language(serve: Serve, company: Company) -> None:
    company.status = 503
    answer = say(serve(), "where is my order LY-204518", locale="zh")
    assert answer["action"] == "handoff"
    assert "同事" in answer["text"]


def test_without_any_address_a_call_is_handed_over(serve: Serve) -> None:
    failed(serve(action_urls=(), action_secret=""), "refused")


def test_addresses_without_a_secret_are_a_mistake(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(action_urls=("https://shop.example/hooks",))
    with (
        pytest.raises(SettingsError, match="action_secret"),
        TestClient(create_app(settings), base_url="http://localhost"),
    ):
        pass


def test_the_receiver_of_the_documentation_knows_our_signature_and_no_other(serve: Serve) -> None:
    page = (Path(__file__).parents[2] / "docs" / "FORMS.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    # The clock of the service stands still, that of the receiver is set to it.
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(code, names)
    names["time"] = SimpleNamespace(time=NOW.timestamp)
    server = ThreadingHTTPServer(("127.0.0.1", 0), names["Orders"])
    names["Orders"].log_message = lambda *arguments: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        place = f"127.0.0.1:{server.server_address[1]}"
        given: dict[str, Any] = {"action_urls": (f"http://{place}",), "fetch_allow": (place,)}
        known = serve(**given, action_secret=names["SECRET"].decode())
        assert say(known, "where is my order LY-204518")["text"] == "It is packed (LY-204518)."
        stranger = serve(**given, action_secret="another secret of ours")
        assert say(stranger, "where is my order LY-204518")["action"] == "handoff"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_wrong_form_is_refused_with_its_place(serve: Serve) -> None:
    body = {"answers": {"en": ["x"]}, "form": {"slots": [{"slot": "nobody"}]}}
    response = serve().put("/v1/admin/intents/repair", json=body)
    assert response.status_code == 422
    assert "form, number 1: 'nobody' is no slot" in response.json()["detail"]
