"""The proxy to chain through, as a person writes it. Parsing only."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from yarl import URL


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy to chain through. authorization: the `Proxy-Authorization` value, if it wants one."""

    url: URL
    authorization: str | None

    @property
    def label(self) -> str:
        """`host:port`, without credentials."""
        return f"{self.url.host_subcomponent}:{self.url.port}"


def parse_proxy(text: str) -> Proxy:
    """Parse `[http[s]://][user:password@]host[:port]`. Raises ValueError in one line, without the credentials."""
    try:
        url = URL(text if "://" in text else f"http://{text}")
        if url.scheme not in ("http", "https") or not url.host or not url.port:
            raise ValueError
    except ValueError:
        shown = text.rpartition("@")[2]
        raise ValueError(f"proxy {shown!r}: only http://host:port and https://host:port can be chained to") from None
    authorization = None
    if url.user is not None:
        credentials = f"{url.user}:{url.password or ''}".encode()
        authorization = "Basic " + base64.b64encode(credentials).decode("ascii")
    return Proxy(url.origin(), authorization)
