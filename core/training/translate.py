"""How does a text come back from another language, said in other words?

Back-translation (Sennrich, Haddow and Birch 2016, "Improving Neural Machine Translation Models with
Monolingual Data") needs a translator, which is a model of its own: any object with `translate` will
do, such as a local translation model, or `ChatTranslator` for a server that speaks the OpenAI
protocol. Give it training rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from core.data.records import LabeledText
from core.errors import FetchError, InvalidInput
from core.text import comparison_key

if TYPE_CHECKING:
    import httpx


class Translator(Protocol):
    """Anything that translates."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> Sequence[str]:
        """Each text in `target`, in order; languages are ISO 639-1 codes ("en", "zh")."""


def back_translate(
    rows: Sequence[LabeledText], translator: Translator, pivot: str, source: str = "en"
) -> list[LabeledText]:
    """`rows`, then what came back from `pivot` as rows with the labels and lines of the originals.

    Left out is what says nothing, and what differs from a row before it in case, spacing and
    punctuation at most. Raises InvalidInput where the translator gives another number of texts.
    """
    there = _translated(translator, [row.text for row in rows], source, pivot)
    back = _translated(translator, there, pivot, source)
    seen = {comparison_key(row.text) for row in rows}
    found = list(rows)
    for row, text in zip(rows, back, strict=True):
        key = comparison_key(text)
        if key and key not in seen:
            seen.add(key)
            found.append(replace(row, text=text.strip()))
    return found


def _translated(
    translator: Translator, texts: Sequence[str], source: str, target: str
) -> Sequence[str]:
    answers = translator.translate(texts, source, target)
    if len(answers) != len(texts):
        raise InvalidInput(
            f"the translator was given {len(texts)} texts ({source} to {target}) "
            f"and gave {len(answers)}",
            mend="It must give one text for each, in order.",
        )
    return answers


@dataclass(frozen=True)
class ChatTranslator:
    """A language model behind an OpenAI-compatible address, one request a text.

    `client` knows the address and the key, for example
    `httpx.Client(base_url="http://127.0.0.1:8080/v1/", timeout=60)`.
    """

    client: httpx.Client
    model: str

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Raises FetchError where the server fails or answers in another form."""
        return [self._one(text, f"Translate from {source} to {target}.") for text in texts]

    def _one(self, text: str, task: str) -> str:
        import httpx

        said = f"{task} Answer with the translation alone."
        messages = [{"role": "system", "content": said}, {"role": "user", "content": text}]
        try:
            answer = self.client.post(
                "chat/completions",
                json={"model": self.model, "messages": messages, "temperature": 0},
            )
            return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise FetchError(
                f"no translation came from {self.client.base_url.host} ({type(error).__name__})",
                mend="Check the address, the model's name and the server's log.",
            ) from error
