"""What can go wrong, and how does the reader mend it?

    TrefoilError                      anything this project raises on purpose
    ├── InvalidInput                  what came from outside is malformed
    │   ├── DataError                 a bad file or row, named by its line
    │   └── TooLarge                  more of it than the stated limit
    ├── NotFound                      no such thing
    ├── Conflict                      it clashes with what is already there
    ├── Unauthorized                  who is asking is unknown
    ├── Forbidden                     known, but not allowed
    ├── Overloaded                    too much at once; try again after a while
    │   └── RateLimited               too much at once from this one caller
    ├── NotReady                      still starting, or a part is missing
    ├── SettingsError                 a setting is missing or wrong
    ├── StorageError                  database or disk
    ├── ModelError                    a model cannot be used
    │   ├── ModelNotFound             there is none at that place
    │   ├── ModelCorrupt              its files are not what they should be
    │   └── ModelRefused              it could be loaded, but must not be
    ├── ArtifactError                 a trained version folder cannot be used
    │   ├── ArtifactCorrupt           a file is missing, edited or half written
    │   └── PromotionRefused          the gate said no
    └── FetchError                    an outgoing request gave no answer
        ├── AddressRefused            the address is one we never call
        ├── FetchTimeout              no complete answer in time
        ├── ResponseTooLarge          the answer passed the size limit
        └── TooManyRedirects          the chain of redirects did not end

The tree knows nothing of HTTP: `core/web/errors.py` holds the one table from here to a status.
"""

from __future__ import annotations

from pathlib import Path

_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")


class TrefoilError(Exception):
    """The root. `message` says what was expected and what came, `mend` what to do about it."""

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        # args hold the message alone, so that copy and pickle can rebuild the object from them
        # and from __dict__, whatever a subclass adds.
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        """One line: message, then mend. Fit for a terminal and for a problem's `detail`."""
        message = _one_line(self.message)
        if not self.mend:
            return message
        if not message.endswith(_SENTENCE_ENDS):
            message += "."
        return f"{message} {_one_line(self.mend)}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message), dict(self.__dict__)


def _rebuild(kind: type[TrefoilError], message: str) -> TrefoilError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error


def _one_line(text: str) -> str:
    return " ".join(text.split())


class InvalidInput(TrefoilError):
    """What came from outside is malformed."""


class DataError(InvalidInput):
    """A bad file or row. `line` counts from 1, as an editor does."""

    def __init__(
        self,
        message: str,
        path: str | Path | None = None,
        line: int | None = None,
        *,
        mend: str | None = None,
    ) -> None:
        super().__init__(message, mend=mend)
        self.path = None if path is None else str(path)
        self.line = line
        place = self.path or ""
        if line is not None:
            place = f"{place}, line {line}" if place else f"line {line}"
        if place:
            self.message = f"{place}: {message}"


class TooLarge(InvalidInput):
    """More of it than the stated limit."""


class NotFound(TrefoilError):
    """No such thing."""


class Conflict(TrefoilError):
    """It clashes with what is already there."""


class Unauthorized(TrefoilError):
    """Who is asking is unknown."""


class Forbidden(TrefoilError):
    """Known, but not allowed."""


class _TryLater(TrefoilError):
    """Shared by the two that pass by themselves: `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0, mend: str | None = None) -> None:
        super().__init__(message, mend=mend)
        self.retry_after = retry_after


class Overloaded(_TryLater):
    """Too much at once; asking again after `retry_after` seconds is right."""


class RateLimited(Overloaded):
    """Too much at once from this one caller; others are served."""


class NotReady(_TryLater):
    """Still starting, or a part is missing; asking again after `retry_after` seconds is right."""


class SettingsError(TrefoilError):
    """A setting is missing or wrong."""


class StorageError(TrefoilError):
    """The database or the disk did not do what was asked."""


class ModelError(TrefoilError):
    """A model cannot be used."""


class ModelNotFound(ModelError):
    """There is no model at that place."""


class ModelCorrupt(ModelError):
    """The model's files are not what they should be."""


class ModelRefused(ModelError):
    """The model could be loaded, but must not be (remote code, pickle)."""


class ArtifactError(TrefoilError):
    """A trained version folder cannot be used."""


class ArtifactCorrupt(ArtifactError):
    """A file of the version is missing, edited or half written."""


class PromotionRefused(ArtifactError):
    """The candidate did not earn its place."""


class FetchError(TrefoilError):
    """An outgoing request gave no answer. `url` carries no password or query value."""

    def __init__(self, message: str, url: str = "", *, mend: str | None = None) -> None:
        super().__init__(message, mend=mend)
        self.url = url


class AddressRefused(FetchError):
    """The address is one we never call: private, loopback, link-local, reserved."""


class FetchTimeout(FetchError):
    """No complete answer in time."""


class ResponseTooLarge(FetchError):
    """The answer passed the size limit, counted after unpacking."""


class TooManyRedirects(FetchError):
    """The chain of redirects did not end."""
