"""Which model answers now, and how does a server move to the next one?

A server polls the registry's small state file. When another version is live it is loaded beside
the present one and then takes its place in one assignment: requests that began with the old model
finish with it, and no request waits. A version whose files are wrong is not tried again: versions
never change. One that something else kept from loading (the database, the disk) is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.artifacts import Registry, Version
from core.errors import ArtifactError, ModelError, NotFound, NotReady, TrefoilError
from core.memory import give_back

Model = TypeVar("Model")
# Seconds to the second try; each wait is twice the one before, up to the longest.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failure:
    """A version that could not be loaded; `next_try` is a moment of the clock, inf for never."""

    number: int
    wait: float
    next_try: float


class ModelSlot(Generic[Model]):
    """`load` builds the model of a version; it runs in the thread that calls `refresh`.

    `retire` is called with a model that was replaced, `grace` seconds later at the earliest, so
    that whoever took it from `current` just before can still finish with it; without one it is
    dropped at once. `interval` is the least time between two looks at the registry, in seconds.
    """

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Version], Model],
        *,
        retire: Callable[[Model], None] | None = None,
        interval: float = 1.0,
        grace: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._load = load
        self._retire = retire
        self._interval = interval
        self._grace = grace
        self._leaving: list[tuple[float, Model]] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[int, Model] | None = None
        self._failure: _Failure | None = None
        self._told: tuple[int | None, str] | None = None
        self._next_look = float("-inf")

    def current(self) -> Model:
        """The live model. NotReady, with the mend, where there is none or it cannot be loaded."""
        held, failure = self._held, self._failure
        if held is None and failure is not None:
            raise NotReady(
                f"version {failure.number} of the {self._registry.kind} model is live but cannot "
                "be loaded",
                mend="The log says why. To go on: trefoil models promote DIR, with another model.",
                retry_after=5.0,
            )
        if held is None:
            raise NotReady(
                f"no {self._registry.kind} model is live",
                mend=f"Train one and run: trefoil models promote DIR "
                f"(registry {self._registry.root}).",
                retry_after=5.0,
            )
        return held[1]

    def refresh(self) -> bool:
        """Load the live version if it is another one. True when the model changed.

        A version that cannot be loaded is told in the log once for each reason; the present model
        goes on.
        """
        if self._clock() < self._next_look or not self._lock.acquire(blocking=False):
            return False
        try:
            self._next_look = self._clock() + self._interval
            changed = self._swap()
            self._retire_expired()
            if changed:
                give_back()  # what loading took, and the model before
            return changed
        finally:
            self._lock.release()

    def _swap(self) -> bool:
        held = self._held
        version: Version | None = None
        try:
            version = self._registry.active()
            if version is None or version.number == (held and held[0]) or self._waits_for(version):
                return False
            model = self._load(version)
        except Exception as error:  # whatever is wrong with the new one, the present one goes on
            if version is not None:
                self._remember(version.number, error)
            self._tell_once(version, error)
            return False
        self._held = (version.number, model)
        self._failure, self._told = None, None
        if held is not None and self._retire is not None:
            self._leaving.append((self._clock() + self._grace, held[1]))
        return True

    def _retire_expired(self) -> None:
        now = self._clock()
        expired = [model for until, model in self._leaving if until <= now]
        self._leaving = [(until, model) for until, model in self._leaving if until > now]
        if self._retire is not None:
            for model in expired:
                self._retire(model)

    def _waits_for(self, version: Version) -> bool:
        failure = self._failure
        return (
            failure is not None
            and failure.number == version.number
            and self._clock() < failure.next_try
        )

    def _remember(self, number: int, error: Exception) -> None:
        before = self._failure
        wait = FIRST_WAIT
        if before is not None and before.number == number:
            wait = min(2 * before.wait, LONGEST_WAIT)
        next_try = float("inf") if _is_final(error) else self._clock() + wait
        self._failure = _Failure(number, wait, next_try)

    def _tell_once(self, version: Version | None, error: Exception) -> None:
        number = version.number if version else None
        foreseen = isinstance(error, TrefoilError)
        reason = str(error) if foreseen else repr(error)
        if (number, reason) != self._told:
            _log.error(
                "the live %s model cannot be loaded: %s",
                self._registry.kind,
                reason,
                exc_info=None if foreseen else error,
            )
        self._told = number, reason


def _is_final(error: Exception) -> bool:
    """Whether the version itself is at fault, as far as can be told: its files are there, and
    wrong."""
    if isinstance(error.__cause__, OSError):
        return False  # the disk did not give them
    return isinstance(error, ModelError | ArtifactError | NotFound)
