"""How is a folder of help articles read? One Markdown or HTML file each; its name is the id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DataError, InvalidInput
from services.customer_service.articles import MAX_BODY, Article, make_article, parse_article
from services.customer_service.importers.files import decoded, files_of, read_bytes
from services.customer_service.importers.html_pages import read_page

_MARKDOWN = {".md", ".markdown"}
_HTML = {".html", ".htm"}


@dataclass
class ReadArticles:
    """`left_out`: (file, reason)."""

    articles: list[Article] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_articles(folder: Path) -> ReadArticles:
    """All articles of a folder and the folders in it. DataError where there is none at all.

    A file that cannot be taken is told with its reason; the others are taken.
    """
    if not folder.is_dir():
        raise DataError("expected a folder of Markdown files", folder, mend="Check the path.")
    read = ReadArticles()
    files = files_of(folder, _MARKDOWN | _HTML, read.left_out)
    if not files:
        raise DataError(
            "no Markdown (.md) or HTML (.html) file in this folder", folder, mend="Check the path."
        )
    seen: dict[str, str] = {}
    for name, path in files:
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
    # A character takes up to four bytes; what is larger cannot be an article.
    content = read_bytes(path, 4 * MAX_BODY)
    if path.suffix.lower() in _MARKDOWN:
        return parse_article(article_id, decoded(content))
    page = read_page(content)
    return make_article(
        article_id,
        title=page.title,
        body=page.body,
        url=page.url,
        language=page.language,
        tags=page.tags,
    )


def _article_id(path: Path) -> str:
    """help/returns/how.md → help.returns.how"""
    return ".".join(path.with_suffix("").parts)
