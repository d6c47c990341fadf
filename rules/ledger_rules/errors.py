"""What can be wrong with a rules file, or with a request a rule asks something of. No I/O, no formatting."""

from __future__ import annotations

from collections.abc import Iterable


class RulesError(ValueError):
    """A rules file that cannot be used.

    `str()` is what a person sees: one line per problem, `FILE:LINE:COLUMN: what is wrong and what was expected`
    (without line and column where the file could not be read at all).
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class MissingKey(LookupError):
    """A rule says `idempotency_key: require` and the request carries none (400)."""

    def __init__(self, rule: str, header: str) -> None:
        self.rule = rule
        self.header = header
        super().__init__(f"rule '{rule}' requires the header {header}; send one value per intended effect")
