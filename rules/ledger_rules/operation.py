"""What a matched request means to the core: its identity, its content and how its duplicates are answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import BinaryIO, NamedTuple

from ledger.policy import OnUnknown, Policy
from ledger_rules import bodies
from ledger_rules.account import account
from ledger_rules.asking import asked
from ledger_rules.bodies import Digest, Reading
from ledger_rules.canonical import Part, as_bytes, keyed, keyed_hash, part, raw, several, text
from ledger_rules.counting import Found, body_counts, body_view, elsewhere, url
from ledger_rules.errors import MissingKey
from ledger_rules.keys import KeyMode, generated, read_key
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.slots import Slot
from ledger_rules.storedurls import stored_url
from ledger_rules.upstream_keys import header_slot, key_slot
from ledger_rules.urls import whole
from ledger_rules.views import BodyView

__all__ = ["LEDGER_HEADERS", "VERSION", "MissingKey", "Operation", "digest", "identify", "read_body"]

VERSION = 4
"""Of the normaliser. It is part of `id` and of nothing else: raise it when equal requests would change their id."""

WORKFLOW_HEADER = "ledger-workflow"
CALLER_HEADER = "ledger-caller"
OPERATION_HEADER = "ledger-operation-id"

IGNORED_KEY = "ignored_key"
"""In `about`: a keyed hash of the key that was treated as noise. Another one on a duplicate is worth a remark."""
_KEY_DIGEST = 16
_MEANING, _ID, _CONTENT, _PAYLOAD = map(text, ("meaning", "id", "content", "payload"))
_BODY, _ELSEWHERE = map(text, ("body", "elsewhere"))
_VERSION, _NONE = part(VERSION), part(())

LEDGER_HEADERS = frozenset((WORKFLOW_HEADER, CALLER_HEADER, OPERATION_HEADER))
"""Names, lower case, that speak to Ledger and must be stripped before sending."""


class Operation(NamedTuple):
    """One intended effect, as one attempt of it was read.

    id: identity. content_id: the same without rule and version, over the raw body. payload_id: the same over the
        payload as the rule reads it. An open record with any of them is this operation, whatever its rule is called.
    payload: what is asked for; under a key, another payload is a conflict.
    account: whose it is; whoever: what would be the same for another account. Hashes, never stored; the
        second holds in this process only.
    keyed: the identity came from a respected key or from Ledger-Operation-Id.
    ignored_key: a keyed hash of the generated key that was treated as noise, None where there was none.
    upstream_key_header, upstream_key_slot: where our own key goes, replacing what is there; both None when the
        provider honours none, the client's respected key is passed through, or its body is not ours to edit.
    passed_key: that key as it was sent: what a resend has to repeat.
    about: what may be stored of the request; never credentials, never the body.
    """

    id: str
    content_id: str
    payload_id: str
    payload: str
    account: str
    whoever: int
    keyed: bool
    ignored_key: str | None
    rule: str
    wf: str
    caller: str | None
    policy: Policy
    upstream_key_header: str | None
    about: dict[str, str | int]
    passed_key: str | None = None
    upstream_key_slot: Slot | None = None

    @property
    def takes_key(self) -> bool:
        """A key of ours goes upstream with it."""
        return self.upstream_key_header is not None or self.upstream_key_slot is not None


class _Key(NamedTuple):
    """What names the operation. kind: `operation` (Ledger-Operation-Id), `key` (respected) or none; with its value.

    passed: the client's key as it was sent, where it is respected and stands where the provider honours one.
    ignored: a generated key that was treated as noise, the first of them.
    """

    kind: str | None = None
    value: str | None = None
    passed: str | None = None
    ignored: str | None = None


def identify(
    rule: Rule,
    request: Request,
    secret: bytes,
    wf: str = "default",
    caller: str | None = None,
    body: Reading | None = None,
) -> Operation:
    """Return the operation a matched request is an attempt of; all hashes are HMACs under `secret`.

    body: what `digest` or `read_body` made of one that is not in memory; the request's own is read otherwise.
    Raises MissingKey where the rule requires a key and the request has none; nothing else.
    """
    slot = _slot(rule, request) if body is None else None
    prints = rule.fingerprint
    found = elsewhere(rule, request) if prints.only else ()
    told = not LEDGER_HEADERS.isdisjoint(request.by_name)
    kind, value, passed, noise = _key(rule, request, slot, told)
    if told:
        wf, caller = _told(request, WORKFLOW_HEADER) or wf, _told(request, CALLER_HEADER) or caller
    whose = account(request, rule.account, secret)
    body = body or _read(rule, request, slot, found)
    payload = _payload(rule, request, body, found, secret)
    what = asked(request)
    named = several(text(kind), text(value)) if kind and value else None
    whole_url = where_url = whole(request)
    whole_place = where = _place(wf, whose, what, whole_url)
    if prints.query_ignore or prints.path_ignore:
        where_url = part(url(rule, request))
        where = _place(wf, whose, what, where_url)
    ours = rule.upstream_key if passed is None else None
    header = header_slot(request, ours.header) if ours and ours.header else None
    slot = slot if ours else None
    reachable = passed is not None or header is not None or slot is not None
    ignored = None if noise is None else keyed_hash(secret, "ignored", noise)[:_KEY_DIGEST]
    payload_id = keyed(secret, _MEANING, where, named or several(_PAYLOAD, text(payload)))
    return Operation(
        id=keyed(secret, _ID, _VERSION, text(payload_id)),
        content_id=keyed(secret, _CONTENT, whole_place, named or several(_BODY, raw(body.sent))),
        payload_id=payload_id,
        payload=payload,
        account=whose,
        whoever=hash((wf, what, where_url, named or payload)),
        keyed=named is not None,
        ignored_key=ignored,
        rule=rule.name,
        wf=wf,
        caller=caller,
        policy=rule.policy if reachable else _holding(rule.policy),
        upstream_key_header=header,
        about=_about(rule, request, body, ignored),
        passed_key=passed,
        upstream_key_slot=slot,
    )


def _place(wf: str, whose: str, what: Part, where: Part) -> Part:
    """Return who asks what, and where."""
    return raw(as_bytes(several(text(wf), text(whose), what, where)))


def digest(rule: Rule, request: Request) -> Digest:
    """Return what reads a request's body as it arrives, the way a rule asks for; for `identify` when it is finished.

    Made from the head alone. Not the same as a Digest of `rule.fingerprint.body`: the business key may be in the head.
    """
    view, kind, encoding, length = _described(rule, request, elsewhere(rule, request))
    return Digest(kind, encoding, view, length)


def read_body(rule: Rule, request: Request, file: BinaryIO | None = None) -> Reading:
    """Read a request's body as a rule asks for: from `file`, which is read from where it stands, or from memory.

    Raises what reading the file raises (OSError); nothing without one.
    """
    if file is None:
        return _read(rule, request, _slot(rule, request), elsewhere(rule, request))
    return digest(rule, request).feed_file(file).finish()


def _read(rule: Rule, request: Request, slot: Slot | None, found: Found) -> Reading:
    """Read a body in memory. An idempotency key in it says nothing: two attempts carry two, or one of them none."""
    view, kind, encoding, length = _described(rule, request, found)
    if slot is None:
        return bodies.read(request.body, kind, encoding, view, length)
    reading = bodies.read(slot.emptied, kind, encoding, view)
    notes = (*reading.notes, "left out the idempotency key")
    return reading._replace(notes=notes, sent=sha256(request.body).digest(), size=len(request.body))


def _described(rule: Rule, request: Request, found: Found) -> tuple[BodyView, str | None, str | None, str | None]:
    """Return which part of the body counts, and what the head says of it: type, encoding, length."""
    said = request.by_name.get
    return body_view(rule.fingerprint, found), said("content-type"), said("content-encoding"), said("content-length")


def _slot(rule: Rule, request: Request) -> Slot | None:
    ours = rule.upstream_key
    return None if ours is None or ours.header else key_slot(request, ours.member, ours.directive)


def _holding(policy: Policy) -> Policy:
    """No key can go with this request, so the provider would not recognise it: it must not be sent again."""
    return replace(policy, on_unknown=OnUnknown.HOLD) if policy.on_unknown is OnUnknown.RESEND else policy


def _key(rule: Rule, request: Request, slot: Slot | None, told: bool) -> _Key:
    if told and (operation := _told(request, OPERATION_HEADER)):
        return _Key("operation", operation)
    if rule.key_mode is KeyMode.IGNORE:
        return _Key()
    ignored: str | None = None
    for value, passed in _client_keys(rule, request, slot):
        if rule.key_mode is not KeyMode.IGNORE_GENERATED or not generated(value):
            return _Key("key", value, passed)
        ignored = ignored or value
    if rule.key_mode is KeyMode.REQUIRE:
        raise MissingKey(rule.name, rule.key_headers[0][0])
    return _Key(ignored=ignored)


def _client_keys(rule: Rule, request: Request, slot: Slot | None) -> Iterator[tuple[str, str | None]]:
    """Yield the client's own keys and, for those where the provider honours one, how they were sent."""
    if slot is not None and slot.found is not None:
        yield slot.found, slot.found
    own = rule.upstream_key.header if rule.upstream_key else None
    for header, name in rule.key_headers:
        sent = request.by_name.get(name)
        if sent and (value := read_key(sent)) is not None:
            yield value, sent if header == own else None


def _told(request: Request, name: str) -> str | None:
    """Return what one of the headers to Ledger says."""
    value = request.by_name.get(name)
    return value and (value.strip() or None)


def _payload(rule: Rule, request: Request, body: Reading, found: Found, secret: bytes) -> str:
    """Return the fingerprint of the body as the rule reads it, of the rest of its business key, and of listed headers.

    Listed headers are part of it so that under one key another tenant's request is a conflict, never a replay.
    """
    listed = [(name, value) for name in rule.listed if (value := request.by_name.get(name)) is not None]
    headers = part(sorted(listed)) if listed else _NONE
    if not found:
        return keyed(secret, _PAYLOAD, text(body.format), body.said, headers)
    said = (text(body.format), body.said) if body_counts(rule.fingerprint, found) else (_ELSEWHERE, _NONE)
    return keyed(secret, _PAYLOAD, *said, headers, part(found))


def _about(rule: Rule, request: Request, body: Reading, ignored: str | None) -> dict[str, str | int]:
    about: dict[str, str | int] = {
        "method": request.method.upper(),
        "url": stored_url(rule, request),
        "media_type": body.media_type,
        "request_bytes": body.size,
        "normaliser": VERSION,
    }
    return about if ignored is None else about | {IGNORED_KEY: ignored}
