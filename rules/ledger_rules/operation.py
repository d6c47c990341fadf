"""What a matched request means to the core: its identity, its content and how its duplicates are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from ledger.policy import Policy
from ledger_rules import bodies
from ledger_rules.account import account
from ledger_rules.bodies import Reading
from ledger_rules.canonical import keyed_hash
from ledger_rules.errors import MissingKey
from ledger_rules.keys import KeyMode, generated, read_key
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.urls import identity, masked

__all__ = ["LEDGER_HEADERS", "VERSION", "MissingKey", "Operation", "identify", "read_body"]

VERSION = 2
"""Of the normaliser. It is part of `id` and of nothing else: raise it when equal requests would change their id."""

WORKFLOW_HEADER = "Ledger-Workflow"
CALLER_HEADER = "Ledger-Caller"
OPERATION_HEADER = "Ledger-Operation-Id"

LEDGER_HEADERS = frozenset(name.lower() for name in (WORKFLOW_HEADER, CALLER_HEADER, OPERATION_HEADER))
"""Names, lower case, that speak to Ledger and must be stripped before sending."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One intended effect, as one attempt of it was read.

    id: identity. content_id: the same without rule and version, over the raw body. payload_id: the same over the
        payload as the rule reads it. An open record with any of them is this operation, whatever its rule is called.
    payload: what is asked for; under a key, another payload is a conflict.
    keyed: the identity came from a respected key or from Ledger-Operation-Id.
    ignored_key: a generated key was treated as noise.
    upstream_key_header: where our own key goes, replacing what is there; None when the provider honours none or
        the client's respected key is passed through.
    passed_key: that key as it was sent: what a resend has to repeat.
    about: what may be stored of the request; never credentials, never the body.
    """

    id: str
    content_id: str
    payload_id: str
    payload: str
    keyed: bool
    ignored_key: bool
    rule: str
    wf: str
    caller: str | None
    policy: Policy
    upstream_key_header: str | None
    about: dict[str, str | int]
    passed_key: str | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    """What names the operation. kind: `operation` (Ledger-Operation-Id), `key` (respected) or none."""

    kind: str | None = None
    value: str | None = None
    header: str | None = None
    ignored: bool = False


def identify(
    rule: Rule,
    request: Request,
    secret: bytes,
    wf: str = "default",
    caller: str | None = None,
    body: Reading | None = None,
) -> Operation:
    """Return the operation a matched request is an attempt of; all hashes are HMACs under `secret`.

    body: what `read_body` made of it, for a body that is not in memory; the request's own is read otherwise.
    Raises MissingKey where the rule requires a key and the request has none; nothing else.
    """
    key = _key(rule, request)
    wf = _ledger_header(request, WORKFLOW_HEADER) or wf
    whose = account(request, rule.account, secret)
    body = body or read_body(rule, request)
    payload = _payload(rule, request, body, secret)
    method = request.method.upper()
    named = (key.kind, key.value) if key.kind else None
    ignore = rule.fingerprint.query_ignore
    whole_url = identity(request)
    url = identity(request, ignore) if ignore else whole_url
    passed = _passed_key(rule, request, key)
    return Operation(
        id=keyed_hash(secret, "id", VERSION, wf, whose, method, url, named or ("payload", payload)),
        content_id=keyed_hash(secret, "content", wf, whose, method, whole_url, named or ("body", body.sent)),
        payload_id=keyed_hash(secret, "meaning", wf, whose, method, url, named or ("payload", payload)),
        payload=payload,
        keyed=named is not None,
        ignored_key=key.ignored,
        rule=rule.name,
        wf=wf,
        caller=_ledger_header(request, CALLER_HEADER) or caller,
        policy=rule.policy,
        upstream_key_header=rule.upstream_key.header if rule.upstream_key and passed is None else None,
        about=_about(rule, request, body),
        passed_key=passed,
    )


def read_body(rule: Rule, request: Request, file: BinaryIO | None = None) -> Reading:
    """Read a request's body as a rule asks for: from `file`, which is read from where it stands, or from memory.

    Raises what reading the file raises (OSError); nothing without one.
    """
    kind, encoding = request.header("Content-Type"), request.header("Content-Encoding")
    if file is None:
        return bodies.read(request.body, kind, encoding, rule.fingerprint.body)
    return bodies.read_file(file, kind, encoding, rule.fingerprint.body)


def _key(rule: Rule, request: Request) -> _Key:
    operation = _ledger_header(request, OPERATION_HEADER)
    if operation:
        return _Key("operation", operation)
    if rule.key_mode is KeyMode.IGNORE:
        return _Key()
    ignored = False
    for header in rule.key_headers:
        value = read_key(request.header(header))
        if value is None:
            continue
        if rule.key_mode is not KeyMode.IGNORE_GENERATED or not generated(value):
            return _Key("key", value, header)
        ignored = True
    if rule.key_mode is KeyMode.REQUIRE:
        raise MissingKey(rule.name, rule.key_headers[0])
    return _Key(ignored=ignored)


def _passed_key(rule: Rule, request: Request, key: _Key) -> str | None:
    """Return the client's key where it is respected and in the very header the provider honours."""
    if key.kind != "key" or key.header is None or rule.upstream_key is None:
        return None
    return request.header(key.header) if key.header == rule.upstream_key.header else None


def _ledger_header(request: Request, name: str) -> str | None:
    return (request.header(name) or "").strip() or None


def _payload(rule: Rule, request: Request, body: Reading, secret: bytes) -> str:
    """Return the fingerprint of the body as the rule reads it and of the headers it lists.

    Listed headers are part of it so that under one key another tenant's request is a conflict, never a replay.
    """
    listed = sorted(
        (name.lower(), value) for name in rule.fingerprint.headers if (value := request.header(name)) is not None
    )
    return keyed_hash(secret, "payload", body.meaning, listed)


def _about(rule: Rule, request: Request, body: Reading) -> dict[str, str | int]:
    return {
        "method": request.method.upper(),
        "url": masked(request, rule.masked),
        "media_type": body.media_type,
        "request_bytes": body.size,
        "normaliser": VERSION,
    }
