"""Which model answers now, and how does a server move to the next one?

A server polls the registry's small state file. When another version is live it is loaded beside
the present one and then takes its place in one assignment: requests that began with the old model
finish with it, and no request waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from core.artifacts import Registry, Version
from core.errors import NotReady, TrefoilError

Model = TypeVar("Model")
_log = logging.getLogger(__name__)


class ModelSlot(Generic[Model]):
    """`load` builds the model of a version; it runs in the thread that calls `refresh`.

    `retire` is called with a model that was replaced, `grace` seconds later at the earliest, so
    that whoever took it from `current` just before can still finish with it. `interval` is the
    least time between two looks at the registry, in seconds.
    """

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Version], Model],
        *,
        retire: Callable[[Model], None] = lambda model: None,
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
        self._failed: int | None = None
        self._told: tuple[int | None, str] | None = None
        self._next_look = float("-inf")

    def current(self) -> Model:
        """The live model. NotReady, with the mend, where none was ever promoted."""
        held = self._held
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

        A version that cannot be loaded is told in the log once; the present model goes on.
        """
        if self._clock() < self._next_look or not self._lock.acquire(blocking=False):
            return False
        try:
            self._next_look = self._clock() + self._interval
            changed = self._swap()
            self._retire_expired()
            return changed
        finally:
            self._lock.release()

    def _swap(self) -> bool:
        held = self._held
        version: Version | None = None
        try:
            version = self._registry.active()
            if version is None or version.number in (held and held[0], self._failed):
                return False
            model = self._load(version)
        except Exception as error:  # whatever is wrong with the new one, the present one goes on
            self._tell_once(version, error)
            return False
        self._held = (version.number, model)
        self._failed, self._told = None, None
        if held is not None:
            self._leaving.append((self._clock() + self._grace, held[1]))
        return True

    def _retire_expired(self) -> None:
        now = self._clock()
        expired = [model for until, model in self._leaving if until <= now]
        self._leaving = [(until, model) for until, model in self._leaving if until > now]
        for model in expired:
            self._retire(model)

    def _tell_once(self, version: Version | None, error: Exception) -> None:
        self._failed = version.number if version else None
        foreseen = isinstance(error, TrefoilError)
        reason = str(error) if foreseen else repr(error)
        if (self._failed, reason) != self._told:
            _log.error(
                "the live %s model cannot be loaded: %s",
                self._registry.kind,
                reason,
                exc_info=None if foreseen else error,
            )
        self._told = self._failed, reason
