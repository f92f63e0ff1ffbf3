"""Was this text answered a moment ago by this same model?"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class TextCache(Generic[Value]):
    """Least recently used results, keyed by model version and text. `capacity` in texts, ≥ 1."""

    def __init__(self, capacity: int = 4096) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, was: {capacity}")
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, str], Value] = OrderedDict()
        self._lock = Lock()

    def get(self, model_version: str, text: str) -> Value | None:
        """The stored result, None where there is none."""
        with self._lock:
            value = self._entries.get((model_version, text))
            if value is not None:
                self._entries.move_to_end((model_version, text))
            return value

    def put(self, model_version: str, text: str, value: Value) -> None:
        """Store a result; the one not used for longest goes when the cache is full."""
        with self._lock:
            self._entries[(model_version, text)] = value
            self._entries.move_to_end((model_version, text))
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
