"""For mitmdump: every connection goes to the test's upstream, and each request is marked as seen."""

import os
from typing import Any

PORT = int(os.environ["UPSTREAM_PORT"])


def server_connect(data: Any) -> None:
    data.server.address = ("127.0.0.1", PORT)


def request(flow: Any) -> None:
    flow.request.headers["X-Seen-By"] = "the proxy"
