"""What a rules file may say, as pydantic models: names and defaults. What a value looks like is in `fields`, what all
of it means in `compile`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from ledger_rules.fields import (
    BodyOrPart,
    BodyPath,
    Conditions,
    Destinations,
    Directive,
    Duration,
    Given,
    Glob,
    Globs,
    GraphqlTypes,
    Header,
    KeyHeader,
    KeyPart,
    Max,
    MaybeDuration,
    Member,
    Methods,
    Name,
    NotifyName,
    Origins,
    Outcomes,
    Proof,
    Segment,
    Timeout,
    Url,
    Urls,
    Webhook,
    Word,
)

Mode = Literal["enforce", "observe"]


class Strict(BaseModel):
    """The base of all: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True, defer_build=True)


class GraphqlSpec(Strict):
    """Which GraphQL operations a rule means: by type, by the client's name for it, by a field of the root."""

    type: GraphqlTypes = ["mutation"]
    name: Annotated[Globs | None, Given] = None
    field: Annotated[Globs | None, Given] = None


class Match(Strict):
    """Which requests a rule means."""

    method: Annotated[Methods | None, Given] = None
    url: Urls
    query: dict[str, Glob] = {}
    headers: dict[Header, Glob] = {}
    body: Annotated[Conditions | None, Given] = None
    graphql: Annotated[GraphqlSpec | None, Given] = None


class QueryView(Strict):
    """Which query parameters count."""

    ignore: list[str] = []


class PathView(Strict):
    """Which segments of the path count: all but these `{name}`s of the URL's pattern."""

    ignore: list[Segment] = []


class BodyPaths(Strict):
    """Which part of a body counts: all but `ignore`, or `only` a business key, which may also stand elsewhere."""

    ignore: list[BodyPath] = []
    only: list[KeyPart] = Field(default=[], min_length=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> BodyPaths:
        if self.ignore and self.only:
            raise ValueError("expected either 'ignore' or 'only', not both")
        return self


class FingerprintSpec(Strict):
    """What tells two operations apart."""

    query: QueryView = QueryView()
    path: PathView = PathView()
    body: BodyPaths = BodyPaths()
    headers: list[Header] = []


class UpstreamKeySpec(Strict):
    """The provider's own idempotency."""

    header: KeyHeader | None = None
    body: Member | None = None
    directive: Directive | None = None
    retention: Duration

    @model_validator(mode="after")
    def _in_one_place(self) -> UpstreamKeySpec:
        if sum(place is not None for place in (self.header, self.body, self.directive)) != 1:
            raise ValueError("expected one of 'header', 'body' and 'directive': where the provider reads the key")
        return self


class VerifySpec(Strict):
    """How the provider is asked what became of an operation."""

    get: Url
    done: Proof
    not_done: Annotated[Proof | None, Given] = None
    settle: Duration = 120.0
    result: Annotated[BodyOrPart | None, Given] = None


class Times(Strict):
    """How long a success answers duplicates, and how long a duplicate waits for the one in flight."""

    window: MaybeDuration = None
    wait: MaybeDuration = None


class Defaults(Times):
    """What rules say that say nothing."""

    on_unknown: Annotated[Literal["hold", "resend"] | None, Given] = None


_MATCH_UNLESS_A_PACKS: JsonDict = {"if": {"properties": {"name": {"pattern": "/"}}}, "else": {"required": ["match"]}}


class RuleSpec(Times):
    """One rule; without `match`, one of a pack, `PACK/RULE`, of which it changes the keys that are given."""

    model_config = ConfigDict(json_schema_extra=_MATCH_UNLESS_A_PACKS)

    name: Name
    mode: Annotated[Mode | None, Given] = None
    match: Annotated[Match | None, Given] = None
    fingerprint: FingerprintSpec = FingerprintSpec()
    idempotency_key: Literal["respect", "ignore", "ignore-generated", "require"] = "respect"
    account: Annotated[list[Header] | None, Field(min_length=1), Given] = None
    upstream_key: Annotated[UpstreamKeySpec | None, Given] = None
    outcomes: Outcomes = {}
    on_unknown: Annotated[Literal["hold", "resend", "verify"] | None, Given] = None
    verify: Annotated[VerifySpec | None, Given] = None
    max: Max = 1


class Redact(Strict):
    """What is masked before it is stored."""

    query: list[str] = []
    response: list[BodyPath] = []


class ToolSpec(Strict):
    """The policy of one guarded function; what is not given is as `guard.policy` has it."""

    max: Max | None = None
    window: MaybeDuration = None
    replay: bool | None = None
    unlimited: bool | None = None
    wait: MaybeDuration = None
    timeout: Timeout = None
    on_unknown: Literal["hold", "retry"] | None = None


class EgressSpec(Strict):
    """Where requests may go at all."""

    allow: Annotated[Destinations | None, Given] = None
    deny: Destinations = []


class NotifySpec(Strict):
    """Who is told of an unknown outcome."""

    name: NotifyName
    webhook: Annotated[Webhook | None, Given] = None
    headers: dict[Header, str] = {}
    command: list[Word] = Field(default=[], min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> NotifySpec:
        if bool(self.command) == (self.webhook is not None):
            raise ValueError("expected either 'webhook' or 'command'")
        if self.headers and self.command:
            raise ValueError("expected 'headers' with a 'webhook' only")
        return self


class PackOptions(Strict):
    """What a file may say about a pack."""

    hosts: Annotated[Origins | None, Given] = None


def _pack_entry(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


PackEntry = Annotated[dict[str, PackOptions], Field(min_length=1, max_length=1), BeforeValidator(_pack_entry)]


class RulesFile(Strict):
    """A rules file without tests; `testcases` has the whole of it."""

    version: Literal[1] = 1
    mode: Mode = "enforce"
    packs: list[PackEntry] = []
    defaults: Defaults = Defaults()
    redact: Redact = Redact()
    egress: EgressSpec = EgressSpec()
    rules: list[RuleSpec] = []
    notify: list[NotifySpec] = Field(default=[], max_length=8)
    tools: dict[Name, ToolSpec] = {}

    @model_validator(mode="after")
    def _says_something(self) -> RulesFile:
        if not self.model_fields_set & {"rules", "packs", "tools", "egress"}:
            raise ValueError("expected 'rules', 'packs' or 'tools'; as it is, nothing would be guarded")
        return self
