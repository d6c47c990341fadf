"""Our responses as the front takes them."""

from __future__ import annotations

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import http

from ledger_proxy import answers


def front(response: answers.Response) -> http.Response:
    """The raw constructor: `Response.make` would encode the body a second time."""
    headers = http.Headers(response.headers)
    return http.Response(b"HTTP/1.1", response.status, response.reason, headers, response.body, None, 0.0, 0.0)
