"""How does a long-lived process keep small what it takes from the system?

glibc keeps freed memory for later, in as many arenas as eight times the cores: a server that loads
one model after another grows by what each has left behind. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_ARENAS = 2


def keep_few_arenas() -> None:
    """Once, before threads begin: their memory then comes from two arenas."""
    if libc := _glibc():
        libc.mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """What was freed goes back to the system. Takes tens of milliseconds; blocks no other thread
    but those that ask for memory."""
    gc.collect()
    if libc := _glibc():
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
