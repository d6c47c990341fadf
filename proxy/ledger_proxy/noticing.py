"""Notices an endpoint that is called again and again with requests that differ in noise alone: retries, probably,
that no rule recognises. One warning each, with the line to add. Bounded in memory and in work; keeps no value long.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ledger.policy import OnUnknown
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.shapes import Field, fields
from ledger_rules.urls import split_target
from ledger_rules.varying import to_ignore, variation

logger = logging.getLogger(__name__)

TIMES, SECONDS = 3, 10.0
"""So many requests, each within so many seconds of the one before, are worth a word."""
ENDPOINTS = 64
"""So many are watched; the one that was called longest ago is forgotten first."""
MAX_BODY = 64 << 10
"""Bytes of a body that are compared."""
CHECKS, EVERY = 8, 60.0
"""Comparisons for one endpoint in so many seconds: a busy one must not cost more."""
_KEY = "header.Idempotency-Key"


@dataclass(slots=True)
class _Endpoint:
    """What is known of one. last: the request before, read or not yet; alike: requests in a row that were but noise."""

    at: float
    last: Request | tuple[Field, ...]
    since: float
    checks: int = 0
    alike: int = 1
    spoken: bool = False


class Noticer:
    """Of one sidecar. warn: is told one line."""

    def __init__(self, secret: bytes, warn: Callable[[str], None]) -> None:
        self._secret, self._warn = secret, warn
        self._endpoints: OrderedDict[tuple[str, str, str], _Endpoint] = OrderedDict()

    def arrived(self, rule: Rule, request: Request, now: float) -> None:
        """A new operation came. now: Unix seconds. Never raises: a warning is not worth a refused request."""
        try:
            if len(request.body) <= MAX_BODY:
                self._arrived(rule, request, now)
        except Exception:
            logger.debug("a request could not be compared with the one before", exc_info=True)

    def _arrived(self, rule: Rule, request: Request, now: float) -> None:
        path = split_target(request.target)[0]
        endpoint = self._endpoint((rule.name, request.method, path), request, now)
        if endpoint.spoken or endpoint.last is request:
            return
        if now - endpoint.at > SECONDS:
            endpoint.at, endpoint.last, endpoint.alike = now, request, 1
            return
        if now - endpoint.since > EVERY:
            endpoint.since, endpoint.checks = now, 0
        if endpoint.checks < CHECKS:
            endpoint.checks += 1
            self._compare(endpoint, rule, request, now)

    def _compare(self, endpoint: _Endpoint, rule: Rule, request: Request, now: float) -> None:
        before = endpoint.last
        if isinstance(before, Request):
            before = fields(before, self._secret, endpoint.at)
        after = fields(request, self._secret, now)
        found = variation(_counted(before, rule), _counted(after, rule))
        endpoint.at, endpoint.last = now, after
        endpoint.alike = endpoint.alike + 1 if found is not None and found.noise else 1
        if found is not None and endpoint.alike >= TIMES:
            endpoint.spoken, endpoint.last = True, ()
            self._warn(_told(rule, request, found.fields))

    def _endpoint(self, key: tuple[str, str, str], request: Request, now: float) -> _Endpoint:
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            endpoint = self._endpoints[key] = _Endpoint(now, request, now)
            if len(self._endpoints) > ENDPOINTS:
                self._endpoints.popitem(last=False)
        self._endpoints.move_to_end(key)
        return endpoint


def _counted(found: Iterable[Field], rule: Rule) -> tuple[Field, ...]:
    """The fields by which the rule tells operations apart, as far as their places say."""
    prints = rule.fingerprint
    ignored = {path.text for path in prints.body.ignore} | {f"query.{name}" for name in prints.query_ignore}
    return tuple(f for f in found if f.place not in ignored and (f.place == _KEY or not f.place.startswith("header.")))


def _told(rule: Rule, request: Request, noise: Sequence[Field]) -> str:
    named = ", ".join(f"{f.place} ({f.shape.value})" for f in noise)
    advice = f"in rule '{rule.name}' say {' and '.join(_lines(rule, noise))}"
    where = f"{request.method} {request.host}{split_target(request.target)[0]}"
    return (
        f"{where} came {TIMES} times within seconds and differed only in {named}. If these were attempts of one "
        f"operation, each had its effect: {advice}. If not, all is well"
    )


def _lines(rule: Rule, noise: Sequence[Field]) -> Iterator[str]:
    """The keys of the rule, as they would have to be."""
    if any(f.place == _KEY for f in noise):
        yield "idempotency_key: ignore-generated"
    ignore = to_ignore(noise, rule.fingerprint)
    if ignore:
        yield ignore
    if rule.policy.on_unknown is OnUnknown.RESEND:
        yield "on_unknown: hold"
