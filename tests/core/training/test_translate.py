"""What comes back from another language, and whose labels does it carry?"""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
import pytest

from core.data.records import LabeledText
from core.errors import FetchError, InvalidInput
from core.training.translate import ChatTranslator, back_translate


def row(text: str, intent: str, line: int) -> LabeledText:
    return LabeledText(text, {"intent": intent}, line)


class Dictionary:
    """Translates by a table; what it does not know stays as it is."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[tuple[str, str]] = []

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        self.asked.append((source, target))
        return [self.known.get(text, text) for text in texts]


def test_new_wordings_follow_the_originals_with_their_labels() -> None:
    rows = [row("hello", "greet", 2), row("goodbye", "part", 3)]
    translator = Dictionary(hello="bonjour", goodbye="adieu", bonjour="good day", adieu="farewell")
    found = back_translate(rows, translator, "fr")
    assert found == [*rows, row("good day", "greet", 2), row("farewell", "part", 3)]
    assert translator.asked == [("en", "fr"), ("fr", "en")]


def test_what_came_back_the_same_or_twice_or_empty_is_left_out() -> None:
    rows = [row("one", "a", 2), row("two", "b", 3), row("three", "a", 4), row("four", "b", 5)]
    translator = Dictionary(one="ONE!", two="both", three="both", four=" ")
    assert back_translate(rows, translator, "fr") == [*rows, row("both", "b", 3)]


def test_a_translator_that_loses_texts_is_refused() -> None:
    class Lazy:
        def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
            return list(texts[:1])

    with pytest.raises(InvalidInput, match=r"given 2 texts .* and gave 1"):
        back_translate([row("a", "x", 2), row("b", "y", 3)], Lazy(), "fr")


def chat(answer: httpx.Response) -> tuple[ChatTranslator, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    transport = httpx.MockTransport(serve)
    client = httpx.Client(base_url="http://127.0.0.1:1/v1/", transport=transport)
    return ChatTranslator(client, "small"), asked


def test_a_chat_server_is_asked_for_each_text() -> None:
    translator, asked = chat(httpx.Response(200, json={"choices": [{"message": {"content": "x"}}]}))
    assert translator.translate(["where is it"], "en", "de") == ["x"]
    assert asked[0].url.path == "/v1/chat/completions"
    body = json.loads(asked[0].content)
    assert body["model"] == "small"
    assert body["messages"][1] == {"role": "user", "content": "where is it"}
    assert "from en to de" in body["messages"][0]["content"]


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500), httpx.Response(200, text="no JSON"), httpx.Response(200, json={})],
)
def test_a_server_that_fails_or_answers_otherwise_is_told(answer: httpx.Response) -> None:
    translator, _ = chat(answer)
    with pytest.raises(FetchError, match=r"no translation came from 127\.0\.0\.1"):
        translator.translate(["a"], "en", "de")
