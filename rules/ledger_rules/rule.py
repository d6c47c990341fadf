"""A compiled rule: plain values. Which requests it means is in `matching`; how it came from YAML is not here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ledger.policy import Policy
from ledger_rules.account import DEFAULT_HEADERS
from ledger_rules.jsonpaths import Condition, Path
from ledger_rules.keys import STANDARD_HEADER, KeyMode
from ledger_rules.matching import Criteria
from ledger_rules.patterns import UrlPattern
from ledger_rules.references import Reference, Template
from ledger_rules.views import EVERYTHING, BodyView

type Mode = Literal["enforce", "observe"]

ALWAYS_MASKED = frozenset(
    (
        *("access_token", "api_key", "apikey", "auth", "client_secret", "key", "password", "secret", "sig"),
        *("signature", "token", "x-amz-credential", "x-amz-security-token", "x-amz-signature"),
    )
)
"""Query parameters that are never stored, whatever `redact` says."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which parts of a request say what it is for.

    path_ignore: the `{name}`s of the URL's pattern that do not count.
    only: what the payload is reduced to besides `body.only`, outside of the body.
    """

    query_ignore: frozenset[str] = frozenset()
    path_ignore: tuple[str, ...] = ()
    body: BodyView = EVERYTHING
    only: tuple[Reference, ...] = ()
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
class Verify:
    """How the provider is asked what became of an operation.

    get: the URL. done, not_done: which answers say that the effect happened, or that it did not.
    settle: seconds after the end of the send during which "not done" says nothing: it may still be queued there.
    result: the part of a "done" that duplicates are answered with; without it they only hear that it was done.
    """

    get: Template
    done: OutcomeCase
    not_done: OutcomeCase | None
    settle: float
    result: Path | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is exactly-once, how it is recognised and how its duplicates are answered.

    masked: query parameters, lower case, whose values are not stored. redact: parts of responses that are not.
    verify: given, an unknown outcome is asked about before it is held.
    source: where it was written, `FILE:LINE`.
    """

    name: str
    match: Criteria
    policy: Policy
    mode: Mode = "enforce"
    fingerprint: Fingerprint = Fingerprint()
    key_mode: KeyMode = KeyMode.RESPECT
    account: tuple[str, ...] = DEFAULT_HEADERS
    upstream_key: UpstreamKey | None = None
    outcomes: tuple[OutcomeCase, ...] = ()
    verify: Verify | None = None
    masked: frozenset[str] = ALWAYS_MASKED
    redact: tuple[Path, ...] = ()
    source: str = ""
    key_headers: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    """Where the client's own key may be, also in lower case: the provider's header first, then the standard one."""
    listed: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The headers that count because the fingerprint lists them, in lower case."""
    secret_names: tuple[tuple[UrlPattern, tuple[str, ...]], ...] = field(init=False, repr=False, compare=False)
    """Of its URLs those with `{name}`s that are called like a query parameter that is not stored, and these."""

    def __post_init__(self) -> None:
        """Find out once what every request asks for."""
        own = (self.upstream_key.header if self.upstream_key else None) or STANDARD_HEADER
        keys = (own,) if own.lower() == STANDARD_HEADER.lower() else (own, STANDARD_HEADER)
        named = ((url, tuple(name for name in url.names if name.lower() in self.masked)) for url in self.match.urls)
        object.__setattr__(self, "key_headers", tuple((key, key.lower()) for key in keys))
        object.__setattr__(self, "listed", tuple(name.lower() for name in self.fingerprint.headers))
        object.__setattr__(self, "secret_names", tuple((url, names) for url, names in named if names))

    @property
    def urls(self) -> tuple[UrlPattern, ...]:
        """Where its requests go; one of them will do."""
        return self.match.urls

    @property
    def methods(self) -> frozenset[str]:
        """The methods of its requests."""
        return self.match.methods
