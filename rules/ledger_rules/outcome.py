"""What a response says about the effect: it happened, it did not, or nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from ledger_rules.encodings import decoded
from ledger_rules.jsonpaths import Path
from ledger_rules.jsontext import exact_json, read
from ledger_rules.rule import OutcomeCase, Rule, Verify


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
    cases = _cases(rule.outcomes, status)
    conditional = [case for case in cases if case.condition is not None]
    if conditional:
        held = _held(conditional, headers, body)
        if held is None:
            return Outcome.UNKNOWN
        if held:
            return Outcome(held[0].outcome)
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

    401, 403, 409, 429 and most others can be given before the provider's idempotency layer is asked, and so can a 2xx
    that the rule's `outcomes` call a failure; a 5xx may be the first answer replayed. A replay is proved by a condition
    in `outcomes` that calls the answer a success: GoCardless answers a completed duplicate with 409 and the id of what
    was created.
    """
    if 200 <= status < 300:
        return classify(rule, status, headers, body) is Outcome.SUCCESS
    proofs = [case for case in _cases(rule.outcomes, status) if case.condition and case.outcome == Outcome.SUCCESS]
    return bool(_held(proofs, headers, body))


def verified(verify: Verify, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Outcome | None:
    """Say what the answer to a verification proves: success, failed, or nothing (None), also if it says both.

    That "failed" counts only once `settle` is over is the business of whoever asked.
    """
    asked = [case for case in (verify.done, verify.not_done) if case is not None]
    said = {case.outcome for case in _holding(_cases(asked, status), headers, body)}
    return Outcome(said.pop()) if len(said) == 1 else None


def chosen(path: Path, content_encoding: str | None, body: bytes) -> bytes | None:
    """Return the part of a JSON answer at a path, as JSON; None unless it is there once."""
    try:
        said = read(decoded(body, content_encoding).decode("utf-8"))
        found = path.values(said.document)
        return said.write(found[0]).encode() if len(found) == 1 else None
    except (ValueError, RecursionError):
        return None


def _cases(cases: Sequence[OutcomeCase], status: int) -> list[OutcomeCase]:
    return [case for case in cases if case.low <= status <= case.high]


def _holding(cases: Sequence[OutcomeCase], headers: Sequence[tuple[str, str]], body: bytes) -> list[OutcomeCase]:
    """Return the cases whose condition holds, and those without one; of a body that cannot be read, only these."""
    plain = [case for case in cases if case.condition is None]
    return [*plain, *(_held([case for case in cases if case.condition], headers, body) or ())]


def _held(cases: Sequence[OutcomeCase], headers: Sequence[tuple[str, str]], body: bytes) -> list[OutcomeCase] | None:
    """Return the cases whose condition holds, in order; None where it cannot be told."""
    if not cases:
        return []
    try:
        document = exact_json(decoded(body, _encoding(headers)).decode("utf-8"))
        return [case for case in cases if case.condition is not None and case.condition.holds(document)]
    except (ValueError, RecursionError):
        return None


def _encoding(headers: Sequence[tuple[str, str]]) -> str:
    return ", ".join(value for name, value in headers if name.lower() == "content-encoding")
