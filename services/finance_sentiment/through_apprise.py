"""How does a message go out through Apprise, and to whom may it go there?

Apprise opens its own connections, past our guard. So only two sorts of addresses are taken:

    CLOUD   services that have one address on the internet, fixed in the library
    HOSTED  services that stand on a host named in the address: that host and port must be named in
            DELIVER_ALLOW, public or not

Redirects are not followed. The library is an extra (`trefoil[notify]`), imported where it is used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from core.net import FetchPolicy
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.delivery import Event
from services.finance_sentiment.outcomes import ARRIVED, LATER, NEVER, Outcome
from services.finance_sentiment.payloads import harmless, plain_text
from services.finance_sentiment.wording import Note, shown

CLOUD: Final = frozenset(
    {"dingtalk", "discord", "feishu", "flock", "gchat", "lark", "line", "pagertree", "pbul"}
    | {"pover", "prowl", "sendgrid", "signl4", "simplepush", "spike", "tgram", "wecombot"}
)
HOSTED: Final = frozenset(
    {"apprise", "apprises", "form", "forms", "gotify", "gotifys", "json", "jsons"}
    | {"mmost", "mmosts", "ntfy", "ntfys", "signal", "signals", "xml", "xmls"}
)
_SECONDS = 20.0
_TYPES: Final[Mapping[Event, str]] = {"firing": "WARNING", "resolved": "SUCCESS", "test": "INFO"}


def send_through_apprise(channel: Channel, note: Note, policy: FetchPolicy) -> Outcome:
    """Send it. What cannot be sent as things are set up is told with its mend."""
    try:
        import apprise
    except ImportError:
        return Outcome(
            NEVER, "the library apprise is not installed. Run `pip install 'trefoil[notify]'`."
        )
    schema = channel.address.partition("://")[0].lower()
    if schema not in CLOUD | HOSTED:
        known = ", ".join(sorted(CLOUD | HOSTED))
        return Outcome(
            NEVER, f"{schema!r:.30} is no kind of address that is called. Known: {known}"
        )
    asset = apprise.AppriseAsset(
        app_id="Trefoil", app_desc="Trefoil news monitor", http_redirects=False, async_mode=False
    )
    service: Any = apprise.Apprise.instantiate(channel.address, asset=asset)
    if service is None:
        return Outcome(NEVER, f"Apprise cannot read this {schema} address. Check it.")
    service.redirects = False
    refusal = "" if schema in CLOUD else _refusal(schema, service, policy)
    if refusal:
        return Outcome(NEVER, refusal)
    sending = apprise.Apprise(asset=asset)
    sending.add(service)
    result = sending.notify(
        body=harmless(plain_text(note)),
        title=harmless(note.summary),
        notify_type=getattr(apprise.NotifyType, _TYPES[note.event]),
        body_format=apprise.NotifyFormat.TEXT,
        timeout=_SECONDS,
    )
    if result:
        return Outcome(ARRIVED, f"taken by {schema}")
    # It tells no status apart: what is wrong for good runs out of attempts.
    return Outcome(LATER, f"{schema} did not take it: {_reason(result)}")


def _refusal(schema: str, service: Any, policy: FetchPolicy) -> str:
    """Why this host is not called; "" where it may be."""
    if schema.startswith("ntfy") and getattr(service, "mode", "") == "cloud":
        return ""
    host = str(service.host or "").lower().rstrip(".")
    port = int(service.port or (443 if service.secure else 80))
    if (host, port) in policy.hosts:
        return ""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        address = None
    if address is not None and any(address in network for network in policy.networks):
        return ""
    return (
        f"{host}:{port} is not in DELIVER_ALLOW. Apprise calls it past our guard, so name it there."
    )


def _reason(result: Any) -> str:
    told = [str(getattr(entry, "message", entry)) for entry in result.logs()]
    return shown(told[-1], 200) if told else "it gives no reason"
