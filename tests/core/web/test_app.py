"""Does every request carry its name, its figures, its headers and its limits?"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from core.errors import SettingsError, StorageError
from core.settings import ServiceSettings
from core.web import Check
from core.web.headers import SECURITY_HEADERS
from core.web.limits import address_bucket
from core.web.logs import OURS, JsonFormatter, configure_logging


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in ("", *OURS)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def lines(log: io.StringIO, logger: str) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    return [entry for entry in entries if entry["logger"] == logger]


# request ids


def test_a_request_id_is_made_where_none_came(client: TestClient) -> None:
    first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first != second
    assert len(first) == 32


def test_a_sane_request_id_is_kept(client: TestClient) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "order-4711.retry_2"})
    assert response.headers["x-request-id"] == "order-4711.retry_2"


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with blank inside", '{"a": 1, "b": 2}', "é" * 9]
)
def test_an_odd_request_id_is_replaced(client: TestClient, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": given.encode("latin-1")})
    assert response.headers["x-request-id"] != given


# headers


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for path in ("/healthz", "/nowhere", "/v1/broken", "/metrics"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_a_route_may_set_its_own_policy(make_app: Callable[..., FastAPI]) -> None:
    from starlette.responses import HTMLResponse

    router = APIRouter()
    policy = {"Content-Security-Policy": "default-src 'self'"}
    router.add_api_route("/page", lambda: HTMLResponse("<p>", headers=policy))
    headers = TestClient(make_app(public=router)).get("/page").headers
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-content-type-options"] == "nosniff"


# limits


def test_too_many_requests_are_told_when_to_come_back(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    client = TestClient(make_app(settings=settings.replace(rate_limit="3/minute")))
    statuses = [client.get("/v1/me").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    response = client.get("/v1/me")
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["type"] == "urn:trefoil:problem:rate-limited"


def test_one_callers_excess_does_not_touch_another(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    app = make_app(settings=settings.replace(rate_limit="1/minute"))
    greedy, modest = (TestClient(app, client=(f"127.0.0.{n}", 1)) for n in (1, 2))
    assert [greedy.get("/v1/me").status_code for _ in range(2)] == [200, 429]
    assert modest.get("/v1/me").status_code == 200


def test_probes_are_never_limited(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    client = TestClient(make_app(settings=settings.replace(rate_limit="1/minute")))
    assert {client.get("/healthz").status_code for _ in range(5)} == {200}


def test_a_rate_that_cannot_be_read_is_a_settings_error(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    with pytest.raises(SettingsError, match="600/minute"):
        make_app(settings=settings.replace(rate_limit="many"))


@pytest.mark.parametrize(
    ("client", "bucket"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("unix", 0), "unix"),
        (None, "local"),
    ],
)
def test_an_ipv6_caller_is_counted_by_its_network(client: object, bucket: str) -> None:
    assert address_bucket({"type": "http", "client": client}) == bucket


# health


def test_ready_names_its_checks(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(ready=lambda: [Check("database", True), Check("model", True)]))
    assert client.get("/readyz").json()["status"] == "ready"
    assert [check["name"] for check in client.get("/readyz").json()["checks"]] == [
        "database",
        "model",
    ]


def test_not_ready_is_a_503_that_names_what_is_missing(make_app: Callable[..., FastAPI]) -> None:
    async def ready() -> list[Check]:
        return [Check("database", True), Check("model", False, "none is active")]

    response = TestClient(make_app(ready=ready)).get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "not ready: model"
    assert response.json()["checks"][1]["detail"] == "none is active"
    assert response.headers["retry-after"] == "1"


def test_a_check_that_breaks_is_not_ready_and_tells_no_secret(
    make_app: Callable[..., FastAPI],
) -> None:
    def ready() -> list[Check]:
        raise StorageError("postgresql://me:secret@host is down")

    response = TestClient(make_app(ready=ready)).get("/readyz")
    assert response.status_code == 503
    assert "secret" not in response.text


def test_the_process_lives_even_when_it_is_not_ready(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(ready=lambda: [Check("model", False)]))
    assert client.get("/healthz").status_code == 200


# metrics


def test_requests_are_counted_by_route_and_not_by_path(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        client.get(f"/v1/stories/{name}")
        client.get(f"/nowhere/{name}")
    client.request("BREW", "/v1/me")
    text = client.get("/metrics").text
    route = 'method="GET",route="/v1/stories/{story_id}",status="404"'
    assert f"trefoil_http_requests_total{{{route}}} 3.0" in text
    assert 'method="GET",route="unmatched",status="404"} 3.0' in text
    assert 'method="other"' in text
    assert "trefoil_http_request_seconds_bucket" in text
    # The request that reads them is the one in flight.
    assert "trefoil_http_requests_in_flight 1.0" in text


def test_two_apps_keep_their_figures_apart(make_app: Callable[..., FastAPI]) -> None:
    first, second = TestClient(make_app()), TestClient(make_app())
    first.get("/v1/me")
    assert 'route="/v1/me"' not in second.get("/metrics").text


# logs


def test_each_request_is_one_line_without_its_text(client: TestClient, log: io.StringIO) -> None:
    secret = "my card is 4111"
    response = client.post(f"/v1/chat?q={secret}", json={"message": secret})
    client.get(f"/v1/stories/{secret}")
    first, second = lines(log, "trefoil.access")
    assert first["request_id"] == response.headers["x-request-id"]
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/chat", 200)
    assert isinstance(first["ms"], float)
    assert second["route"] == "/v1/stories/{story_id}"
    assert "4111" not in log.getvalue()


def test_an_unexpected_error_is_logged_with_its_place_and_without_its_text(
    client: TestClient, log: io.StringIO
) -> None:
    response = client.get("/v1/broken")
    (entry,) = lines(log, "core.web.errors")
    assert entry["request_id"] == response.headers["x-request-id"]
    (link,) = entry["exception"]
    assert link["type"] == "builtins.ValueError"
    assert "broken" in link["at"][-1]
    assert "4111" not in log.getvalue()


def test_trouble_of_the_box_is_logged_with_its_message(
    client: TestClient, log: io.StringIO
) -> None:
    client.get("/v1/disk")
    assert "/srv/secret/place.db" in log.getvalue()


def test_a_chain_of_exceptions_is_logged_to_its_end() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise StorageError("outer") from inner
    except StorageError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "", 1, "it broke", (), sys.exc_info())
    entry = json.loads(JsonFormatter().format(record))
    assert [link["type"] for link in entry["exception"]] == [
        "core.errors.StorageError",
        "builtins.KeyError",
    ]
    assert entry["exception"][0]["message"] == "outer"


# the app itself


def test_a_service_starts_before_and_stops_after_its_requests(
    make_app: Callable[..., FastAPI],
) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        happened.append("started")
        yield
        happened.append("stopped")

    with TestClient(make_app(lifespan=lifespan)) as client:
        assert client.get("/v1/me").status_code == 200
        assert happened == ["started"]
    assert happened == ["started", "stopped"]


def test_the_description_of_the_api_is_there_and_pages_that_load_scripts_are_not(
    client: TestClient,
) -> None:
    answers = client.get("/openapi.json").json()["paths"]["/v1/chat"]["post"]["responses"]
    assert set(answers) == {"200", "4XX", "5XX"}
    assert "application/problem+json" in answers["4XX"]["content"]
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_the_web_imports_no_library_that_trains() -> None:
    import subprocess
    import sys
    from pathlib import Path

    code = (
        "import sys, core.web, core.db.engine, core.db.keys, core.net\n"
        "heavy = {'torch', 'sklearn', 'transformers', 'scipy', 'pandas', 'numpy', 'alembic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
