"""How many two-turn dialogues are resolved, and how many single questions does context change?

    python -m tests.customer_service.measure_dialogues MODEL   (a folder that `train` wrote)

dialogues.yaml is asked with and without its first message. Each question of the sample's test.csv
is asked alone and a minute after a question of another intent, in its language, from train.csv;
none of an intent that opens a form or calls a person: those do go on.
"""

from __future__ import annotations

import csv
import random
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient

from core.artifacts import Registry
from services.customer_service.app import create_app
from services.customer_service.importers.run import run_import
from services.customer_service.phrases import opens_with
from services.customer_service.settings import Settings
from services.customer_service.understanding import KIND

DATA = Path(__file__).parents[2] / "shared_data" / "customer_service"
DIALOGUES = Path(__file__).parent / "dialogues.yaml"
SMALL_TALK = {"greeting", "thanks", "goodbye", "abuse", "oos"}


class Clock:
    """A minute passes between two messages: no bursts."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._now

    def later(self) -> None:
        self._now += timedelta(minutes=1)


CLOCK = Clock()


def main(model: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder), rate_limit="", threads=1)
        Registry(settings.models_dir, KIND).promote(model)
        run_import(
            settings,
            answers=DATA / "intents.yaml",
            articles=DATA / "articles",
            now=CLOCK,
        )
        with TestClient(create_app(settings, now=CLOCK), base_url="http://localhost") as client:
            while not client.app.state.live.current().knowledge.encoder_id:  # type: ignore[attr-defined]
                client.get("/readyz")
            print(dialogues(client))
            print(unrelated(client))


def ask(client: TestClient, *texts: str) -> dict[str, Any]:
    """The answer to the last of the texts, in a conversation of their own."""
    conversation = f"m-{random.getrandbits(64)}"
    for text in texts:
        response = client.post("/v1/chat", json={"message": text, "conversation_id": conversation})
        response.raise_for_status()
        CLOCK.later()
    return dict(response.json())


def dialogues(client: TestClient) -> str:
    rows = yaml.safe_load(DIALOGUES.read_text(encoding="utf-8"))
    said = []
    for name, of in (("alone", ("then",)), ("with the first", ("first", "then"))):
        answers = [ask(client, *(row[key] for key in of)) for row in rows]
        right = [resolved(a, row) for a, row in zip(answers, rows, strict=True)]
        plain = [r and not maybe(a) for a, r in zip(answers, right, strict=True)]
        wrong = [
            a["action"] in ("answer", "retrieve") and not maybe(a) and not r
            for a, r in zip(answers, right, strict=True)
        ]
        said.append(
            f"{name}: {sum(right)} of {len(rows)} resolved, {sum(plain)} of them for certain;"
            f" {sum(wrong)} wrong for certain"
        )
    return "\n".join(said)


def resolved(answer: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """By a right intent, or by a quote of a right article."""
    if answer["action"] == "answer":
        return answer["intent"] in row["intents"]
    quoted = {source["url"].rsplit("/", 1)[-1] for source in answer["sources"]}
    return answer["action"] == "retrieve" and bool(quoted & set(row["articles"]))


def maybe(answer: Mapping[str, Any]) -> bool:
    return opens_with("maybe", answer["text"])


def unrelated(client: TestClient) -> str:
    rows = _read("test.csv")
    intents = yaml.safe_load((DATA / "intents.yaml").read_text(encoding="utf-8"))["intents"]
    left_out = {name for name, said in intents.items() if "form" in said or said.get("handoff")}
    left_out |= SMALL_TALK
    others = [row for row in _read("train.csv") if row["intent"] not in left_out]
    draw, changed, careful = random.Random(0), 0, 0
    for row in rows:
        first = draw.choice(
            [o for o in others if o["intent"] != row["intent"] and o["lang"] == row["lang"]]
        )
        alone = _decided(ask(client, row["text"]))
        behind = _decided(ask(client, first["text"], row["text"]))
        if alone == behind:
            continue
        if alone[0] == behind[0] == "unsure":
            careful += 1
        else:
            changed += 1
            print(f"  {first['text']} | {row['text']}: {alone} -> {behind}")
    return (
        f"behind an unrelated question {changed} of {len(rows)} are answered otherwise; {careful}"
        " get another question back, maybe or hand-over since the one before was not helped with"
    )


def _decided(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """What was said, but for the variant of a template."""
    sources = tuple(source["url"] for source in answer["sources"])
    if answer["action"] in ("abstain", "clarify") or maybe(answer):
        return "unsure", answer["action"], sources
    if answer["action"] == "handoff" and not opens_with("handoff", answer["text"]):
        return "handoff", answer["intent"]
    if answer["action"] == "handoff":
        return "unsure", "abstain", ()
    return answer["action"], answer["intent"] if answer["action"] != "retrieve" else None, sources


def _read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
