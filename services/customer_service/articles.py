"""What is a help article, and which passages does it fall into?

Pure. An article is Markdown with front matter:

    ---
    title: "Delete your account"
    url: https://example.com/help/delete-account
    lang: en
    tags: [account, privacy]
    ---
    ## Do it yourself
    Open My account …
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import InvalidInput
from core.text import chunk_markdown, language_of, normalize

ARTICLE_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,199}")
MAX_BODY: Final = 500_000
MAX_TITLE: Final = 500
MAX_URL: Final = 2000
MAX_TAGS: Final = 50
_PASSAGE_CHARS: Final = 700
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)(.*)", re.DOTALL)
_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True, slots=True)
class Article:
    """`body` is Markdown without front matter; `url` is "" where it has no page."""

    article_id: str
    title: str
    body: str
    url: str = ""
    language: str = "en"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an article that can be found and quoted. `key` is unique among all passages."""

    key: str
    article_id: str
    title: str
    url: str
    language: str
    heading: str
    text: str

    @property
    def searched(self) -> str:
        """What is searched: the passage under its headings, as a reader sees it."""
        heading = f"{self.title}. {self.heading}" if self.heading else self.title
        return f"{heading}\n{self.text}"

    @property
    def own(self) -> str:
        """The passage without the title, which all passages of the article share."""
        return f"{self.heading}\n{self.text}"

    @property
    def digest(self) -> str:
        """SHA-256 of the searched text: the same text has the same vector."""
        return hashlib.sha256(self.searched.encode("utf-8", "replace")).hexdigest()


def passages_of(article: Article) -> list[Passage]:
    """The passages of an article, in order."""
    return [
        Passage(
            key=f"{article.article_id}#{number}",
            article_id=article.article_id,
            title=article.title,
            url=article.url,
            language=article.language,
            heading=_below_title(chunk.heading_path, article.title),
            text=chunk.text,
        )
        for number, chunk in enumerate(chunk_markdown(article.body, _PASSAGE_CHARS))
    ]


def make_article(
    article_id: str,
    *,
    title: Any,
    body: Any,
    url: Any = None,
    language: Any = None,
    tags: Any = None,
) -> Article:
    """A checked article; InvalidInput names what is wrong. Without a language, the script tells."""
    if not ARTICLE_ID.fullmatch(article_id):
        raise InvalidInput(
            "an article's id has 1 to 200 letters, digits, _ . -, and begins with one of the first "
            f"two, was: {article_id[:60]!r}"
        )
    text = _required(body, "body", MAX_BODY)
    name = normalize(_required(title, "title", MAX_TITLE))
    found = language_of(f"{name} {text}")
    return Article(
        article_id=article_id,
        title=name,
        body=text,
        url=_checked_url(url),
        language=_checked_language(language) or ("en" if found == "other" else found),
        tags=_checked_tags(tags),
    )


def parse_article(article_id: str, content: str) -> Article:
    """An article from a Markdown file; without front matter its first # heading is the title."""
    front, body = split_front_matter(content)
    title = front.get("title")
    if title is None:
        heading = _FIRST_HEADING.search(body)
        title = heading.group(1) if heading else None
    if title is None:
        raise InvalidInput(
            "no title", mend="Begin the file with front matter (title: …) or a # heading."
        )
    return make_article(
        article_id,
        title=title,
        body=body,
        url=front.get("url"),
        language=front.get("lang") or front.get("language"),
        tags=front.get("tags"),
    )


def split_front_matter(content: str) -> tuple[dict[str, Any], str]:
    """(front matter, body); an empty mapping where the text does not begin with ---."""
    import yaml

    match = _FRONT_MATTER.match(content.removeprefix("\ufeff"))
    if match is None:
        return {}, content
    try:
        front = yaml.safe_load(match[1]) or {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = getattr(error, "problem", None) or type(error).__name__
        raise InvalidInput(f"the front matter is no YAML: {reason}") from error
    if not isinstance(front, Mapping):
        raise InvalidInput("the front matter must hold `key: value` lines")
    return dict(front), match[2]


def _below_title(path: tuple[str, ...], title: str) -> str:
    parts = [part for part in path if normalize(part) != title]
    return " > ".join(parts)


def _required(value: Any, name: str, limit: int) -> str:
    if not isinstance(value, str) or not normalize(value):
        raise InvalidInput(f"`{name}` must be a text that is not empty")
    if len(value) > limit:
        raise InvalidInput(f"`{name}` may have {limit} characters, had {len(value)}")
    return value.strip()


def _checked_url(value: Any) -> str:
    if value in (None, ""):
        return ""
    # A link is shown to customers: nothing but the web, or a path of the company's own site.
    good = isinstance(value, str) and len(value) <= MAX_URL
    if not good or not (_LINK.fullmatch(value) or re.fullmatch(r"/(?!/)[^\s<>\"'\\]*", value)):
        raise InvalidInput("`url` must begin with https://, http:// or /, and hold no blanks")
    return str(value)


def _checked_language(value: Any) -> str:
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value.strip().lower().split("-")[0]):
        raise InvalidInput(f"`lang` must be a tag such as en or zh, was: {str(value)[:20]!r}")
    return value.strip().lower().split("-")[0]


def _checked_tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    tags = value.split(",") if isinstance(value, str) else value
    if not isinstance(tags, list | tuple) or len(tags) > MAX_TAGS:
        raise InvalidInput(f"`tags` must be a list of at most {MAX_TAGS} texts")
    return tuple(dict.fromkeys(normalize(str(tag))[:100] for tag in tags if normalize(str(tag))))
