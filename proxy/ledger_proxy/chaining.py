"""The proxy to chain through, as a person writes it. Parsing only."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from yarl import URL


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy to chain through. credentials: `user:password` if it wants some, either of which may be empty."""

    url: URL
    credentials: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """`host:port`, without credentials; IPv6 in brackets."""
        return f"{self.url.host_subcomponent}:{self.url.port}"

    @property
    def authorization(self) -> str | None:
        """The `Proxy-Authorization` value (RFC 7617)."""
        if self.credentials is None:
            return None
        return "Basic " + base64.b64encode(self.credentials.encode()).decode("ascii")


def parse_proxy(text: str) -> Proxy:
    """Parse `[http[s]://][user:password@]host[:port]`. Raises ValueError in one line, without the credentials."""
    try:
        url = URL(text if "://" in text else f"http://{text}")
        # Behind the host an @ is the end of a password, and the "host" the beginning of it.
        if url.scheme not in ("http", "https") or not url.host or not url.port or "@" in str(url.relative()):
            raise ValueError
    except ValueError:
        raise ValueError(_refusal(text)) from None
    if url.user is None and url.password is None:
        return Proxy(url.origin())
    return Proxy(url.origin(), f"{url.user or ''}:{url.password or ''}")


def _refusal(text: str) -> str:
    before, _, shown = text.rpartition("@")
    line = f"proxy {shown!r}: only http://host:port and https://host:port can be chained to"
    # Each ends a URL's host, which the user and the password come before.
    if set("#/?\\") & set(before.partition("://")[2] or before):
        line += "; in a user or password write %23 for #, %2F for /, %3F for ? and %5C for \\"
    return line
