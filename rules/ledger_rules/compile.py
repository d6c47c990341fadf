"""From what a file says to rules that work: defaults applied, contradictions refused. No YAML, no files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.policy import OnUnknown, Policy
from ledger_rules.account import DEFAULT_HEADERS
from ledger_rules.jsonpaths import Condition
from ledger_rules.keys import KeyMode
from ledger_rules.rule import (
    ALWAYS_MASKED,
    EFFECT_METHODS,
    Fingerprint,
    OutcomeCase,
    Rule,
    UpstreamKey,
)
from ledger_rules.schema import Defaults, RuleSpec, ToolSpec
from ledger_rules.views import BodyView
from ledger_rules.yamltext import Document, Loc

DEFAULT_WINDOW = 86400.0
DEFAULT_WAIT = 30.0

_STATUS = re.compile(r"([1-5])(?:([0-9]{2})|xx)(?:\s+(\S.*))?", re.DOTALL)


@dataclass(slots=True)
class Compiler:
    """Compiles the rules of one document, collecting problems instead of stopping at the first."""

    document: Document
    defaults: Defaults
    masked: frozenset[str] = ALWAYS_MASKED
    problems: list[str] = field(default_factory=list)

    def rules(self, specs: list[RuleSpec]) -> list[Rule]:
        """Return the rules in order; what is wrong is in `problems`."""
        rules = [self._rule(spec, ("rules", index)) for index, spec in enumerate(specs)]
        for index, rule in enumerate(rules):
            self._check_name(rule, rules[:index], index)
            self._check_reached(rule, rules[:index], specs[:index], index)
        return rules

    def _rule(self, spec: RuleSpec, loc: Loc) -> Rule:
        prints = spec.fingerprint
        self._check_resend(spec, loc)
        return Rule(
            name=spec.name,
            urls=tuple(spec.match.url),
            policy=self._policy(spec),
            methods=frozenset(spec.match.method or EFFECT_METHODS),
            query=tuple(spec.match.query.items()),
            headers=tuple(spec.match.headers.items()),
            fingerprint=Fingerprint(
                query_ignore=frozenset(prints.query.ignore),
                body=BodyView(ignore=tuple(prints.body.ignore), only=tuple(prints.body.only)),
                headers=tuple(prints.headers),
            ),
            key_mode=KeyMode(spec.idempotency_key),
            account=tuple(spec.account or DEFAULT_HEADERS),
            upstream_key=_upstream_key(spec),
            outcomes=self._outcomes(spec.outcomes, (*loc, "outcomes")),
            masked=self.masked,
            source=f"{self.document.name}:{self.document.line(loc)}",
        )

    def _policy(self, spec: RuleSpec) -> Policy:
        on_unknown = OnUnknown(self._on_unknown(spec))
        retention = spec.upstream_key.retention if spec.upstream_key else None
        if on_unknown is OnUnknown.RESEND and retention is None:
            on_unknown = OnUnknown.HOLD  # reported by _check_resend
        return Policy(
            max=spec.max,
            window=_first(spec.window, self.defaults.window, DEFAULT_WINDOW),
            replay=True,
            wait=_first(spec.wait, self.defaults.wait, DEFAULT_WAIT),
            timeout=None,
            on_unknown=on_unknown,
            key_retention=retention,
        )

    def _on_unknown(self, spec: RuleSpec) -> str:
        return spec.on_unknown or self.defaults.on_unknown or "hold"

    def _check_resend(self, spec: RuleSpec, loc: Loc) -> None:
        if self._on_unknown(spec) != "resend":
            return
        prints = spec.fingerprint
        if spec.upstream_key is None:
            text = "on_unknown: resend needs 'upstream_key', the place where the provider honours our key"
            self._problem((*loc, "on_unknown"), text)
        for part, view, used in (
            ("body", "ignore", prints.body.ignore),
            ("body", "only", prints.body.only),
            ("query", "ignore", prints.query.ignore),
        ):
            if used:
                text = f"'{view}' in the {part} and on_unknown: resend exclude each other"
                why = "the provider would see another payload under one key; use on_unknown: hold"
                self._problem((*loc, "fingerprint", part, view), f"{text}: {why}")

    def _outcomes(self, said: Mapping[str, str], loc: Loc) -> tuple[OutcomeCase, ...]:
        cases = (self._outcome(text, outcome, (*loc, text)) for text, outcome in said.items())
        return tuple(case for case in cases if case is not None)

    def _outcome(self, text: str, outcome: str, loc: Loc) -> OutcomeCase | None:
        form = _STATUS.fullmatch(text.strip())
        if form is None:
            expected = 'expected a status such as 503 or 5xx, or one with a condition such as "200 $.ok == false"'
            self._problem(loc, f"outcomes: {expected}, found '{text}'", at_key=True)
            return None
        low, high = (int(form[1] + form[2]),) * 2 if form[2] else (int(form[1] + "00"), int(form[1] + "99"))
        try:
            condition = Condition.parse(form[3]) if form[3] else None
        except ValueError as error:
            self._problem(loc, f"outcomes: {error}, found '{text}'", at_key=True)
            return None
        return OutcomeCase(low, high, condition, outcome)

    def _check_name(self, rule: Rule, earlier: list[Rule], index: int) -> None:
        for number, other in enumerate(earlier):
            if other.name == rule.name:
                line = self.document.line(("rules", number, "name"))
                text = f"name: '{rule.name}' is already the name of the rule on line {line}; rename one"
                self._problem(("rules", index, "name"), text)
                return

    def _check_reached(self, rule: Rule, earlier: list[Rule], specs: list[RuleSpec], index: int) -> None:
        """Refuse the obvious case: an earlier rule without further conditions means all that this one does."""
        for number, other in enumerate(earlier):
            unconditional = not specs[number].match.query and not specs[number].match.headers
            if unconditional and rule.methods <= other.methods and set(rule.urls) <= set(other.urls):
                line = self.document.line(("rules", number))
                text = f"rule '{rule.name}' is never reached: '{other.name}' on line {line} matches all it matches"
                self._problem(("rules", index), f"{text}; put it first or delete it")
                return

    def _problem(self, loc: Loc, text: str, *, at_key: bool = False) -> None:
        self.problems.append(self.document.problem(loc, text, at_key=at_key))


def tool_policy(spec: ToolSpec) -> Policy:
    """Return the policy of a guarded function."""
    return Policy(
        max=spec.max,
        window=spec.window,
        replay=spec.replay,
        unlimited=spec.unlimited,
        wait=spec.wait,
        timeout=spec.timeout,
        on_unknown=OnUnknown(spec.on_unknown),
    )


def _upstream_key(spec: RuleSpec) -> UpstreamKey | None:
    key = spec.upstream_key
    if key is None:
        return None
    member = tuple(key.body.removeprefix("$.").split(".")) if key.body else ()
    return UpstreamKey(key.retention, key.header, member, key.directive)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
