"""Asks a provider what became of an unknown effect: one GET to the rule's own host, with the credentials of whoever
asks now. It stores nothing, repeats nothing and settles nothing itself; an answer that proves nothing says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ledger import clock, owners
from ledger.records import Record, Result
from ledger.steps import Verdict
from ledger_proxy import answers
from ledger_proxy.headers import RawHeaders, end_to_end, to_text
from ledger_proxy.upstream import Answer, MaybeSent, NotSent, Stream, Upstream
from ledger_rules.operation import LEDGER_HEADERS
from ledger_rules.outcome import Outcome, chosen, verified
from ledger_rules.redaction import redacted
from ledger_rules.request import Request
from ledger_rules.rule import Rule, Verify

SECONDS = 10.0
"""How long an answer is waited for: an agent waits meanwhile."""
MAX_BODY = 1 << 20
"""Bytes of an answer that are read for proof."""
SETTLED_FOR = "ended"
"""In a record's `about`: the epoch whose send is known to have ended."""

type _Told = tuple[int, list[tuple[str, str]], bytes | None]
_NEVER_ASKED = Verdict(None)
_OF_THE_BODY = ("content-", "if-", "idempotency-", "x-idempotency-")
_OF_THE_CALL = frozenset(
    ("accept", "accept-encoding", "digest", "expect", "host", "range", "repr-digest", "signature", "signature-input")
)


class Questions:
    """Those under way, of one sidecar: who comes with an unknown that is just being asked about waits for that answer.

    Nothing outlives its answer. With another credential the provider may say more, so that is another question.
    """

    def __init__(self, upstream: Upstream, max_stored: int) -> None:
        self._upstream, self._max_stored = upstream, max_stored
        self._asked: dict[tuple[str, int, str | None], asyncio.Task[Verdict]] = {}

    async def ask(self, rule: Rule, request: Request, record: Record) -> Verdict:
        """See `ask`. Who leaves takes no answer from the others."""
        about = (record.id, record.epoch, request.header("Authorization"))
        asked = self._asked.get(about)
        if asked is None:
            asked = asyncio.create_task(ask(self._upstream, rule, request, record, self._max_stored))
            self._asked[about] = asked
            asked.add_done_callback(lambda _: self._asked.pop(about, None))
        return await asyncio.shield(asked)


async def ask(
    upstream: Upstream, rule: Rule, request: Request, record: Record, max_stored: int, seconds: float = SECONDS
) -> Verdict:
    """Ask as the rule's `verify` says, for the attempt that is here now; never raises but when it is cancelled.

    "Not done" counts only when the send is known to have ended, `settle` seconds ago: before that the request may
    still be queued there.
    """
    if rule.verify is None:
        return _NEVER_ASKED
    question = _question(rule.verify, rule, request, record)
    if question is None:
        return Verdict(None, note="it cannot be verified: a value that the question needs is not in this request once")
    # The template, not what was filled in: values of a body are never stored.
    asked = f"GET {rule.verify.get.text}"
    try:
        async with asyncio.timeout(seconds):
            answer = await upstream.send(question, headers=list(question.headers), resendable=False)
            body = answer.body if isinstance(answer, Answer) else await _bounded(answer.body)
    except TimeoutError:
        return Verdict(None, note=f"verify: {asked} was not answered within {seconds:g} s")
    except (NotSent, MaybeSent) as error:
        return Verdict(None, note=f"verify: {asked}: {error}")
    try:
        said = f"verify: {asked} answered {answer.status}"
        return _verdict(rule, rule.verify, record, (answer.status, _text(answer.headers), body), said, max_stored)
    except Exception as error:
        return Verdict(None, note=f"verify: the answer to {asked} could not be read: {error!r}")


def ended(record: Record) -> dict[str, object]:
    """What an outcome adds to `about`, so that a later verification knows that nothing is on its way any more."""
    return {SETTLED_FOR: record.epoch}


def _question(verify: Verify, rule: Rule, request: Request, record: Record) -> Request | None:
    """The GET; None where a value that it needs is not in the request."""
    url = verify.get.filled(request, rule.urls, record.upstream_key, rule.fingerprint.body.ignore)
    if url is None:
        return None
    target = "/" + url.partition("://")[2].partition("/")[2]
    keys = {name for _, name in rule.key_headers}
    headers = [(n, v) for n, v in end_to_end(request.headers) if _goes_along(n.lower(), keys)]
    asks = (*headers, ("Accept", "application/json"), ("Accept-Encoding", "identity"))
    return replace(request, method="GET", target=target, headers=asks, body=b"")


def _goes_along(name: str, keys: set[str]) -> bool:
    """What says who asks goes along; what is about the request's body, its key, or meant for Ledger, does not."""
    return not (name in _OF_THE_CALL or name in LEDGER_HEADERS or name in keys or name.startswith(_OF_THE_BODY))


async def _bounded(stream: Stream) -> bytes | None:
    """All of a body; None as soon as it is too long."""
    body = b""
    try:
        while piece := await stream.read():
            body += piece
            if len(body) > MAX_BODY:
                return None
        return body
    finally:
        stream.close()


def _text(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(to_text(name), to_text(value)) for name, value in headers]


def _verdict(rule: Rule, verify: Verify, record: Record, answer: _Told, said: str, max_stored: int) -> Verdict:
    status, fields, body = answer
    if body is None:
        return Verdict(None, note=f"{said} with more than {MAX_BODY >> 20} MiB")
    proves = verified(verify, status, fields, body)
    if proves is None:
        return Verdict(None, note=f"{said}, which proves neither")
    if proves is Outcome.SUCCESS:
        named = {name.lower(): value for name, value in fields}
        return Verdict(True, _result(rule, verify, named, body, max_stored), f"{said}: it happened")
    if early := _too_early(verify, record):
        return Verdict(None, note=f"{said}: not done so far, {early}")
    return Verdict(False, note=f"{said}: it did not happen")


def _too_early(verify: Verify, record: Record) -> str | None:
    """Why "not done" proves nothing yet."""
    if record.about.get(SETTLED_FOR) != record.epoch and owners.alive(record.owner) is not False:
        return "but the process that sent it may be sending it still"
    left = verify.settle - clock.now().since(record.touched)
    return f"but it may be queued there for another {left:.0f} s" if left > 0 else None


def _result(rule: Rule, verify: Verify, named: Mapping[str, Any], body: bytes, max_stored: int) -> Result | None:
    """The answer that duplicates get, where the rule says which part of the verification's it is."""
    document = None if verify.result is None else chosen(verify.result, named.get("content-encoding"), body)
    if document is None:
        return None
    kept = redacted(rule.redact, "application/json", None, document)
    return answers.result_of(200, b"OK", [(b"Content-Type", b"application/json")], kept, max_stored)
