"""How do we call the outside? Through one guarded client, and nothing else.

policy.py   what a caller may want and what it may cost; how an address is shown in a log
guard.py    which addresses are refused, checked on the resolved address at connect time
unpack.py   the body, unpacked and counted piece by piece
client.py   one request from top to bottom: redirects, retries, the total time
"""

from core.net.client import GuardedClient, Response
from core.net.guard import Resolver, is_public
from core.net.policy import FetchPolicy, redact

__all__ = ["FetchPolicy", "GuardedClient", "Resolver", "Response", "is_public", "redact"]
