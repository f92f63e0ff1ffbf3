"""What does a service's web process need that is not its own business?

app.py         create_app: every piece below, in one visible list
serve.py       run_server: one process, one line where it cannot start
request_id.py  a name for each request, in its answer, its errors and its log lines
logs.py        JSON lines without anybody's text
metrics.py     what Prometheus reads at /metrics
errors.py      the one table from an exception to a status; RFC 9457 bodies
headers.py     the small set of security headers
limits.py      size of head and body, number of requests
cors.py        which web pages may read an answer
json_check.py  what JSON may not hold
auth.py        API keys, scopes, and who may call while there are no keys
health.py      /healthz and /readyz
pages.py       pages with their styles and scripts, all from this server
page_login.py  a pasted API key, kept in a cookie that scripts cannot read
"""

from core.web.app import create_app
from core.web.auth import Caller, KeyVerifier, requires
from core.web.health import Check
from core.web.serve import run_server

__all__ = ["Caller", "Check", "KeyVerifier", "create_app", "requires", "run_server"]
