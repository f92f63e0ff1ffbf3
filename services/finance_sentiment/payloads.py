"""Which bytes does each kind of channel get for a note?

Pure. The webhook body is Alertmanager's, version 4, field by field, so that whatever takes
Alertmanager's webhooks takes ours; the push to an Alertmanager is its API v2.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.finance_sentiment.delivery import FIRING
from services.finance_sentiment.wording import Headline, Note

TIMESTAMP_HEADER: Final = "x-trefoil-timestamp"
SIGNATURE_HEADER: Final = "x-trefoil-signature"
KEY_HEADER: Final = "idempotency-key"
# What Alertmanager sends in the place of an end that is not known.
NO_END: Final = "0001-01-01T00:00:00Z"
# How often an Alertmanager hears that an alert goes on, and how long it believes so: as Prometheus
# does, four times as long, so that three pushes may fail.
PUSH_EVERY: Final = timedelta(minutes=1)
BELIEVED_FOR: Final = 4 * PUSH_EVERY
_MAX_HEADER_TEXT = 150
# FNV-1a of 64 bits, which Prometheus makes its fingerprints with.
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


# --- Alertmanager's two forms -------------------------------------------------------------------


def fingerprint(labels: Mapping[str, str]) -> str:
    """The name that Alertmanager gives to these labels: FNV-1a over sorted names and values, a
    byte 255 after each."""
    found = _FNV_OFFSET
    for pair in sorted(labels.items()):
        for part in pair:
            for byte in part.encode("utf-8", "replace") + b"\xff":
                found = (found ^ byte) * _FNV_PRIME % 2**64
    return f"{found:016x}"


def annotations_of(note: Note) -> dict[str, str]:
    """What a person reads: `summary`, `description`, and a pair for each headline."""
    found = {"summary": note.summary, "description": "\n".join(note.details)}
    for number, headline in enumerate(note.headlines, start=1):
        found[f"headline_{number}"] = _titled(headline)
        if headline.url:
            found[f"headline_{number}_url"] = headline.url
    return found


def webhook_body(note: Note, receiver: str) -> dict[str, Any]:
    """Alertmanager's webhook payload, version "4", with one alert."""
    status = "firing" if note.event == FIRING else "resolved"
    group = {
        key: note.labels[key] for key in ("alertname", "topic", "company") if key in note.labels
    }
    ends = NO_END if note.ends_at is None else rfc3339(note.ends_at)
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f"{k}={_quoted(v)}" for k, v in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": dict(note.labels),
        "commonAnnotations": annotations_of(note),
        "externalURL": note.home,
        "alerts": [
            {
                "status": status,
                "labels": dict(note.labels),
                "annotations": annotations_of(note),
                "startsAt": rfc3339(note.starts_at),
                "endsAt": ends,
                "generatorURL": note.link,
                "fingerprint": fingerprint(note.labels),
            }
        ],
    }


def pushed_alert(note: Note, now: datetime) -> dict[str, Any]:
    """An alert as Alertmanager's API v2 takes it. One that fires ends soon, unless it is pushed
    again: an Alertmanager that hears no more of us forgets it."""
    ends = now + BELIEVED_FOR if note.ends_at is None else note.ends_at
    found = {
        "labels": dict(note.labels),
        "annotations": annotations_of(note),
        "startsAt": rfc3339(note.starts_at),
        "endsAt": rfc3339(max(ends, note.starts_at)),
    }
    # Its API refuses an address that is empty.
    return found | ({"generatorURL": note.link} if note.link else {})


def rfc3339(moment: datetime) -> str:
    """In UTC, to the microsecond where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


# --- Slack --------------------------------------------------------------------------------------


def slack_body(note: Note) -> dict[str, Any]:
    """A message of blocks, with the summary as its text for notifications. Nothing from outside can
    address anybody (<!channel>) or hide where a link leads."""
    lines = [_slack(detail) for detail in note.details]
    lines += [f"• {_slack_headline(headline)}" for headline in note.headlines]
    if note.link:
        lines.append(_slack_link(note.link, "Open the alert"))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": note.summary[:_MAX_HEADER_TEXT]}}
    ]
    if lines:
        said = {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}
        blocks.append({"type": "section", "text": said})
    return {"text": _slack(note.summary), "blocks": blocks}


def _slack_headline(headline: Headline) -> str:
    title = _slack_link(headline.url, headline.title) if headline.url else _slack(headline.title)
    return f"{title} ({_slack(headline.sources)})" if headline.sources else title


def _slack_link(url: str, label: str) -> str:
    # A bar ends the address, and only the three signs of `_slack` are unescaped in it.
    return f"<{_slack(url.replace('|', '%7C'))}|{_slack(label)}>"


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- plain text ---------------------------------------------------------------------------------


def plain_text(note: Note) -> str:
    """The lines of a mail or of a short message, without the summary."""
    lines = list(note.details)
    for headline in note.headlines:
        lines += ["", _titled(headline), headline.url]
    if note.link:
        lines += ["", f"The alert: {note.link}"]
    return "\n".join(line for at, line in enumerate(lines) if line or at) + "\n"


def harmless(text: str) -> str:
    """The text with every @ followed by a space of no width: chat services read @everyone in plain
    text, and titles come from feeds."""
    return text.replace("@", "@\u200b")


def _titled(headline: Headline) -> str:
    return f"{headline.title} ({headline.sources})" if headline.sources else headline.title


# --- headers ------------------------------------------------------------------------------------


def signed(secret: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that prove a body: Unix seconds, and "sha256=" with the HMAC-SHA256 (RFC 2104) of
    the seconds, a full stop and the body."""
    said = f"{timestamp}."
    proof = hmac.new(secret.encode(), said.encode("ascii") + body, hashlib.sha256)
    return {TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: f"sha256={proof.hexdigest()}"}


def message_id(key: str, sender: str) -> str:
    """The Message-ID of a mail: the same for the same idempotency key, so that a mail that goes out
    twice is one in a mailbox."""
    name = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:40]
    return f"<{name}@{sender.rpartition('@')[2]}>"
