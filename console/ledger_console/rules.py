"""`ledger rules`: check a rules file, explain what becomes of a request, run the file's own tests, list the packs."""

from __future__ import annotations

import json as jsontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger_console import options, rulesfiles, screen
from ledger_console.problems import FAILED, USAGE, Problem
from ledger_console.rulepacks import packs
from ledger_console.suggest import suggest
from ledger_console.text import visible

if TYPE_CHECKING:
    from ledger_rules.explain import Explanation
    from ledger_rules.request import Request

HOW = "ledger rules explain F -- POST https://api.example.com/orders -H 'Name: value' -d BODY, or F -- curl ..."

app = typer.Typer(
    help=(
        "Check, explain and test rules.\n\n"
        "\b\nExamples:\n  ledger rules check ledger.yaml\n  ledger rules packs stripe\n"
        "  ledger rules explain -- POST https://api.stripe.com/v1/charges -d amount=4900"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

File = Annotated[
    str | None, typer.Argument(metavar="[F]", help="Rules file [default: LEDGER_RULES, ./ledger.yaml, else the packs].")
]
Words = Annotated[list[str] | None, typer.Argument(metavar="[F] -- METHOD URL [-H …] [-d …] | curl …")]


@app.command(short_help="Say what is wrong with a rules file, or covered")
def check(file: File = None, rules: options.Rules = None) -> None:
    """Load the rules and say what is wrong with them, or what they cover.

    \b
    Examples:
      ledger rules check ledger.yaml
    """
    source, ruleset = rulesfiles.load(file if file is not None else rules)
    hosts = ", ".join(sorted(ruleset.hosts()))
    count = len(ruleset.rules)
    if not count:
        screen.line(
            f"{source}: no rules and no packs, so no HTTP request is exactly-once; add packs: or rules: for that"
        )
        return
    screen.line(f"{source}: {count} rule{'s' * (count != 1)} for {hosts}; mode {ruleset.mode}")
    if not any(rule.source.startswith("packs/") for rule in ruleset.rules):
        screen.aside(
            f"{source} lists no packs, and with a file the default ones do not apply by themselves: requests to "
            "Stripe, Slack and the like pass (`ledger rules packs` lists what `packs:` takes)"
        )


@app.command(short_help="Say what becomes of a request", context_settings={"allow_interspersed_args": False})
def explain(words: Words = None, rules: options.Rules = None, json: options.Json = False) -> None:
    """Say what becomes of a request: which rules were tried, what of it counts, how duplicates are answered.

    \b
    Examples:
      ledger rules explain -- POST https://api.stripe.com/v1/charges -d amount=4900
      ledger rules explain ledger.yaml -- curl https://api.example.com/orders -d a=1
    """
    from ledger_rules.explain import explain as explained

    file, asked, more = _parted(words or [])
    _, ruleset = rulesfiles.load(file if file is not None else rules)
    explanation = explained(ruleset, _request(asked))
    if json or more:
        screen.json_line(_as_json(explanation))
    else:
        for line in _lines(explanation):
            screen.line(visible(line))


@app.command("test", short_help="Run the tests that a rules file has")
def run_tests(file: File = None, rules: options.Rules = None, json: options.Json = False) -> int:
    """Run the tests that are written in a rules file.

    \b
    Examples:
      ledger rules test ledger.yaml
    """
    from ledger_rules import loader, testing
    from ledger_rules.errors import RulesError

    path = rulesfiles.path(file if file is not None else rules)
    if path is None:
        raise Problem("rules test needs a rules file with 'tests'; name it, or make ./ledger.yaml", USAGE)
    try:
        checks = testing.run(loader.read(path), path)
    except RulesError as error:
        raise Problem(str(error), USAGE, prefixed=False) from None
    for one in checks:
        if json:
            screen.json_line(
                {"place": one.place, "test": one.test, "said": one.said, "passed": one.passed, "why": one.why}
            )
        else:
            said = f"{one.place}: {one.test}: {one.said}"
            screen.line(visible(f"ok      {said}" if one.passed else f"FAILED  {said}: {one.why}"))
    failed = sum(not one.passed for one in checks)
    if not checks:
        raise Problem(f"{path}: no tests in it; add 'tests:' (docs/rules.md shows how)", FAILED)
    if not json:
        screen.line(f"{len(checks) - failed} of {len(checks)} as the file says")
    return FAILED if failed else 0


@app.command(short_help="Print the JSON Schema of rules files")
def schema() -> None:
    """Print the JSON Schema of a rules file, for editors: `# yaml-language-server: $schema=FILE` on its first line.

    \b
    Examples:
      ledger rules schema > ledger.schema.json
    """
    from ledger_rules.jsonschema import json_schema

    screen.line(jsontext.dumps(json_schema(), indent=2))


app.command(short_help="List the rules that come with Ledger")(packs)
app.command(short_help="Propose rules from observed traffic")(suggest)


def _parted(words: list[str]) -> tuple[str | None, list[str], bool]:
    """Return the rules file, the request, and whether `--json` stands between them."""
    if "--" in words:
        at = words.index("--")
        before, request = words[:at], words[at + 1 :]
    elif words and not _begins_request(words[0]):
        before, request = words[:1], words[1:]
    else:
        before, request = [], words
    files = [word for word in before if word != "--json"]
    if len(files) > 1:
        raise Problem(f"explain takes one rules file, found {', '.join(files)}; {HOW}", USAGE)
    return (files[0] if files else None), request, "--json" in before


def _begins_request(word: str) -> bool:
    return word.lstrip().startswith("curl") or "://" in word or (word.isupper() and word.isalpha())


def _request(words: list[str]) -> Request:
    from ledger_console.curl import request_from

    if not words:
        raise Problem(f"explain needs a request: {HOW}", USAGE)
    try:
        return request_from(words)
    except ValueError as error:
        raise Problem(f"explain: {error}", USAGE) from None
    except OSError as error:
        raise Problem(f"explain: {error.filename}: {error.strerror}", USAGE) from None


def _as_json(said: Explanation) -> dict[str, Any]:
    rule = said.rule
    tried = [
        {"rule": one.rule, "source": one.source, "fits": one.fits,
         "reasons": [{"criterion": r.criterion, "fits": r.fits, "text": r.text} for r in one.reasons]}
        for one in said.tried
    ]  # fmt: skip
    return {
        "method": said.method,
        "url": said.url,
        "intercepted": said.intercepted,
        "tried": tried,
        "about_other_hosts": said.elsewhere,
        "rule": rule.name if rule else None,
        "source": rule.source if rule else None,
        "mode": rule.mode if rule else None,
        "counted": list(said.counted),
        "ignored": list(said.ignored),
        "body": {"format": said.format, "normalised": said.said, "notes": list(said.notes)} if said.format else None,
        "answering": list(said.answering),
        "fingerprint": said.fingerprint,
        "problem": said.problem,
    }


def _lines(said: Explanation) -> list[str]:
    lines = [f"{said.method} {said.url}"]
    lines += _section("tried", [line for one in said.tried for line in _tried(one)])
    if said.elsewhere:
        lines.append(f"  {said.elsewhere} rule{'s are' if said.elsewhere != 1 else ' is'} about other hosts")
    if said.rule is None:
        why = "it passes through" if said.intercepted else "its connection is not looked into"
        return [*lines, f"no rule means it: {why}, and it is not exactly-once"]
    if said.problem:
        return [*lines, f"refused: {said.problem}"]
    lines += _section("counts", said.counted)
    lines += _section("does not count", said.ignored)
    if said.said is not None:
        lines += _section("body in one spelling", said.said.split("\n"))
    notes = [note for note in said.notes if not note.startswith("ignored ")]
    lines += _section("about the body", notes)
    lines += _section("answers", said.answering)
    return [*lines, f"fingerprint {said.fingerprint} (to compare explanations by; a ledger has its own)"]


def _tried(one: Any) -> list[str]:
    if one.fits:
        return [f"{one.rule} ({one.source}) means it: " + "; ".join(reason.text for reason in one.reasons)]
    return [f"{one.rule} ({one.source}) does not: " + "; ".join(r.text for r in one.reasons if not r.fits)]


def _section(title: str, lines: Any) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []
