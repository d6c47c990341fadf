"""What a rules file may say, as pydantic models: names, types, defaults. What it means is in `compile`.

Validators only say what was expected; `complaints` adds where it stands and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from ledger_rules.durations import seconds
from ledger_rules.globs import TextGlob
from ledger_rules.jsonpaths import Path
from ledger_rules.patterns import UrlPattern

NOT_YET = frozenset(
    (
        "redact.response",
        "rules.match.body",
        "rules.match.graphql",
        "rules.verify",
        "rules.on_unknown: verify",
        "defaults.on_unknown: verify",
    )
)
"""Keys (and `key: value`) of the format that this version does not act on; they are refused, never ignored."""

_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MEMBER = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*){1,8}")
_DIRECTIVE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:\-]{0,99}")


def _text[T](parse: Callable[[str], T]) -> PlainValidator:
    """Validate a text with a parser that raises ValueError."""

    def check(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError("expected text (in quotes if it looks like a number)")
        return parse(value)

    return PlainValidator(check)


def _fitting(form: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"expected {expected}")
        return value

    return check


def _body_path(value: str) -> Path:
    if value.strip() == "$":
        raise ValueError("expected a path to a part of the body, not to all of it")
    return Path.parse(value)


def _origin(value: str) -> UrlPattern:
    pattern = UrlPattern.parse(value if "://" in value else f"https://{value}")
    if pattern.path:
        raise ValueError("expected a host without a path, such as api.example.com or http://localhost:8080")
    return pattern


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _timeout(value: object) -> float | None:
    return None if value == "never" else seconds(value)


def _given(value: object) -> object:
    if value is None:
        raise ValueError("expected a value")
    return value


Given = BeforeValidator(_given)
Duration = Annotated[float, PlainValidator(seconds)]
MaybeDuration = Annotated[float | None, PlainValidator(seconds)]
Header = Annotated[str, _text(_fitting(_HEADER, "a header name"))]
Name = Annotated[str, _text(_fitting(_NAME, "a name of letters, digits and . _ / : - (up to 100)"))]
Member = Annotated[str, _text(_fitting(_MEMBER, "the path of one member of the body, such as $.idempotency_key"))]
Directive = Annotated[str, _text(_fitting(_DIRECTIVE, "the name of a GraphQL directive, without @"))]
Glob = Annotated[TextGlob, _text(TextGlob.parse)]
Url = Annotated[UrlPattern, _text(UrlPattern.parse)]
Origin = Annotated[UrlPattern, _text(_origin)]
BodyPath = Annotated[Path, _text(_body_path)]
Method = Annotated[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], BeforeValidator(_upper)]
Methods = Annotated[list[Method], Field(min_length=1), BeforeValidator(_listed)]
OutcomeText = Literal["success", "failed", "unknown"]
Max = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """The base of all: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Match(Strict):
    """Which requests a rule means."""

    method: Annotated[Methods | None, Given] = None
    url: Annotated[list[Url], Field(min_length=1), BeforeValidator(_listed)]
    query: dict[str, Glob] = {}
    headers: dict[Header, Glob] = {}


class QueryView(Strict):
    """Which query parameters count."""

    ignore: list[str] = []


class BodyPaths(Strict):
    """Which part of a body counts."""

    ignore: list[BodyPath] = []
    only: list[BodyPath] = Field(default=[], min_length=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> BodyPaths:
        if self.ignore and self.only:
            raise ValueError("expected either 'ignore' or 'only', not both")
        return self


class FingerprintSpec(Strict):
    """What tells two operations apart."""

    query: QueryView = QueryView()
    body: BodyPaths = BodyPaths()
    headers: list[Header] = []


class UpstreamKeySpec(Strict):
    """The provider's own idempotency."""

    header: Header | None = None
    body: Member | None = None
    directive: Directive | None = None
    retention: Duration

    @model_validator(mode="after")
    def _in_one_place(self) -> UpstreamKeySpec:
        if sum(place is not None for place in (self.header, self.body, self.directive)) != 1:
            raise ValueError("expected one of 'header', 'body' and 'directive': where the provider reads the key")
        return self


class Defaults(Strict):
    """What rules say that say nothing."""

    window: MaybeDuration = None
    wait: MaybeDuration = None
    on_unknown: Annotated[Literal["hold", "resend"] | None, Given] = None


class RuleSpec(Defaults):
    """One rule."""

    name: Name
    match: Match
    fingerprint: FingerprintSpec = FingerprintSpec()
    idempotency_key: Literal["respect", "ignore", "ignore-generated", "require"] = "respect"
    account: Annotated[list[Header] | None, Field(min_length=1), Given] = None
    upstream_key: Annotated[UpstreamKeySpec | None, Given] = None
    outcomes: dict[str, OutcomeText] = {}
    max: Max = 1


class Redact(Strict):
    """What is masked before it is stored."""

    query: list[str] = []


class ToolSpec(Strict):
    """The policy of one guarded function; not given, `timeout` is the seed's 300 s."""

    max: Max = 1
    window: MaybeDuration = None
    replay: bool = False
    unlimited: bool = False
    wait: Duration = 30.0
    timeout: Annotated[float | None, PlainValidator(_timeout)] = 300.0
    on_unknown: Literal["hold", "retry"] = "hold"


class PackOptions(Strict):
    """What a file may say about a pack."""

    hosts: Annotated[list[Origin] | None, Field(min_length=1), BeforeValidator(_listed), Given] = None


def _pack_entry(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


PackEntry = Annotated[dict[str, PackOptions], Field(min_length=1, max_length=1), BeforeValidator(_pack_entry)]


class RulesFile(Strict):
    """A rules file."""

    version: Literal[1] = 1
    mode: Literal["enforce", "observe"] = "enforce"
    packs: list[PackEntry] = []
    defaults: Defaults = Defaults()
    redact: Redact = Redact()
    rules: list[RuleSpec] = []
    tools: dict[Name, ToolSpec] = {}

    @model_validator(mode="after")
    def _says_something(self) -> RulesFile:
        if not self.model_fields_set & {"rules", "packs", "tools"}:
            raise ValueError("expected 'rules', 'packs' or 'tools'; as it is, nothing would be guarded")
        return self
