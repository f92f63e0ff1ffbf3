"""Which companies are followed, and what do the news call them?

A YAML list:

    - name: Allstate
      ticker: "ALL"                        # optional, as all that follows
      exchange: NYSE
      aliases: [The Allstate Corporation]
      word_ticker: true                    # ALL is a word: only $ALL or (NYSE: ALL) count
      word_name: true                      # the name is an ordinary word too
      not_in: [Allstate Arena]             # what holds a name and means something else

Further keys, such as `sector`, are left alone. linking.py finds these names in a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.fields import optional_text, text_field
from core.data.tables import Row, read_table
from core.errors import DataError
from core.text import normalize

MAX_COMPANIES = 5_000
MAX_NAME = 80
_MAX_ALIASES = 50
_OPTIONAL = ("ticker", "exchange", "aliases", "word_ticker", "word_name", "not_in")


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the list; "" and () where it says nothing. `line` is where it stands."""

    name: str
    ticker: str = ""
    exchange: str = ""
    aliases: tuple[str, ...] = ()
    word_ticker: bool = False
    word_name: bool = False
    not_in: tuple[str, ...] = ()
    line: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and its aliases."""
        return (self.name, *self.aliases)


def read_companies(path: Path) -> list[Company]:
    """The companies of a list. DataError names the line, the key and what was expected."""
    rows = read_table(path, ["name"], _OPTIONAL)
    if len(rows) > MAX_COMPANIES:
        raise DataError(f"expected at most {MAX_COMPANIES} companies, found {len(rows)}", path)
    found = [_company(path, row) for row in rows]
    _check_names(path, found)
    return found


def _company(path: Path, row: Row) -> Company:
    name = _name(path, row, text_field(path, row, "name"))
    return Company(
        name=name,
        ticker=_ticker(path, row),
        exchange=optional_text(path, row, "exchange")[:MAX_NAME],
        aliases=_texts(path, row, "aliases"),
        word_ticker=_flag(path, row, "word_ticker"),
        word_name=_flag(path, row, "word_name"),
        not_in=_texts(path, row, "not_in"),
        line=row.line,
    )


def _name(path: Path, row: Row, said: str) -> str:
    name = normalize(said)
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not _has_letters(name):
        raise DataError(
            f"expected a name of 1 to {MAX_NAME} readable characters, found {said!r:.60}",
            path,
            row.line,
        )
    return name


def _has_letters(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _ticker(path: Path, row: Row) -> str:
    ticker = normalize(optional_text(path, row, "ticker")).upper()
    if ticker and not (len(ticker) <= 16 and all(s.isalnum() or s in ".-" for s in ticker)):
        raise DataError(
            f"`ticker`: expected letters, digits, dots and dashes, found {ticker!r:.40}",
            path,
            row.line,
            mend='Put a ticker of digits in quotes: "0700".',
        )
    return ticker


def _texts(path: Path, row: Row, key: str) -> tuple[str, ...]:
    said: Any = row[key]
    if said is None:
        return ()
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise DataError(
            f"`{key}`: expected a list of texts", path, row.line, mend=f"Write {key}: [One, Two]."
        )
    if len(said) > _MAX_ALIASES:
        raise DataError(f"`{key}`: expected at most {_MAX_ALIASES} texts", path, row.line)
    return tuple(dict.fromkeys(_name(path, row, one) for one in said))


def _flag(path: Path, row: Row, key: str) -> bool:
    said = row[key]
    if said not in (None, True, False):
        raise DataError(f"`{key}`: expected true or false, found {said!r:.40}", path, row.line)
    return bool(said)


def _check_names(path: Path, companies: Sequence[Company]) -> None:
    """One name means one company; so does one ticker at one exchange."""
    owners: dict[tuple[str, str], Company] = {}
    for company in companies:
        keys = {("name", name.casefold()) for name in company.names}
        if company.ticker:
            keys.add((f"ticker at {company.exchange or 'no exchange'}", company.ticker))
        for what, said in sorted(keys):
            other = owners.setdefault((what, said), company)
            if other is not company:
                raise DataError(
                    f"the {what} {said!r} stands already for {other.name!r}, line {other.line}",
                    path,
                    company.line,
                    mend="Leave it with one of the two.",
                )
