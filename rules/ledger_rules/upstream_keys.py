"""Whether, and where, a request's body takes an idempotency key of ours, for providers that read no header."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ledger_rules.directives import directive_slot
from ledger_rules.request import Request
from ledger_rules.slots import Slot, member_slot

MAX_EDITED = 1 << 20
"""Longer bodies get no key of ours: finding its place would stall every other request."""

_SIGNS_BODY = re.compile(r"signature|hmac|digest|content-md5|content-sha256", re.IGNORECASE)
_SIGNING_SCHEMES = ("aws4-", "signature", "hmac")


def key_slot(request: Request, member: Sequence[str], directive: str | None) -> Slot | None:
    """Return where a request's JSON body takes a key; None where the body is not ours to edit.

    member: names that lead to it. directive: the GraphQL directive whose argument `key` it is, in place of a member.
    Not ours are compressed, signed and digested bodies, everything over 1 MiB and all that is not plain JSON.
    """
    kind = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    encoding = (request.header("Content-Encoding") or "").strip().lower()
    if kind != "application/json" or encoding not in ("", "identity") or signed(request):
        return None
    if len(request.body) > MAX_EDITED:
        return None
    return directive_slot(request.body, directive) if directive else member_slot(request.body, member)


def header_slot(request: Request, header: str) -> str | None:
    """Return the header if a key of ours may stand in it; None where a signature names it among what it covers.

    SigV4 lists `SignedHeaders`, RFC 9421 its components in Signature-Input.
    """
    covered = (request.header(name) or "" for name in ("Authorization", "Signature", "Signature-Input"))
    return None if any(header.lower() in value.lower() for value in covered) else header


def signed(request: Request) -> bool:
    """Say whether anything in the headers vouches for the body: editing it would break that."""
    scheme = (request.header("Authorization") or "").strip().lower()
    return scheme.startswith(_SIGNING_SCHEMES) or any(_SIGNS_BODY.search(name) for name, _ in request.headers)
