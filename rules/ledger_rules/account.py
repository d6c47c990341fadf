"""Whose account a request acts for, from its credentials. What leaves this file is a keyed hash, never a credential."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from ledger_rules.canonical import as_bytes, keyed, part, text
from ledger_rules.request import Request

ANONYMOUS = "anonymous"
_ACCOUNT = part("account")

_KNOWN: dict[tuple[bytes, tuple[str, ...], bytes], str] = {}
"""Accounts by the names of the headers that told them, and a keyed hash of what these said: a client says the same with
every request. No credential is kept.
"""
_MOST_KNOWN = 1024
_OF_THIS_PROCESS = os.urandom(32)

DEFAULT_HEADERS = ("Authorization", "X-Api-Key", "Api-Key", "X-Auth-Token")
"""Where a rule without `account` looks, besides every header that is named like a credential or like a tenant."""

_CREDENTIAL = re.compile(r"(?:^|[-_])(?:token|secret|auth|apikey|(?:api|access)[-_]?key|session)(?:[-_]|$)", re.I)
_NO_ACCOUNT = re.compile(r"csrf|xsrf|idempotency|sec-websocket|x-amz-security-token|timestamp|nonce|signature", re.I)
"""Named like one, but fresh per page, request or role session, or beside a key that is read anyway.

Providers name theirs at will (X-Shopify-Access-Token, X-Postmark-Server-Token): to overlook one would answer one tenant
with another's record.
"""

_TENANT = re.compile(
    r"(?:^|[-_])(?:(?:tenant|(?:sub[-_]?)?account|(?:sub[-_]?)?merchant|sub[-_]?user|org|organi[sz]ation|workspace)"
    r"(?:[-_]?(?:id|name))?|(?:customer|user|team|project|company|store)[-_]?id|behalf[-_]of|impersonate(?:[-_]user)?)$",
    re.I,
)
"""Named like the one of several for whom a credential acts: Stripe-Account, X-Razorpay-Account, Xero-Tenant-Id,
X-Mailgun-On-Behalf-Of. Attempts of one operation repeat it, and of two tenants neither is answered for the other.
"""

_ALSO_OF_A_JWT = (
    *("aud", "azp", "client_id", "cid", "act"),
    *("org_id", "orgId", "organization_id", "organizationId", "o"),
    *("tid", "tenant", "tenant_id", "tenantId", "account_id", "accountId", "merchant_id", "merchantId"),
    *("customer_id", "project_id", "team_id", "workspace_id"),
)
"""Claims by which one subject acts for several tenants or applications; each counts where it is there.

`aud`, `azp`, `client_id` and `act` are registered (https://www.iana.org/assignments/jwt/), the others providers' own.
"""

_SIGNED_AFRESH = {
    "oauth": ("oauth_consumer_key", ("realm", "oauth_token")),  # RFC 5849 section 3.5.1: nonce, timestamp, signature
    "digest": ("username", ("realm",)),  # RFC 7616 section 3.4: cnonce, nc, response
}
"""Schemes that send something new each time: the parameter that must be there, and others that say who asks."""
_PARAMETER = re.compile(r'([A-Za-z_*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_NAME_AND_SIGNATURE = frozenset(("sharedkey", "sharedkeylite", "aws"))
"""`SharedKey NAME:SIGNATURE`, as Azure Storage and the second version of AWS signatures have it."""

_SIGV4 = re.compile(r"Credential=([A-Za-z0-9]{16,128})/")
_SHARED_USERS = frozenset(
    (
        *("", "admin", "anystring", "api", "apikey", "api-key", "api_key", "apitoken", "api-token", "api_token"),
        *("any", "basic", "key", "none", "oauth2", "token", "user", "username", "x", "x-access-token", "x-token-auth"),
    )
)
"""Users that every customer of some API has, or may write as they like (Mailgun's `api`, Mailchimp's `anystring`).

There the secret tells accounts apart.
"""


_IN_WORDS = {
    "basic": "the user",
    "jwt": "issuer and subject of the token, and its tenant",
    "aws": "the access key id",
    "aws-temporary": "the temporary access key id",
    "oauth": "consumer key and token",
    "digest": "user and realm",
    "shared-key": "the name of the key",
    "opaque": "the whole credential",
    "value": "the whole value",
}


def account(request: Request, headers: Sequence[str], secret: bytes) -> str:
    """Return the account's keyed hash, or `anonymous` where no listed header carries a credential.

    Stable where the same account signs afresh: Basic and Digest go by the user, a JWT by issuer, subject and tenant,
    OAuth 1.0 by consumer and token, SigV4 by the long-term access key id. Anything else, also temporary AWS
    credentials, is taken whole.
    """
    names = _names(tuple(headers), tuple(request.by_name))
    if not names:
        return ANONYMOUS
    values = "".join([text(request.by_name[name]) for name in names])
    told = secret, names, blake2b(as_bytes(values), key=_OF_THIS_PROCESS).digest()
    if (known := _KNOWN.get(told)) is None:
        found = _found(request, headers)
        known = keyed(secret, _ACCOUNT, part(found)) if found else ANONYMOUS
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[told] = known
    return known


def kinds(request: Request, headers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return by which headers an account is told, and what of each counts, in words. No credential is in them."""
    return tuple((name, _IN_WORDS.get(kind, kind)) for name, kind, *_ in _found(request, headers))


def opaque(request: Request, headers: Sequence[str]) -> bool:
    """Say whether a credential counts that says nothing of who is behind it: the next one would be another account."""
    told = (kind for name, kind, *_ in _found(request, headers) if not _TENANT.search(name))
    return any(kind in ("opaque", "value", "aws-temporary") for kind in told)


def _found(request: Request, headers: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for name in _names(tuple(headers), tuple(request.by_name)):
        value = request.by_name[name].strip()
        if value:
            found.append((name, *_principal(name, value)))
    return tuple(found)


@lru_cache(maxsize=1024)
def _names(listed: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    """Return the headers to read, sorted. Clients send the same names all the time; values are never cached."""
    names = {name.lower() for name in listed}.intersection(there)
    if listed == DEFAULT_HEADERS:
        names.update(name for name in there if _credential(name) or _TENANT.search(name))
    return tuple(sorted(names))


def _credential(name: str) -> bool:
    return bool(_CREDENTIAL.search(name)) and not _NO_ACCOUNT.search(name)


def _principal(header: str, value: str) -> tuple[str, ...]:
    """Return the kind of a credential and who it stands for."""
    if header.lower() not in ("authorization", "proxy-authorization"):
        return ("value", value)
    scheme, _, rest = value.partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if scheme == "basic":
        return _basic(rest)
    if scheme == "bearer":
        return _bearer(rest)
    if scheme.startswith("aws4-"):
        return _sigv4(rest)
    if scheme in _SIGNED_AFRESH:
        return _signed_afresh(scheme, rest)
    name, colon, _ = rest.partition(":")
    if scheme in _NAME_AND_SIGNATURE and name and colon:
        return ("shared-key", scheme, name)
    return ("opaque", scheme, rest) if rest else ("opaque", value)


def _basic(token: str) -> tuple[str, ...]:
    try:
        user, colon, _ = base64.b64decode(token, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return ("opaque", "basic", token)
    name = user.decode("utf-8", "surrogateescape")
    shared = not colon or name.lower() in _SHARED_USERS
    return ("opaque", "basic", token) if shared else ("basic", name)


def _bearer(token: str) -> tuple[str, ...]:
    parts = token.split(".")
    if len(parts) == 3:
        header, claims = _claims(parts[0]), _claims(parts[1])
        issuer, subject = claims.get("iss"), claims.get("sub")
        if "alg" in header and isinstance(issuer, str) and isinstance(subject, str) and issuer and subject:
            also = (json.dumps([name, claims[name]], sort_keys=True) for name in _ALSO_OF_A_JWT if name in claims)
            return ("jwt", issuer, subject, *also)
    return ("opaque", "bearer", token)


def _claims(part: str) -> dict[str, object]:
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _signed_afresh(scheme: str, rest: str) -> tuple[str, ...]:
    """Go by the parameters that say who asks; by all of it where one is missing or there twice."""
    pairs = [(name.lower(), quoted or bare) for name, quoted, bare in _PARAMETER.findall(rest)]
    given = dict(pairs)
    who, also = _SIGNED_AFRESH[scheme]
    if not given.get(who) or len(given) != len(pairs):
        return ("opaque", scheme, rest)
    return (scheme, given[who], *(f"{name}={given[name]}" for name in also if name in given))


def _sigv4(rest: str) -> tuple[str, ...]:
    """AKIA is a long-term key; ASIA and the like are issued to a role and change, so they only name themselves."""
    credential = _SIGV4.search(rest)
    if credential is None:
        return ("opaque", "aws4", rest)
    return ("aws" if credential[1].startswith("AKIA") else "aws-temporary", credential[1])
