"""What the agent is told: the recorded answer again, or a problem (RFC 9457) that a model can act on. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ledger.records import Record, Result, rfc3339
from ledger.steps import Answer
from ledger_proxy.codings import readable

Header = tuple[bytes, bytes]

_NOT_RESENT = frozenset({b"set-cookie", b"set-cookie2"})
_LEAVE_IT = "The effect may have happened: report it as unknown, and do not try another way or by other means."


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP response for the agent: header pairs raw, body still content-encoded."""

    status: int
    reason: bytes
    headers: tuple[Header, ...]
    body: bytes


class Readable(Protocol):
    """The agent's side of a body that is on its way."""

    async def read(self) -> bytes:
        """The next piece, b"" at the end."""
        ...

    def leave(self) -> None:
        """Take no more of it."""
        ...


@dataclass(frozen=True, slots=True)
class Streamed:
    """The head of a response whose body is on its way."""

    status: int
    reason: bytes
    headers: tuple[Header, ...]
    body: Readable


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. kind: last part of its `type` URN. outcome: value of `Ledger-Outcome`."""

    kind: str
    status: int
    outcome: str
    title: str
    todo: str
    headers: Mapping[str, str]


_NO_RETRY = {"Stripe-Should-Retry": "false", "x-should-retry": "false"}
_SETTLE = (
    "A person settles it with `ledger resolve {id} --done` or `--not-done`; until then every attempt gets this answer."
)

IN_FLIGHT = Problem(
    "in-flight",
    409,
    "in-flight",
    "The same operation is still running",
    "Wait and repeat the identical request; it will be answered with the outcome.",
    {"Retry-After": "5"},
)
HELD = Problem(
    "outcome-unknown",
    409,
    "held",
    "An earlier attempt of this operation has an unknown outcome, so this one was not sent",
    f"{_LEAVE_IT} {_SETTLE}",
    _NO_RETRY,
)
UNKNOWN = Problem(
    "outcome-unknown",
    504,
    "unknown",
    "The request was sent, and no answer came back",
    f"{_LEAVE_IT} {_SETTLE}",
    _NO_RETRY,
)
RECOVERABLE = Problem(
    "outcome-unknown",
    504,
    "unknown",
    "The request was sent, and no answer came back",
    "The effect may have happened; do not try another way. Repeat the identical request: "
    "it is sent again under the same key, which the provider answers from its own record.",
    {"Retry-After": "1"},
)
VERIFIABLE = Problem(
    "outcome-unknown",
    504,
    "unknown",
    "The request was sent, and no answer came back",
    "The effect may have happened; do not try another way. Repeat the identical request: "
    "the provider is asked first whether it happened.",
    {**_NO_RETRY, "Retry-After": "5"},
)
NOT_VERIFIED = Problem(
    "outcome-unknown",
    409,
    "held",
    "An earlier attempt of this operation has an unknown outcome, so this one was not sent",
    "The effect may have happened; do not try another way. Repeat the identical request later: the provider is asked "
    "again. A person can settle it with `ledger resolve {id} --done` or `--not-done`.",
    {**_NO_RETRY, "Retry-After": "30"},
)
NOT_KEPT = Problem(
    "result-not-kept",
    409,
    "not-kept",
    "This operation was done before, but the body of its answer was not kept",
    "Treat it as done; do not repeat it. Read the result from the provider.",
    _NO_RETRY,
)
CONFLICT = Problem(
    "key-conflict",
    422,
    "conflict",
    "The same idempotency key was used before with another payload",
    "Use a new key for a new operation, or repeat the first request unchanged.",
    _NO_RETRY,
)
KEY_MISSING = Problem(
    "key-missing",
    400,
    "refused",
    "This endpoint requires an Idempotency-Key header",
    "Send one key per intended effect, the same on every retry.",
    {},
)
MISDIRECTED = Problem(
    "misdirected",
    400,
    "refused",
    "Host header, TLS server name and connection target disagree",
    "Send the request to the host that it names.",
    {},
)
AUTHENTICATE = Problem(
    "proxy-authentication",
    407,
    "refused",
    "This sidecar is for those who know its secret",
    "Nothing was sent. Give it in the proxy URL: `http://WORKFLOW:TOKEN@HOST:PORT`, or `http://USER:PASSWORD@HOST:PORT`.",
    {"Proxy-Authenticate": 'Basic realm="ledger"'},
)
EGRESS = Problem(
    "egress-denied",
    403,
    "refused",
    "Requests may not go to this destination",
    "Nothing was sent, so the effect did not happen. An operator decides what may be reached; do not try another way.",
    {},
)
LOOP = Problem(
    "loop",
    508,
    "refused",
    "The request would come back to this sidecar",
    "Nothing was sent. Send requests to the host they are for, and only the proxy setting to the sidecar.",
    {},
)
NOT_SENT = Problem(
    "not-sent",
    502,
    "failed",
    "Nothing was sent: the upstream could not be reached",
    "The effect did not happen; repeating the request is safe.",
    {},
)
UNREACHABLE = Problem(
    "upstream-unreachable",
    502,
    "unknown",
    "The upstream could not be reached, or did not answer",
    "No rule means this request, so Ledger knows nothing of its effect.",
    {},
)
# RFC 9112 §6.1: what to say to a transfer coding that one does not understand.
CODED = Problem(
    "transfer-coding",
    501,
    "refused",
    "Ledger takes no transfer coding but chunked",
    "Nothing was sent, so the effect did not happen. Send the body as it is; compress it by Content-Encoding.",
    {},
)
TOO_LARGE = Problem(
    "too-large",
    413,
    "refused",
    "The body is larger than Ledger takes for one operation",
    "Nothing was sent, so the effect did not happen. Send it in parts, or leave this endpoint out of the rules.",
    {},
)
UNAVAILABLE = Problem(
    "ledger-unavailable",
    503,
    "refused",
    "The ledger could not be used, so nothing was sent",
    "This attempt had no effect; what an earlier one of the same operation had, its record tells. "
    "Repeat later; an operator must look at the ledger.",
    {"Retry-After": "5"},
)
BROKEN = Problem(
    "exchange-broken",
    504,
    "unknown",
    "Ledger failed while it handled the request",
    f"{_LEAVE_IT} An operator must look at the log and at `ledger unknown`.",
    _NO_RETRY,
)
STOPPING = Problem(
    "sidecar-stopping",
    503,
    "refused",
    "The sidecar is stopping, so nothing was sent",
    "The effect did not happen; repeating the request is safe once a sidecar runs again.",
    {"Retry-After": "5"},
)


def problem(p: Problem, record: Record | None = None, detail: str | None = None) -> Response:
    """An `application/problem+json` answer (RFC 9457) that says what happened and what to do.

    Its member `error` says the same where the SDKs of Stripe, OpenAI and their like look for a message.
    """
    id = record.id if record else ""
    told = " ".join(filter(None, (detail, p.todo.replace("{id}", id[:12]))))
    body: dict[str, Any] = {
        "type": f"urn:ledger:problem:{p.kind}",
        "title": p.title,
        "status": p.status,
        "detail": told,
        "error": {"type": "ledger_error", "code": p.kind.replace("-", "_"), "message": f"{p.title}. {told}"},
    }
    if record is not None:
        body |= {"record": id, "operation": record.tool, "workflow": record.wf, "record_status": record.status.value}
    headers = {"Content-Type": "application/problem+json", "Ledger-Outcome": p.outcome, **p.headers}
    if record is not None:
        headers["Ledger-Record"] = id
    return framed(p.status, b"", _pairs(headers), json.dumps(body, indent=2).encode() + b"\n")


def live(status: int, reason: bytes, headers: Iterable[Header], body: bytes, record: Record, outcome: str) -> Response:
    """The upstream's own answer, marked."""
    marks = {"Ledger-Outcome": outcome, "Ledger-Record": record.id}
    return framed(status, reason, (*headers, *_pairs(marks)), body)


def streamed(head: Streamed, record: Record, outcome: str) -> Streamed:
    """The head of the upstream's own answer, marked. outcome: what it will be if its body comes to its end."""
    marks = _pairs({"Ledger-Outcome": outcome, "Ledger-Record": record.id})
    return chunked(replace(head, headers=(*head.headers, *marks)))


def chunked(head: Streamed) -> Streamed:
    """The same with the framing that the front needs: chunks, unless the upstream gave a length."""
    sized = any(n.lower() == b"content-length" for n, _ in head.headers)
    return head if sized else replace(head, headers=(*head.headers, (b"Transfer-Encoding", b"chunked")))


def replay(record: Record, accept_encoding: str | None = None) -> Response:
    """The recorded answer again, byte for byte, without cookies; or `result-not-kept`.

    accept_encoding: of the request that is answered. A coding that it does not name is undone: the first client
    asked for it, this one may not be able to read it.
    """
    result = record.result
    if result is None or result.body is None:
        return problem(NOT_KEPT, record, _recorded(record))
    kept = [(n, v) for n, v in pairs_from(result) if n.lower() not in _NOT_RESENT]
    marks = {
        "Idempotent-Replayed": "true",
        "Ledger-Outcome": Answer.REPLAYED.value,
        "Ledger-Recorded-At": rfc3339(record.touched.wall),
        "Ledger-Record": record.id,
    }
    # The provider may have marked its own replay; one mark is enough.
    kept = [(n, v) for n, v in kept if n.lower() != b"idempotent-replayed"]
    reason = str(result.meta.get("reason", "")).encode("latin-1", "replace")
    kept, body = readable(kept, result.body, accept_encoding)
    return framed(int(result.meta["status"]), reason, (*kept, *_pairs(marks)), body)


def result_of(status: int, reason: bytes, headers: Iterable[Header], body: bytes | None, limit: int) -> Result:
    """What is kept of an answer: no cookies; no body above `limit` bytes, and none that must not be kept (None)."""
    pairs = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in headers if n.lower() not in _NOT_RESENT]
    meta = {"status": status, "reason": reason.decode("latin-1"), "headers": pairs}
    return Result(meta, body if body is not None and len(body) <= limit else None)


def pairs_from(result: Result) -> list[Header]:
    """The kept headers, raw again."""
    return [(n.encode("latin-1"), v.encode("latin-1")) for n, v in result.meta.get("headers", [])]


def _recorded(record: Record) -> str:
    return f"It succeeded at {rfc3339(record.touched.wall)}."


def _pairs(headers: Mapping[str, str]) -> tuple[Header, ...]:
    return tuple((n.encode(), v.encode()) for n, v in headers.items())


def framed(status: int, reason: bytes, headers: Iterable[Header], body: bytes) -> Response:
    """Framing that the front needs: a length, unless the status has no body or the upstream gave one."""
    pairs = tuple(headers)
    named = any(n.lower() == b"content-length" for n, _ in pairs)
    if not named and status >= 200 and status not in (204, 304):
        pairs = (*pairs, (b"Content-Length", str(len(body)).encode()))
    return Response(status, reason, pairs, body)
