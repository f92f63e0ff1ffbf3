"""What does a driver's error mean, and how is it mended?

Breaches of a constraint (IntegrityError) are not here: they are answers, which the asking code
expects and turns into "already there".
"""

from __future__ import annotations

from core.errors import InvalidInput, StorageError, TrefoilError

# (part of the driver's message, what happened, the mend), first match counts. SQLite words come
# first, then those of PostgreSQL.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    ("disk is full", "the disk is full", "Free some space, then try again; nothing was lost."),
    ("no space left", "the disk is full", "Free some space, then try again; nothing was lost."),
    ("disk i/o error", "the disk cannot be read or written", "Check the disk and its free space."),
    ("locked", "it is busy with another writer", "Try again in a moment."),
    (
        "readonly",
        "it cannot be written",
        "Check who owns the file and its folder, or use a session that may write.",
    ),
    (
        "read-only transaction",
        "a write was tried in a read-only session",
        "Use a session that may write.",
    ),
    (
        "unable to open",
        "it cannot be opened",
        "Check the path and the permissions of its folder.",
    ),
    ("not a database", "the file is no SQLite database", "Move it away, or name another file."),
    ("malformed", "the file is damaged", "Put back a copy of it."),
    ("no such table", "a table is missing", "Run `db upgrade` of this service."),
    ("no such column", "a column is missing", "Run `db upgrade` of this service."),
    ("undefinedtable", "a table is missing", "Run `db upgrade` of this service."),
    ("undefinedcolumn", "a column is missing", "Run `db upgrade` of this service."),
    ("authentication failed", "user or password were refused", "Check the database URL."),
    ("deadlock", "two transactions wanted each other's rows", "Try again."),
    ("serializ", "another transaction was faster", "Try again."),
    (
        "refused",
        "nobody listens there",
        "Start the database, or check host and port in the database URL.",
    ),
    ("could not translate", "its host has no address", "Check the host in the database URL."),
    ("name or service not known", "its host has no address", "Check the host."),
    ("failed to resolve", "its host has no address", "Check the host in the database URL."),
    ("timeout", "it did not answer in time", "Check host and port in the database URL."),
    ("does not exist", "there is no such database or role", "Create it: createdb NAME."),
    ("no such file", "nobody listens there", "Start the database, or check its socket's path."),
)
# Errors of the driver that tell of the database and not of the statement.
_STORAGE = ("OperationalError", "InterfaceError", "InternalError", "DatabaseError")
# Values that Python takes and a database does not: NUL, half a surrogate pair, a huge number.
_VALUES = (UnicodeEncodeError, OverflowError)


def meaning_of(error: BaseException, where: str) -> TrefoilError | None:
    """Our error for the driver's, or None where it should pass as it is."""
    names = [kind.__name__ for kind in type(error).__mro__]
    if isinstance(error, _VALUES) or "DataError" in names:
        return InvalidInput(
            "a value cannot be stored",
            mend="Check for NUL characters, halves of surrogate pairs and very large numbers.",
        )
    # The class name counts as a word too: UndefinedTable says more than its text.
    words = f"{names[0]} {error}".lower()
    if "ProgrammingError" in names and "undefined" not in words:
        return None
    if "IntegrityError" in names or not _is_storage(names):
        return None
    for part, what, mend in _MEANINGS:
        if part in words:
            return StorageError(f"{where}: {what}", mend=mend)
    return StorageError(f"{where}: {_first_line(error)}")


def _is_storage(names: list[str]) -> bool:
    # DatabaseError is the parent of all, ProgrammingError included: only some of those pass here.
    return any(name in names for name in (*_STORAGE, "ProgrammingError"))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
