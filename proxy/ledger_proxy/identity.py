"""Workflow and caller from the proxy URL's user, `http://order-42:agent-A@127.0.0.1:8080`. Pure."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from ledger_proxy.exchange import Caller


def from_proxy_authorization(value: str | None, default: Caller) -> Caller:
    """The user is the workflow and the password the caller; what is empty or unreadable keeps the default.

    Clients that wait for a 407 send none; they get the default, too.
    """
    scheme, _, encoded = (value or "").partition(" ")
    if scheme.lower() != "basic":
        return default
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return default
    return Caller(unquote(user) or default.wf, unquote(password) or default.caller)
