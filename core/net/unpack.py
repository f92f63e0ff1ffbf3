"""How is a packed body opened without letting a small one become a huge one?

Every piece is unpacked only as far as the limit still allows: a "bomb" is stopped after
`max_bytes` of output, never held whole. gzip, deflate and br are asked for; anything else, zstd for
one, is refused where it comes unasked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Protocol

import brotli

from core.errors import FetchError, ResponseTooLarge

ACCEPT_ENCODING = "gzip, deflate, br"

_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_GZIP_START = b"\x1f\x8b"


def read_body(pieces: Iterable[bytes], encoding: str, max_bytes: int) -> bytes:
    """All pieces, unpacked. ResponseTooLarge above max_bytes, FetchError on a broken packing."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _collect(pieces, max_bytes, lambda piece, room: piece)
    if name not in ("gzip", "x-gzip", "deflate", "br"):
        raise FetchError(
            f"the answer is packed as {name[:40]!r}, expected one of: {ACCEPT_ENCODING}"
        )
    unpacker: _Unpacker = _Brotli() if name == "br" else _Inflate(gzip=name != "deflate")
    try:
        body = _collect(pieces, max_bytes, unpacker.feed)
    except (zlib.error, brotli.error) as error:
        raise FetchError(f"the answer says it is packed as {name}, but is not") from error
    if not unpacker.complete:
        raise FetchError(f"the answer, packed as {name}, was cut short")
    return body


def _collect(
    pieces: Iterable[bytes], max_bytes: int, unpack: Callable[[bytes, int], bytes]
) -> bytes:
    body = bytearray()
    packed = 0
    for piece in pieces:
        packed += len(piece)
        # One byte of room more than allowed: that byte is the proof that there is too much.
        body += unpack(piece, max_bytes - len(body) + 1)
        # The packed side counts as well, for a packing that eats input and yields nothing.
        if len(body) > max_bytes or packed > max_bytes:
            raise ResponseTooLarge(f"the answer is larger than {max_bytes} bytes")
    return bytes(body)


class _Unpacker(Protocol):
    """`complete`: whether the packed stream has come to its end."""

    complete: bool

    def feed(self, piece: bytes, room: int) -> bytes:
        """What the piece unpacks to; no more than about `room` bytes of it."""


class _Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        self._unpack = brotli.Decompressor()
        self.complete = False

    def feed(self, piece: bytes, room: int) -> bytes:
        if self.complete:  # padding, as behind gzip
            return b""
        out = bytearray(self._unpack.process(piece, output_buffer_limit=room))
        while len(out) < room and not self._unpack.can_accept_more_data():
            out += self._unpack.process(b"", output_buffer_limit=room - len(out))
        self.complete = self._unpack.is_finished()
        return bytes(out)


class _Inflate:
    """gzip (of one or more members) or deflate (with or without its zlib header)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP if gzip else _ZLIB)
        self._fed = False
        self.complete = True

    def feed(self, piece: bytes, room: int) -> bytes:
        if not self._fed:
            self._first(piece)
        out = bytearray()
        while piece and len(out) < room:
            if self._inflate.eof and not self._next_member(piece):
                break
            out += self._inflate.decompress(piece, room - len(out))
            piece = self._inflate.unused_data or self._inflate.unconsumed_tail
        self.complete = self._inflate.eof
        return bytes(out)

    def _first(self, piece: bytes) -> None:
        self._fed = bool(piece)
        # RFC 9110 means zlib by "deflate", yet some servers send it bare. A zlib header has
        # method 8 in its low bits; a bare stream with these bits is not one servers produce.
        if piece and not self._gzip and piece[0] & 0x0F != 8:
            self._inflate = zlib.decompressobj(_RAW)

    def _next_member(self, piece: bytes) -> bool:
        # What follows the end and is no further member is padding, which everyone ignores.
        if not self._gzip or not _GZIP_START.startswith(piece[:2]):
            return False
        self._inflate = zlib.decompressobj(_GZIP)
        return True
