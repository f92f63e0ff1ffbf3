"""How is a folder of help articles read? One Markdown file each; the file's name is the id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DataError, InvalidInput
from services.customer_service.articles import MAX_BODY, Article, parse_article

_SUFFIXES = {".md", ".markdown"}


@dataclass
class ReadArticles:
    """`left_out`: (file, reason)."""

    articles: list[Article] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_articles(folder: Path) -> ReadArticles:
    """All articles of a folder and the folders in it. DataError where there is no Markdown at all.

    A file that cannot be taken is told with its reason; the others are taken.
    """
    if not folder.is_dir():
        raise DataError("expected a folder of Markdown files", folder, mend="Check the path.")
    read = ReadArticles()
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise DataError("no Markdown file (.md) in this folder", folder, mend="Check the path.")
    seen: dict[str, str] = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            article = _read(path, _article_id(path.relative_to(folder)))
            if article.article_id in seen:
                raise InvalidInput(f"the same id as {seen[article.article_id]}")
        except InvalidInput as error:
            read.left_out.append((name, str(error)))
            continue
        seen[article.article_id] = name
        read.articles.append(article)
    return read


def _read(path: Path, article_id: str) -> Article:
    try:
        # A character takes up to four bytes; what is larger cannot be an article.
        if path.stat().st_size > 4 * MAX_BODY:
            raise InvalidInput(f"larger than {MAX_BODY} characters")
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("not UTF-8", mend="Save the file as UTF-8.") from error
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from error
    if "\0" in content:
        raise InvalidInput("a NUL character in the text")
    return parse_article(article_id, content)


def _article_id(path: Path) -> str:
    """help/returns/how.md → help.returns.how"""
    return ".".join(path.with_suffix("").parts)
