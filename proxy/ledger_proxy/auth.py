"""Who may use a sidecar: one secret, shown as a proxy's password. Workflow and caller travel with it. No I/O."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

from ledger_proxy.exchange import Caller
from ledger_proxy.identity import basic

SHORTEST = 8
"""Characters of a secret; what is shorter is guessed by trying."""


@dataclass(frozen=True, slots=True)
class Auth:
    """A token (user None), which any user name may bring, or the password of one user."""

    user: str | None
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `TOKEN` or `USER:PASSWORD`. Raises ValueError in one line that does not quote it."""
        user, colon, password = text.partition(":")
        secret = password if colon else text
        if len(secret) < SHORTEST or not text.isprintable() or (colon and not user):
            raise ValueError(f"not TOKEN or USER:PASSWORD with a secret of {SHORTEST} printable characters or more")
        return cls(user if colon else None, secret)

    def admit(self, authorization: str | None, default: Caller) -> Caller | None:
        """Who asks, from the value of `Proxy-Authorization` (RFC 7617, or RFC 6750 for a token); None: not let in."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and self.user is None:
            return default if _same(value.strip(), self.secret) else None
        pair = basic(authorization)
        return self.admit_pair(*pair, default) if pair is not None else None

    def admit_pair(self, user: str, password: str, default: Caller) -> Caller | None:
        """The same for a name and a password.

        With a token the user is the workflow, and the password `TOKEN` or `CALLER:TOKEN`. Otherwise the user is the
        caller.
        """
        if self.user is not None:
            # Both are compared, whatever the first says: the time taken tells nothing.
            right = _same(user, self.user) & _same(password, self.secret)
            return Caller(default.wf, default.caller or self.user) if right else None
        caller, _, token = password.rpartition(":")
        if not (_same(password, self.secret) | _same(token, self.secret)):
            return None
        return Caller(unquote(user) or default.wf, unquote(caller) or default.caller)


def _same(given: str, wanted: str) -> bool:
    """Compare in constant time. Some clients send what a URL holds as it is, with its percent-encoding."""
    raw, read = (hmac.compare_digest(one.encode(), wanted.encode()) for one in (given, unquote(given)))
    return raw or read
