"""What would become of a request: which rules were tried, which part of it counts, and how duplicates are answered.

Values for `ledger rules explain`, shown elsewhere. No credential is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger_rules import account, readout
from ledger_rules.asking import ARGUMENTS, OVERRIDES, arguments, methods
from ledger_rules.bodies import Reading
from ledger_rules.counting import body_counts, elsewhere
from ledger_rules.errors import MissingKey
from ledger_rules.matching import Sighting
from ledger_rules.operation import CALLER_HEADER, LEDGER_HEADERS, OPERATION_HEADER, Operation, identify, read_body
from ledger_rules.reasons import Tried, tried
from ledger_rules.request import Request, origin
from ledger_rules.rule import ALWAYS_MASKED, Rule
from ledger_rules.ruleset import Ruleset
from ledger_rules.urls import identity, masked, normal_host, normal_path, split_target

_SECRET = b"of explanations, and of no ledger"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of one request.

    url: in one spelling, secrets masked. intercepted: whether any rule is about its host and port.
    tried: the rules about its host, up to the one that means it. elsewhere: how many rules are about other hosts.
    rule: the one that means it, None for none; what follows is about it.
    counted, ignored: what tells it from other operations, and what does not, one thing a line.
    said: what counts of its body, in one spelling or as a hash. format: how it was read; notes: what was done to it.
    fingerprint: equal for two requests that are one operation; not that of any ledger, which has a key of its own.
    problem: why the request would be refused, None if it would not.
    """

    method: str
    url: str
    intercepted: bool
    tried: tuple[Tried, ...]
    elsewhere: int
    rule: Rule | None = None
    counted: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    format: str | None = None
    said: str | None = None
    notes: tuple[str, ...] = ()
    fingerprint: str | None = None
    answering: tuple[str, ...] = ()
    problem: str | None = None


def explain(rules: Ruleset, request: Request, wf: str = "default") -> Explanation:
    """Return what becomes of a request. Never raises."""
    seen = Sighting(request)
    here = [rule for rule in rules.rules if _about(rule, request)]
    rule = rules.match(request)
    tries = tuple(tried(one, seen) for one in (here[: here.index(rule) + 1] if rule else here))
    url = masked(request, ALWAYS_MASKED) if rule is None else masked(request, rule.masked)
    head = (
        request.method.upper(),
        url,
        rules.intercepts(request.host, request.port),
        tries,
        len(rules.rules) - len(here),
    )
    if rule is None:
        return Explanation(*head)
    try:
        operation = identify(rule, request, _SECRET, wf)
    except MissingKey as error:
        return Explanation(*head, rule, problem=str(error))
    reading = read_body(rule, request)
    return Explanation(
        *head,
        rule,
        counted=tuple(_counted(rule, request, operation, reading)),
        ignored=tuple(_ignored(rule, request, operation, reading)),
        format=reading.format,
        said="\n".join(readout.lines(reading)),
        notes=tuple(readout.notes(reading)),
        fingerprint=operation.id,
        answering=tuple(_answering(rule, operation)),
    )


def _about(rule: Rule, request: Request) -> bool:
    host = normal_host(request.host)
    return any(url.port == request.port and url.host.matches(host) for url in rule.urls)


def _counted(rule: Rule, request: Request, operation: Operation, reading: Reading) -> Iterator[str]:
    yield f"workflow {operation.wf}"
    kinds = account.kinds(request, rule.account)
    yield "account: " + ("; ".join(f"{words} in {name}" for name, words in kinds) or "none is named")
    yield f"method {', also as '.join(methods(request))}"
    yield f"URL {_where(rule, request)}"
    yield from (f"header {name}" for name, _ in arguments(request))
    if operation.keyed:
        by_id = (request.header(OPERATION_HEADER) or "").strip()
        yield f"the operation id {by_id}" if by_id else "the caller's idempotency key"
        yield "under it, another payload is a conflict (422):"
    yield from _payload(rule, request, reading)


def _payload(rule: Rule, request: Request, reading: Reading) -> Iterator[str]:
    prints = rule.fingerprint
    found = elsewhere(rule, request)
    for reference, values in zip(prints.only, found or (), strict=False):
        yield f"{reference.text}: {', '.join(map(str, values))}"
    if body_counts(prints, found):
        yield f"body, {_size(reading)}"
    for name in prints.headers:
        if request.header(name) is not None:
            yield f"header {name}"


def _size(reading: Reading) -> str:
    return f"{reading.media_type or 'no media type'}, read as {reading.format}, {reading.size} bytes"


def _ignored(rule: Rule, request: Request, operation: Operation, reading: Reading) -> Iterator[str]:
    prints = rule.fingerprint
    found = elsewhere(rule, request)
    if operation.ignored_key:
        yield "the idempotency key: it has the shape that SDKs make up for every call"
    present = {name for name, _ in Sighting(request).query}
    yield from (f"query parameter {name}" for name in sorted(prints.query_ignore & present))
    yield from (f"path segment {{{name}}}" for name in prints.path_ignore)
    if found is None:
        yield "the business key: a part of it is missing, so all of the body counts"
    if not body_counts(prints, found):
        yield "the body: the business key is all elsewhere"
    yield from (f"body: {note}" for note in reading.notes if note.startswith("ignored "))
    if others := _other_headers(rule, request):
        yield f"headers {', '.join(others)}"


def _other_headers(rule: Rule, request: Request) -> Sequence[str]:
    counted = {name.lower() for name in rule.fingerprint.headers} | {"content-type", "content-encoding"}
    counted |= {name for name, _ in account.kinds(request, rule.account)} | LEDGER_HEADERS - {CALLER_HEADER.lower()}
    counted |= {name.lower() for name in OVERRIDES} | {key for _, key in rule.key_headers} | ARGUMENTS
    return sorted(name for name in request.by_name if name not in counted)


def _where(rule: Rule, request: Request) -> str:
    """Return the URL as it is compared, ignored parameters left out, secrets masked."""
    path, _ = split_target(request.target)
    pairs = identity(request, rule.fingerprint.query_ignore)[-1]
    base = origin(request.scheme, normal_host(request.host), request.port) + normal_path(path)
    if isinstance(pairs, str):
        return base + " with a query that is malformed and compared as it is"
    shown = [_masked_pair(rule, pair) for pair in pairs if isinstance(pair, tuple)] if isinstance(pairs, tuple) else []
    return base + ("?" + "&".join(shown) if shown else "")


def _masked_pair(rule: Rule, pair: tuple[str, str | None]) -> str:
    name, value = pair
    if value is None:
        return name
    return f"{name}={'***' if name.lower() in rule.masked else value}"


def _answering(rule: Rule, operation: Operation) -> Iterator[str]:
    policy = operation.policy
    if rule.mode == "observe":
        yield "observed only: nothing is blocked"
    yield f"at most {policy.max} {'effect' if policy.max == 1 else 'effects'} in {_duration(policy.window)}"
    yield f"a duplicate of a success is answered from the record; one in flight waits up to {_duration(policy.wait)}"
    if operation.passed_key is not None:
        yield "the caller's key is passed on"
    elif operation.takes_key:
        yield "a key of ours goes upstream with it"
    unknown = "verify" if rule.verify else str(policy.on_unknown)
    words = {
        "verify": "is looked up at the provider before anything else",
        "resend": f"is sent again under the same key within {_duration(policy.key_retention)}",
    }
    yield f"an unknown outcome {words.get(unknown, 'is held for a person')}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "all time"
    for size, least, unit in ((86400, 2, "d"), (3600, 1, "h"), (60, 1, "min")):
        if seconds >= least * size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
