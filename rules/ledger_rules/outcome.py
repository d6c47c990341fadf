"""What a response says about the effect: it happened, it did not, or nobody knows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from jsonpath.exceptions import JSONPathError

from ledger_rules.jsontext import exact_json
from ledger_rules.rule import OutcomeCase, Rule

_MAX_DECODED = 8 << 20
_NO_DOCUMENT = object()


class Outcome(StrEnum):
    """The outcome of one execution, in the words of the record's status."""

    SUCCESS = "success"
    FAILED = "failed"
    """Proof that the effect did not happen."""
    UNKNOWN = "unknown"
    """It may have happened."""


def classify(rule: Rule, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Outcome:
    """Return what a response means: the rule's `outcomes`, conditions first, else the status alone.

    Where a condition is written for this status and the body cannot be read, the outcome is unknown.
    """
    cases = _cases(rule, status)
    conditional = [case for case in cases if case.condition is not None]
    if conditional:
        document = _document(headers, body)
        if document is _NO_DOCUMENT:
            return Outcome.UNKNOWN
        for case in conditional:
            if _holds(case, document):
                return Outcome(case.outcome)
    plain = [case for case in cases if case.condition is None]
    if plain:
        return Outcome(min(plain, key=lambda case: case.high - case.low).outcome)
    return by_status(status)


def by_status(status: int) -> Outcome:
    """Return what a status means where no rule says otherwise (RFC 9110 section 15).

    307 and 308 ask for the same request elsewhere: here nothing happened. 408 and 5xx can follow an effect.
    """
    if status in (307, 308):
        return Outcome.FAILED
    if 200 <= status < 400:
        return Outcome.SUCCESS
    if 400 <= status < 500 and status != 408:
        return Outcome.FAILED
    return Outcome.UNKNOWN


def settles(rule: Rule, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> bool:
    """Say whether the answer to a recovery send settles an unknown outcome: a 2xx does, or a proved replay.

    401, 403, 409, 429 and most others can be given before the provider's idempotency layer is asked; a 5xx may
    be the first answer replayed. A replay is proved by a condition in the rule's `outcomes` that calls the answer a
    success: GoCardless answers a completed duplicate with 409 and the id of what was created.
    """
    if 200 <= status < 300:
        return True
    proofs = [case for case in _cases(rule, status) if case.condition is not None and case.outcome == Outcome.SUCCESS]
    document = _document(headers, body) if proofs else _NO_DOCUMENT
    return document is not _NO_DOCUMENT and any(_holds(case, document) for case in proofs)


def _cases(rule: Rule, status: int) -> list[OutcomeCase]:
    return [case for case in rule.outcomes if case.low <= status <= case.high]


def _holds(case: OutcomeCase, document: Any) -> bool:
    try:
        return case.condition is not None and case.condition.holds(document)
    except (JSONPathError, RecursionError):
        return False


def _document(headers: Sequence[tuple[str, str]], body: bytes) -> Any:
    encoding = next((value.strip().lower() for name, value in headers if name.lower() == "content-encoding"), "")
    try:
        return exact_json(_decode(body, encoding).decode("utf-8"))
    except (ValueError, RecursionError, zlib.error):
        return _NO_DOCUMENT


def _decode(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"cannot decode {encoding}")
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    data = inflate.decompress(body, _MAX_DECODED)
    if not inflate.eof:
        raise ValueError("truncated or too large")
    return data
