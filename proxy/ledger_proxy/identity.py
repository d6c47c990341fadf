"""Workflow and caller from the proxy URL's user, `http://order-42:agent-A@127.0.0.1:8080`. Pure."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from ledger_proxy.exchange import Caller


def basic(authorization: str | None) -> tuple[str, str] | None:
    """User and password of a `Basic` value (RFC 7617), None for anything else."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def from_proxy_authorization(value: str | None, default: Caller) -> Caller:
    """The user is the workflow and the password the caller; what is empty or unreadable keeps the default.

    Clients that wait for a 407 send none; they get the default, too. Where a secret is asked for, see `auth`.
    """
    user, password = basic(value) or ("", "")
    return Caller(unquote(user) or default.wf, unquote(password) or default.caller)
