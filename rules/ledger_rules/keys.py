"""Idempotency keys as clients send them: read, and told apart from those an SDK makes up for every call."""

from __future__ import annotations

import re
from enum import StrEnum

STANDARD_HEADER = "Idempotency-Key"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}"
_GENERATED = re.compile(
    # stripe-python writes 16 random bytes in UUID form, so version and variant bits say nothing;
    # stripe-node sends `stripe-node-retry-<uuid>`, SDKs made by Stainless `stainless-python-retry-<uuid>`,
    # Svix's `auto_<uuid>`.
    rf"(?:[a-z0-9]+-[a-z0-9]+-retry-|auto_)?\{{?(?:{_UUID})\}}?"
    # stripe-go before it used UUIDs: nanoseconds, `_`, six characters of base64.
    r"|[0-9]{16,20}_[a-z0-9_\-]{6}"
    # GoCardless for PHP sends uniqid("", true): seconds (until 2038 they begin so), microseconds, a fraction.
    r"|[67][0-9a-f]{12}[0-9]\.[0-9]{8}",
    re.IGNORECASE,
)


class KeyMode(StrEnum):
    """What `idempotency_key` in a rule says about the client's own key."""

    RESPECT = "respect"
    """It names the operation."""
    IGNORE = "ignore"
    """It is noise."""
    IGNORE_GENERATED = "ignore-generated"
    """It is noise where it has the shape SDKs make up, and is respected otherwise."""
    REQUIRE = "require"
    """It names the operation; a request without one is refused (400)."""


def read_key(value: str | None) -> str | None:
    """Return the key a header's value carries, None where there is none.

    The IETF draft makes it a structured-field String (quoted), most APIs take it bare: both are one key.
    What is neither is taken as it stands.
    """
    bare = (value or "").strip()
    return (_string_item(bare) if bare.startswith('"') else bare) or None


def generated(key: str) -> bool:
    """Say whether a key has the shape that SDKs mint afresh for every call."""
    return _GENERATED.fullmatch(key) is not None


def _string_item(text: str) -> str:
    # Imported when first needed: few clients put their keys in quotes.
    from http_sf import StructuredFieldError, parse

    try:
        item = parse(text.encode("ascii"), tltype="item")
    except (StructuredFieldError, UnicodeEncodeError):
        return text
    match item:
        case (str(key), parameters) if not parameters:
            return key
    return text
