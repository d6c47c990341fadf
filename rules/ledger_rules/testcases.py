"""The `tests` of a rules file: a request, what changes about it, and whether it is still the same operation.

What a test looks like and which requests it means is here; running them is in `testing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from ledger_rules.composing import compose
from ledger_rules.fields import Given, Header, Method, Name, text
from ledger_rules.request import Request
from ledger_rules.schema import RulesFile


def _value(value: object) -> object:
    if isinstance(value, bool) or (value is not None and not isinstance(value, str | int)):
        raise ValueError("expected text (in quotes if it looks like a number)")
    return value if value is None else str(value)


def _url(value: str) -> str:
    compose("GET", value)
    return value


NONE = "none"
"""In place of a rule's name: no rule means the request."""

Value = Annotated[str | None, BeforeValidator(_value), WithJsonSchema({"type": ["string", "integer", "null"]})]
"""Null takes the name away."""
Url = Annotated[str, text(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Body = Annotated[Any, WithJsonSchema({})]


class Parts(BaseModel):
    """What a request and a change of one have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    method: Method | None = None
    query: dict[str, Value] = {}
    headers: dict[Header, Value] = {}
    json_: Body = Field(default=None, alias="json")
    form: dict[str, Value] = {}
    body: str | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Parts:
        if len(self.model_fields_set & {"json_", "form", "body"}) > 1:
            raise ValueError("expected one of 'json', 'form' and 'body'")
        return self


class RequestSpec(Parts):
    """A request to start from."""

    url: Url


class Change(Parts):
    """What changes about a request."""

    url: Annotated[Url | None, Given] = None


class TestSpec(BaseModel):
    """One test: the request, and the same with changes. rule: the one that must mean it; `none` for none."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    __test__ = False

    name: str | None = None
    request: RequestSpec
    same: list[Change] = []
    different: list[Change] = []
    rule: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> TestSpec:
        if not (self.same or self.different or self.rule):
            raise ValueError("expected 'same', 'different' or 'rule'")
        if self.rule == NONE and (self.same or self.different):
            raise ValueError(
                "expected no 'same' or 'different' beside 'rule: none': what no rule means is no operation"
            )
        return self


class TestedFile(RulesFile):
    """A rules file."""

    __test__ = False

    tests: list[TestSpec] = Field(default=[])


def request_of(base: RequestSpec, change: Change | None = None) -> Request:
    """Return the request a test is about, changed: names are added, replaced or (null) taken away one by one, JSON
    as a merge patch (RFC 7396). Raises ValueError for a URL that is none.
    """
    change = change or Change()
    method = change.method or base.method or "POST"
    headers = {name: value for name, value in _merged(base.headers, change.headers).items() if value is not None}
    kind, body = _body(base, change)
    if kind and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = kind
    query = urlencode([(n, v) for n, v in _merged(base.query, change.query).items() if v is not None])
    url = change.url or base.url
    return compose(method, url + ("&" if "?" in url else "?") * bool(query) + query, tuple(headers.items()), body)


def _body(base: Parts, change: Parts) -> tuple[str | None, bytes]:
    said = change if change.model_fields_set & {"json_", "form", "body"} else base
    if said.body is not None:
        return None, said.body.encode()
    if said.form:
        fields = _merged(base.form, change.form)
        return "application/x-www-form-urlencoded", urlencode(
            [(name, value) for name, value in fields.items() if value is not None]
        ).encode()
    if "json_" in said.model_fields_set:
        document = base.json_ if said is base else _patched(base.json_, said.json_)
        return "application/json", json.dumps(document).encode()
    return None, b""


def _merged(base: Mapping[str, str | None], change: Mapping[str, str | None]) -> dict[str, str | None]:
    return {**base, **change}


def _patched(document: Any, patch: Any) -> Any:
    """RFC 7396 section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _patched(merged.get(name), value)
    return merged
