"""Single values in a rules file: what each looks like, as a parser and as JSON Schema. No names of keys here.

Parsers only say what was expected; `complaints` adds where it stands and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from ledger_rules.durations import seconds
from ledger_rules.egress import Destination
from ledger_rules.globs import TextGlob
from ledger_rules.jsonpaths import Condition, Path
from ledger_rules.notify import webhook
from ledger_rules.patterns import UrlPattern
from ledger_rules.references import Reference, Template

_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER = re.compile(_HEADER_NAME)
_NO_KEY = re.compile(
    r"(?:(?:content|accept|proxy|ledger|sec|if)-|(?:host|authorization|cookie|connection|transfer-encoding|te|trailer"
    r"|upgrade|expect|date|accept|user-agent|keep-alive|range)$)",
    re.IGNORECASE,
)
"""Headers that a key of ours would overwrite with nonsense."""
_MEMBER = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*){1,8}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:\-]{0,99}")
_NOTIFY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,49}")
_ARGUMENT = re.compile(r"[^\x00]+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANSWER = re.compile(r"([1-5])(?:([0-9]{2})|xx)(?:\s+(\S.*))?", re.DOTALL)
_ANSWER_EXPECTED = 'expected a status such as 503 or 5xx, or one with a condition such as "200 $.ok == false"'

type Schema = dict[str, Any]
type Answer = tuple[int, int, Condition | None]
"""Statuses from, to, and perhaps a condition on the body."""

TEXT: Schema = {"type": "string"}
DURATION: Schema = {
    "description": "A duration: 500ms, 30s, 5m, 24h, 7d, or a number of seconds.",
    "anyOf": [
        {"type": "string", "pattern": r"^\s*[0-9]{1,9}(\.[0-9]{1,6})?\s*(ms|s|m|h|d|w)\s*$"},
        {"type": "number", "minimum": 0},
    ],
}
JSONPATH: Schema = {"type": "string", "pattern": r"^\$", "description": "An RFC 9535 JSONPath."}


def text[T](parse: Callable[[str], T]) -> PlainValidator:
    """Validate a text with a parser that raises ValueError."""

    def check(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError("expected text (in quotes if it looks like a number)")
        return parse(value)

    return PlainValidator(check)


def fitting(form: re.Pattern[str], expected: str) -> Callable[[str], str]:
    """Return a parser that takes the texts of one form as they are."""

    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"expected {expected}")
        return value

    return check


def answer(value: str) -> Answer:
    """Read a status, a class of them (5xx), or one with a condition; raises ValueError."""
    form = _ANSWER.fullmatch(value.strip())
    if form is None:
        raise ValueError(_ANSWER_EXPECTED)
    low, high = (int(form[1] + form[2]),) * 2 if form[2] else (int(form[1] + "00"), int(form[1] + "99"))
    return low, high, Condition.parse(form[3]) if form[3] else None


def _proof(value: object) -> Answer:
    """Read an answer that may leave the status out: any 2xx then."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("expected a condition such as $.data[0], or a status such as 404, or both")
    return (200, 299, Condition.parse(value)) if value.lstrip().startswith(("$", "@")) else answer(value)


def _not_all(value: str) -> str:
    if value.strip() == "$":
        raise ValueError("expected a path to a part of the body, not to all of it")
    return value


def _body_path(value: str) -> Path:
    return Path.parse(_not_all(value))


def _key_part(value: str) -> Reference:
    return Reference.parse(_not_all(value))


def _url(value: str) -> UrlPattern:
    pattern = UrlPattern.parse(value)
    if not pattern.path and "/" not in value.partition("://")[2]:  # who writes it so hardly means the root alone
        raise ValueError(f"expected a path, too: {value}/** for all of this host, {value}/ for its root alone")
    return pattern


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
    try:
        return None if value == "never" else seconds(value)
    except ValueError as error:
        raise ValueError(f"{error}, or never") from None


def _conditions(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("expected a condition such as $.kind == 'pay', or a list of them")
    return _listed(value)


def _given(value: object) -> object:
    if value is None:
        raise ValueError("expected a value")
    return value


def _or_one(items: Schema) -> Schema:
    return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]}


def _key_header(value: str) -> str:
    if _NO_KEY.match(value):
        raise ValueError("expected a header of the key's own, such as Idempotency-Key: this one means something else")
    return fitting(_HEADER, "a header name")(value)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_URL: Schema = {
    "type": "string",
    "description": "Scheme, host, port and path: * within a segment, ** across, {name} for a whole one.",
}
_PATTERN: Schema = {"type": "string", "description": "A text in which * stands for any characters."}

Given = BeforeValidator(_given)
Duration = Annotated[float, PlainValidator(seconds), WithJsonSchema(DURATION)]
MaybeDuration = Annotated[float | None, PlainValidator(seconds), WithJsonSchema(DURATION)]
Timeout = Annotated[
    float | None, PlainValidator(_timeout), WithJsonSchema({"anyOf": [*DURATION["anyOf"], {"const": "never"}]})
]
Header = Annotated[
    str, text(fitting(_HEADER, "a header name")), WithJsonSchema({"type": "string", "pattern": f"^{_HEADER_NAME}$"})
]
KeyHeader = Annotated[str, text(_key_header), WithJsonSchema({"type": "string", "pattern": f"^{_HEADER_NAME}$"})]
Name = Annotated[
    str,
    text(fitting(_NAME, "a name of letters, digits and . _ / : - (up to 100)")),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_./:\-]{0,99}$"}),
]
NotifyName = Annotated[
    str,
    text(fitting(_NOTIFY_NAME, "a name of letters, digits and . _ - (up to 50)")),
    WithJsonSchema({"type": "string", "pattern": rf"^{_NOTIFY_NAME.pattern}$"}),
]
Webhook = Annotated[
    str, text(webhook), WithJsonSchema({"type": "string", "pattern": r"^(https?://\S+|\$\{[A-Za-z_][A-Za-z0-9_]*\})$"})
]
Word = Annotated[str, text(fitting(_ARGUMENT, "a word of a command line")), WithJsonSchema(TEXT | {"minLength": 1})]
Member = Annotated[
    str,
    text(fitting(_MEMBER, "the path of one member of the body, such as $.idempotency_key")),
    WithJsonSchema({"type": "string", "pattern": rf"^{_MEMBER.pattern}$"}),
]
Directive = Annotated[
    str,
    text(fitting(_WORD, "the name of a GraphQL directive, without @")),
    WithJsonSchema({"type": "string", "pattern": rf"^{_WORD.pattern}$"}),
]
Segment = Annotated[str, text(fitting(_WORD, "the name of a {name} in the URL's pattern")), WithJsonSchema(TEXT)]
Glob = Annotated[TextGlob, text(TextGlob.parse), WithJsonSchema(_PATTERN)]
Globs = Annotated[list[Glob], Field(min_length=1), BeforeValidator(_listed), WithJsonSchema(_or_one(_PATTERN))]
Urls = Annotated[
    list[Annotated[UrlPattern, text(_url)]],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(_or_one(_URL)),
]
Origins = Annotated[
    list[Annotated[UrlPattern, text(_origin)]],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(_or_one(TEXT)),
]
Destinations = Annotated[
    list[Annotated[Destination, text(Destination.parse)]],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [TEXT, {"type": "array", "items": TEXT}]}),
]
BodyPath = Annotated[Path, text(_body_path), WithJsonSchema(JSONPATH)]
BodyOrPart = Annotated[Path, text(Path.parse), WithJsonSchema(JSONPATH)]
KeyPart = Annotated[
    Reference,
    text(_key_part),
    WithJsonSchema({"type": "string", "pattern": r"^(\$.|(path|query|header)\..)"}),
]
Conditions = Annotated[
    list[Annotated[Condition, text(Condition.parse)]],
    Field(min_length=1),
    BeforeValidator(_conditions),
    WithJsonSchema(_or_one(TEXT)),
]
Url = Annotated[Template, text(Template.parse), WithJsonSchema({"type": "string", "pattern": "^(https?://|/)"})]
Proof = Annotated[
    Answer,
    PlainValidator(_proof),
    WithJsonSchema({"anyOf": [TEXT, {"type": "integer", "minimum": 100, "maximum": 599}]}),
]
Method = Annotated[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], BeforeValidator(_upper)]
Methods = Annotated[
    list[Method],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(_or_one({"enum": [*_METHODS, *map(str.lower, _METHODS)]})),
]
GraphqlType = Literal["query", "mutation", "subscription"]
GraphqlTypes = Annotated[
    list[GraphqlType],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(_or_one({"enum": ["query", "mutation", "subscription"]})),
]
_OUTCOMES = ("success", "failed", "unknown")
Outcomes = Annotated[
    dict[str, Literal["success", "failed", "unknown"]],
    WithJsonSchema(
        {
            "type": "object",
            "patternProperties": {r"^\s*[1-5]([0-9]{2}|xx)(\s+\S.*)?$": {"enum": list(_OUTCOMES)}},
            "additionalProperties": False,
        }
    ),
]
Max = Annotated[int, Field(ge=1)]
