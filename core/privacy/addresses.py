"""Where does a text hold an e-mail address, an IP address, or a URL with a secret in it?

All patterns are bounded or of one character class, and begin where the character before is none of
theirs, so a run of characters is walked once, whatever somebody sends.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from core.privacy.plain import Span, cue_before

_LETTER = "A-Za-z0-9À-ÖØ-öø-ɏ"
_LOCAL = rf"{_LETTER}._%+'&-"
_EMAIL = re.compile(
    rf"(?<![{_LOCAL}])(?P<local>[{_LOCAL}]{{1,128}})"
    rf"@(?:[{_LETTER}][{_LETTER}-]{{0,62}}\.){{1,8}}[A-Za-z]{{2,24}}"
)


def emails(plain: str) -> Iterator[Span]:
    """E-mail addresses, with letters of European languages in name and domain."""
    for match in _EMAIL.finditer(plain):
        local = match["local"]
        start = match.start() + len(local) - len(local.lstrip("._%+'&-"))
        if start < match.end("local"):
            yield start, match.end()


_IPV4 = re.compile(r"(?<![\w.])(?<![A-Za-z]-)(?:\d{1,3}\.){3}\d{1,3}(?!\w)(?!\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{6,39}(?![\w:])", re.ASCII)


def ip_addresses(plain: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses; not a version number beside a word that calls it one."""
    for match in _IPV4.finditer(plain):
        if _is_address(match.group()) and cue_before(plain, match.start()) != "version":
            yield match.span()
    for match in _IPV6.finditer(plain):
        # Without a digit it may be `dead::beef` of some program; a time has no form of IPv6.
        if any(c.isdigit() for c in match.group()) and _is_address(match.group()):
            yield match.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_KEYS = (
    "token|key|apikey|accesskey|password|passwd|passwort|pass|pwd|secret|sig|signature|auth"
    "|accesstoken|authtoken|session|sessionid|sid|jwt|hmac|credential"
)
_QUERY_SECRET = re.compile(
    rf"[?&#;](?:[\w-]{{1,24}}[_-])?(?:{_KEYS})=(?P<value>[\w%.~+/=:@!$*'|-]+)",
    re.ASCII | re.IGNORECASE,
)
_USER_INFO = re.compile(
    r"://(?P<value>[^\s/?#@:\[\]\"'<>]{0,128}:[^\s/?#@\[\]\"'<>]{1,256})@", re.ASCII
)


def url_secrets(plain: str) -> Iterator[Span]:
    """user:password of a URL, and the values of query keys such as token, api_key or sig."""
    for match in _USER_INFO.finditer(plain):
        yield match.span("value")
    for match in _QUERY_SECRET.finditer(plain):
        value = match["value"].rstrip(".!':")
        if value:
            yield match.start("value"), match.start("value") + len(value)
