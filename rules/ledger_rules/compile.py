"""From what a file says to rules that work: defaults applied, contradictions refused. No YAML, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.policy import OnUnknown, Policy
from ledger_rules.account import DEFAULT_HEADERS
from ledger_rules.complaints import did_you_mean
from ledger_rules.egress import Egress
from ledger_rules.fields import Answer, answer
from ledger_rules.jsonpaths import Path
from ledger_rules.keys import KeyMode
from ledger_rules.matching import EFFECT_METHODS, Criteria, GraphqlCriteria
from ledger_rules.notify import Notify
from ledger_rules.references import Reference
from ledger_rules.rule import ALWAYS_MASKED, Fingerprint, Mode, OutcomeCase, Rule, UpstreamKey, Verify
from ledger_rules.schema import (
    Defaults,
    EgressSpec,
    FingerprintSpec,
    GraphqlSpec,
    Match,
    NotifySpec,
    Redact,
    RuleSpec,
    ToolSpec,
)
from ledger_rules.views import BodyView
from ledger_rules.yamltext import Document, Loc

DEFAULT_WINDOW = 86400.0
DEFAULT_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Common:
    """What a file says once for all its rules and those of its packs."""

    mode: Mode = "enforce"
    defaults: Defaults = field(default_factory=Defaults)
    masked: frozenset[str] = ALWAYS_MASKED
    redact: tuple[Path, ...] = ()

    @classmethod
    def of(cls, mode: Mode, defaults: Defaults, redact: Redact) -> Common:
        """Return it as a file says it."""
        return cls(mode, defaults, ALWAYS_MASKED | {name.lower() for name in redact.query}, tuple(redact.response))


@dataclass(slots=True)
class Compiler:
    """Compiles the rules of one document, collecting problems instead of stopping at the first."""

    document: Document
    common: Common
    problems: list[str] = field(default_factory=list)

    def rule(self, spec: RuleSpec, match: Match, loc: Loc) -> Rule:
        """Return one rule; what is wrong with it is in `problems`."""
        criteria = _criteria(match)
        on_unknown = self._on_unknown(spec)
        self._check_resend(spec, on_unknown, loc)
        self._check_names(spec, criteria, loc)
        return Rule(
            name=spec.name,
            match=criteria,
            policy=self._policy(spec, on_unknown),
            mode=spec.mode or self.common.mode,
            fingerprint=_fingerprint(spec.fingerprint),
            key_mode=KeyMode(spec.idempotency_key),
            account=tuple(spec.account or DEFAULT_HEADERS),
            upstream_key=_upstream_key(spec),
            outcomes=self._outcomes(spec.outcomes, (*loc, "outcomes")),
            verify=self._verify(spec, on_unknown, criteria, loc),
            masked=self.common.masked,
            redact=self.common.redact,
            source=f"{self.document.name}:{self.document.line(loc)}",
        )

    def _policy(self, spec: RuleSpec, on_unknown: str) -> Policy:
        retention = spec.upstream_key.retention if spec.upstream_key else None
        resend = on_unknown == "resend" and retention is not None  # _check_resend reports the contradiction
        defaults = self.common.defaults
        return Policy(
            max=spec.max,
            window=_first(spec.window, defaults.window, DEFAULT_WINDOW),
            replay=True,
            wait=_first(spec.wait, defaults.wait, DEFAULT_WAIT),
            timeout=None,
            on_unknown=OnUnknown.RESEND if resend else OnUnknown.VERIFY if spec.verify else OnUnknown.HOLD,
            key_retention=retention,
        )

    def _on_unknown(self, spec: RuleSpec) -> str:
        return spec.on_unknown or ("verify" if spec.verify else None) or self.common.defaults.on_unknown or "hold"

    def _check_resend(self, spec: RuleSpec, on_unknown: str, loc: Loc) -> None:
        if on_unknown != "resend":
            return
        prints = spec.fingerprint
        if spec.upstream_key is None:
            text = "on_unknown: resend needs 'upstream_key', the place where the provider honours our key"
            self.problem((*loc, "on_unknown"), text)
        for part, view, used in (
            ("body", "ignore", prints.body.ignore),
            ("body", "only", prints.body.only),
            ("query", "ignore", prints.query.ignore),
            ("path", "ignore", prints.path.ignore),
        ):
            if used:
                text = f"'{view}' in the {part} and on_unknown: resend exclude each other"
                why = "the provider would see another payload under one key; use on_unknown: hold"
                self.problem((*loc, "fingerprint", part, view), f"{text}: {why}")

    def _check_names(self, spec: RuleSpec, criteria: Criteria, loc: Loc) -> None:
        """Refuse references to a `{name}` that a pattern does not have."""
        prints = (*loc, "fingerprint")
        named = [
            ((*prints, "path", "ignore", number), name) for number, name in enumerate(spec.fingerprint.path.ignore)
        ]
        for number, reference in enumerate(spec.fingerprint.body.only):
            if reference.kind == "path":
                named.append(((*prints, "body", "only", number), reference.name))
        if spec.verify:
            named += [((*loc, "verify", "get"), one.name) for one in spec.verify.get.references if one.kind == "path"]
        for place, name in named:
            lacking = [url for url in criteria.urls if name not in url.names]
            if lacking:
                known = sorted({known for url in criteria.urls for known in url.names})
                hint = did_you_mean(name, known) or f"; write {{{name}}} for a whole segment there"
                self.problem(place, f"no segment of the path of match.url is named '{name}'{hint}")

    def _verify(self, spec: RuleSpec, on_unknown: str, criteria: Criteria, loc: Loc) -> Verify | None:
        verify = spec.verify
        if verify is None:
            if on_unknown == "verify":
                self.problem((*loc, "on_unknown"), "on_unknown: verify needs 'verify': what to get, and what proves it")
            return None
        if on_unknown != "verify":
            text = f"'verify' and on_unknown: {on_unknown} exclude each other; leave one of them out"
            self.problem((*loc, "verify"), text, at_key=True)
        origin = verify.get.own_origin
        if origin is not None and not any(url.host.literal and url.origin == origin for url in criteria.urls):
            text = f"get: expected the rule's own host, or a path alone such as /orders, found '{verify.get.text}'"
            self.problem((*loc, "verify", "get"), text)
        for reference in verify.get.references:
            if lacking := _varies(reference, spec):
                text = f"{{{reference.text}}} can differ between two attempts of one operation: {lacking}"
                self.problem((*loc, "verify", "get"), text)
        not_done = _case(verify.not_done, "failed") if verify.not_done else None
        return Verify(verify.get, _case(verify.done, "success"), not_done, verify.settle, verify.result)

    def _outcomes(self, said: Mapping[str, str], loc: Loc) -> tuple[OutcomeCase, ...]:
        cases: list[OutcomeCase] = []
        for text, outcome in said.items():
            try:
                cases.append(_case(answer(text), outcome))
            except ValueError as error:
                self.problem((*loc, text), f"outcomes: {error}, found '{text}'", at_key=True)
        return tuple(cases)

    def problem(self, loc: Loc, text: str, *, at_key: bool = False) -> None:
        """Note what is wrong, and where."""
        self.problems.append(self.document.problem(loc, text, at_key=at_key))


def tool_keywords(spec: ToolSpec) -> dict[str, Any]:
    """Return what a file says about a tool as keyword arguments of `guard.policy`, and only what it says."""
    said = {name: getattr(spec, name) for name in spec.model_fields_set}
    return {{"window": "ttl"}.get(name, name): value for name, value in said.items()}


def egress(spec: EgressSpec) -> Egress:
    """Return where requests may go."""
    return Egress(None if spec.allow is None else tuple(spec.allow), tuple(spec.deny))


def notifications(specs: Sequence[NotifySpec]) -> tuple[Notify, ...]:
    """Return who is told of unknown outcomes."""
    return tuple(Notify(s.name, s.webhook or "", tuple(s.headers.items()), tuple(s.command)) for s in specs)


def _criteria(match: Match) -> Criteria:
    return Criteria(
        urls=tuple(match.url),
        methods=frozenset(match.method or EFFECT_METHODS),
        query=tuple(match.query.items()),
        headers=tuple(match.headers.items()),
        body=tuple(match.body or ()),
        graphql=_graphql(match.graphql) if match.graphql else None,
    )


def _graphql(spec: GraphqlSpec) -> GraphqlCriteria:
    return GraphqlCriteria(frozenset(spec.type), tuple(spec.name or ()), tuple(spec.field or ()))


def _fingerprint(spec: FingerprintSpec) -> Fingerprint:
    in_body = tuple(reference.body for reference in spec.body.only if reference.body is not None)
    return Fingerprint(
        query_ignore=frozenset(spec.query.ignore),
        path_ignore=tuple(spec.path.ignore),
        body=BodyView(ignore=tuple(spec.body.ignore), only=in_body),
        only=tuple(reference for reference in spec.body.only if reference.body is None),
        headers=tuple(spec.headers),
    )


def _varies(reference: Reference, spec: RuleSpec) -> str | None:
    """Say why a value is no part of the operation, so that asking by it could be about another one; None if it is."""
    prints = spec.fingerprint
    if reference.kind == "key":
        return None if spec.upstream_key else "without 'upstream_key' no key of the first attempt is known"
    if reference.kind == "query":
        return "fingerprint.query.ignore names it" if reference.name in prints.query.ignore else None
    if reference.kind == "path":
        return "fingerprint.path.ignore names it" if reference.name in prints.path.ignore else None
    if reference.kind == "body":
        only = [one.text for one in prints.body.only]
        return "fingerprint.body.only does not name it" if only and reference.text not in only else None
    listed = {name.lower() for name in (*prints.headers, *(spec.account or ()))}
    return None if reference.name.lower() in listed else "list the header in fingerprint.headers"


def _upstream_key(spec: RuleSpec) -> UpstreamKey | None:
    key = spec.upstream_key
    if key is None:
        return None
    member = tuple(key.body.removeprefix("$.").split(".")) if key.body else ()
    return UpstreamKey(key.retention, key.header, member, key.directive)


def _case(said: Answer, outcome: str) -> OutcomeCase:
    return OutcomeCase(*said, outcome)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
