"""What headers make of a request: another method, or another thing that is asked for. Headers of no other kind."""

from __future__ import annotations

from functools import lru_cache

from ledger_rules.canonical import Part, part, text
from ledger_rules.request import Request

OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
"""Many frameworks do what these say in place of the method."""

ARGUMENTS = frozenset(
    (
        *("x-amz-target", "soapaction"),  # the operation: AWS JSON protocols, SOAP 1.1 section 6.1.1
        *("content-disposition", "slug", "dropbox-api-arg", "x-bz-file-name"),  # what an upload is called
        *("content-range", "upload-offset", "x-goog-upload-command", "x-goog-upload-offset"),  # which part of it
        *("destination", "x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source"),  # from where, or where to
    )
)
"""Names, lower case, of headers in which protocols say what others say in the URL or the body.

Two requests that differ in one of them are two, whether the rule says so or not. Attempts of one operation repeat them.
"""


_OVERRIDES = frozenset(name.lower() for name in OVERRIDES)
_TELLING = _OVERRIDES | ARGUMENTS


def methods(request: Request) -> tuple[str, ...]:
    """Return the method, and what headers make of it, in upper case: which of them counts, the server knows."""
    if _OVERRIDES.isdisjoint(request.by_name):
        return (request.method.upper(),)
    overrides = [value.strip().upper() for name in OVERRIDES if (value := request.header(name))]
    return (request.method.upper(), *overrides)


def arguments(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers among `ARGUMENTS`, sorted by name."""
    there = ARGUMENTS.intersection(request.by_name)
    return tuple((name, request.header(name) or "") for name in sorted(there)) if there else ()


def asked(request: Request) -> Part:
    """Return what counts of both, as it enters an identity."""
    if _TELLING.isdisjoint(request.by_name):
        return _method(request.method)
    named, given = " ".join(methods(request)), arguments(request)
    return part((named, given) if given else named)


@lru_cache(maxsize=64)
def _method(method: str) -> Part:
    return text(method.upper())
