"""A compiled rule: plain values and one small question, does this request match? How it came from YAML is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.policy import Policy
from ledger_rules.account import DEFAULT_HEADERS
from ledger_rules.globs import TextGlob
from ledger_rules.jsonpaths import Condition
from ledger_rules.keys import STANDARD_HEADER, KeyMode
from ledger_rules.patterns import Place, UrlPattern
from ledger_rules.request import Request
from ledger_rules.urls import Pair, form_pairs, normal_host, readings, split_target
from ledger_rules.views import EVERYTHING, BodyView

EFFECT_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))
"""What a rule without `method` means."""

ALWAYS_MASKED = frozenset(
    (
        *("access_token", "api_key", "apikey", "auth", "client_secret", "key", "password", "secret", "sig"),
        *("signature", "token", "x-amz-credential", "x-amz-security-token", "x-amz-signature"),
    )
)
"""Query parameters that are never stored, whatever `redact` says."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which parts of a request say what it is for."""

    query_ignore: frozenset[str] = frozenset()
    body: BodyView = EVERYTHING
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    """Where the provider honours an idempotency key, and for how long (seconds).

    One of three: a header; a member of the JSON body, by the names that lead to it; a GraphQL directive's `key`.
    """

    retention: float
    header: str | None = None
    member: tuple[str, ...] = ()
    directive: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeCase:
    """One line of `outcomes`: statuses from `low` to `high`, perhaps under a condition, mean `outcome`."""

    low: int
    high: int
    condition: Condition | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A request read once for all the rules it is held against."""

    method: str
    place: Place
    query: tuple[Pair, ...]
    request: Request


def sight(request: Request) -> Sighting:
    """Read a request for matching. Never raises: a query with a malformed escape has no parameters."""
    path, query = split_target(request.target)
    place = Place(request.scheme, normal_host(request.host), request.port, readings(path))
    return Sighting(request.method.upper(), place, form_pairs(query) or (), request)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is exactly-once, how it is recognised and how its duplicates are answered."""

    name: str
    urls: tuple[UrlPattern, ...]
    policy: Policy
    methods: frozenset[str] = EFFECT_METHODS
    query: tuple[tuple[str, TextGlob], ...] = ()
    headers: tuple[tuple[str, TextGlob], ...] = ()
    fingerprint: Fingerprint = Fingerprint()
    key_mode: KeyMode = KeyMode.RESPECT
    account: tuple[str, ...] = DEFAULT_HEADERS
    upstream_key: UpstreamKey | None = None
    outcomes: tuple[OutcomeCase, ...] = ()
    masked: frozenset[str] = ALWAYS_MASKED
    source: str = ""
    """Where it was written, `FILE:LINE`."""

    @property
    def key_headers(self) -> tuple[str, ...]:
        """Where the client's own key may be: the provider's header first, then the standard one."""
        own = (self.upstream_key.header if self.upstream_key else None) or STANDARD_HEADER
        return (own,) if own.lower() == STANDARD_HEADER.lower() else (own, STANDARD_HEADER)

    def matches(self, seen: Sighting) -> bool:
        """Say whether a request is meant by this rule."""
        return (
            seen.method in self.methods
            and any(url.matches(seen.place) for url in self.urls)
            and _query_fits(self.query, seen.query)
            and _headers_fit(self.headers, seen.request)
        )


def _query_fits(wanted: Sequence[tuple[str, TextGlob]], pairs: Sequence[Pair]) -> bool:
    """Any value of a repeated parameter will do: which one the server goes by is not known."""
    return all(any(key == name and glob.matches(value or "") for key, value in pairs) for name, glob in wanted)


def _headers_fit(wanted: Sequence[tuple[str, TextGlob]], request: Request) -> bool:
    return all((value := request.header(name)) is not None and glob.matches(value) for name, glob in wanted)
