"""Running the `tests` of a rules file: which rule means each request, and whether two are one operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger_rules.complaints import validated_with_tests
from ledger_rules.errors import MissingKey
from ledger_rules.loader import loads
from ledger_rules.operation import Operation, identify
from ledger_rules.request import Request
from ledger_rules.ruleset import Ruleset
from ledger_rules.testcases import NONE, TestSpec, request_of
from ledger_rules.yamltext import Document, Loc, parse

_SECRET = b"of the tests, and of no ledger"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a test says. place: `FILE:LINE:COLUMN`; why: what is instead, empty where it is so."""

    place: str
    test: str
    said: str
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is so."""
        return not self.why


def run(text: str, name: str = "ledger.yaml") -> tuple[Check, ...]:
    """Run the tests of a rules file. Raises RulesError for a file that cannot be used."""
    rules = loads(text, name)
    document = parse(text, name)
    spec = validated_with_tests(document)
    return tuple(check for number, test in enumerate(spec.tests) for check in _checks(rules, document, number, test))


def _checks(rules: Ruleset, document: Document, number: int, test: TestSpec) -> Iterator[Check]:
    loc: Loc = ("tests", number)
    title = test.name or f"test {number + 1}"
    first = request_of(test.request)
    found = rules.match(first)
    name = found.name if found else NONE
    if test.rule is not None:
        why = "" if name == test.rule else _means(name)
        yield Check(_place(document, (*loc, "rule")), title, f"rule {test.rule}", why)
    elif found is None:
        yield Check(_place(document, (*loc, "request")), title, "a rule means the request", _means(NONE))
    if found is None:
        return
    for kind, changes in (("same", test.same), ("different", test.different)):
        for index, change in enumerate(changes):
            place = _place(document, (*loc, kind, index))
            other = request_of(test.request, change)
            yield Check(place, title, kind, _why(rules, first, other, kind == "same"))


def _why(rules: Ruleset, first: Request, other: Request, same: bool) -> str:
    """Say in what two requests are not as a test says; empty where they are."""
    if not rules.match(other):
        return "" if not same else "no rule means the changed request"
    one, two = _operation(rules, first), _operation(rules, other)
    if one is None or two is None:
        return "a rule requires a key, and one of the requests has none"
    if same:
        return (
            "" if one.id == two.id else f"they are two operations: they differ in {_difference(one, two, first, other)}"
        )
    return "" if one.id != two.id else "they are one operation: what differs does not count"


def _operation(rules: Ruleset, request: Request) -> Operation | None:
    rule = rules.match(request)
    try:
        return identify(rule, request, _SECRET) if rule else None
    except MissingKey:
        return None


def _difference(one: Operation, two: Operation, first: Request, other: Request) -> str:
    """Name the parts of the identity that differ; if none does, it is the key or the account."""
    parts: Sequence[tuple[str, object, object]] = (
        ("the method", first.method, other.method),
        ("the workflow", one.wf, two.wf),
        ("the URL", one.about["url"], two.about["url"]),
        ("the body or a listed header", one.payload, two.payload),
        ("whether a key names them", one.keyed, two.keyed),
    )
    return " and ".join(name for name, mine, theirs in parts if mine != theirs) or "the key or the account"


def _means(name: str) -> str:
    return "no rule means it" if name == NONE else f"the rule '{name}' means it"


def _place(document: Document, loc: Loc) -> str:
    return document.problem(loc, "").removesuffix(": ")
