"""A server never imports torch: each is started in a fresh process, used, and looked into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FORBIDDEN = ("torch", "transformers", "sentence_transformers", "sklearn", "pandas")

# Runs the app inside the process whose modules are to be seen, through its real ASGI interface.
PROBE = """
import asyncio, json, sys
import httpx
from importlib import import_module

async def main():
    app_module, requests = sys.argv[1], json.loads(sys.argv[2])
    module, _, attribute = app_module.partition(":")
    app = getattr(import_module(module), attribute)()
    statuses = []
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for method, path, body in requests:
                answer = await client.request(method, path, json=body)
                statuses.append([path, answer.status_code, answer.text[:200]])
    print(json.dumps({"statuses": statuses, "modules": sorted(sys.modules)}))

asyncio.run(main())
"""

REQUESTS: dict[str, list[tuple[str, str, Any]]] = {
    "customer_service": [
        ("POST", "/v1/chat", {"message": "where is my order?"}),
        ("POST", "/v1/chat", {"message": "how do I look after the battery of my laptop"}),
        ("POST", "/v1/chat", {"message": "我的包裹在哪里"}),
        ("GET", "/readyz", None),
    ],
    "finance_sentiment": [
        ("POST", "/v1/classify", {"texts": ["Shares fall after a profit warning", "利润下降"]}),
        ("GET", "/v1/stories", None),
        ("GET", "/v1/trends", None),
        ("GET", "/readyz", None),
    ],
    "recommender": [
        ("PUT", "/v1/items", [{"item_id": "a1", "title": "Warm hiking jacket"}]),
        (
            "POST",
            "/v1/events",
            {"user_id": "u1", "item_id": "a1", "event": "click", "timestamp": 1760000000},
        ),
        ("POST", "/v1/recommendations", {"user_id": "u1", "n": 3}),
        ("GET", "/readyz", None),
    ],
}


@pytest.mark.parametrize("service", REQUESTS)
def test_a_server_answers_without_ever_importing_torch(
    service: str, trained_services: Path, tmp_path: Path
) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE, encoding="utf-8")
    finished = subprocess.run(
        [
            sys.executable,
            str(probe),
            f"services.{service}.app:create_app",
            json.dumps(REQUESTS[service]),
        ],
        env={**os.environ, "TREFOIL_VAR": str(trained_services)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    said = json.loads(finished.stdout.splitlines()[-1])
    assert [s for s in said["statuses"] if s[1] >= 400] == []
    loaded = {name.partition(".")[0] for name in said["modules"]}
    assert loaded.isdisjoint(FORBIDDEN), loaded & set(FORBIDDEN)
