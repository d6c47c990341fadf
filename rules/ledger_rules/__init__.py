"""What is exactly-once: rules from YAML and packs, matching, and the identity of HTTP requests. Sends nothing."""

from __future__ import annotations

from ledger_rules.errors import MissingKey, RulesError
from ledger_rules.loader import default, load, loads
from ledger_rules.operation import LEDGER_HEADERS, Operation, identify
from ledger_rules.outcome import Outcome, classify, settles
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import Ruleset
from ledger_rules.shipped import pack_names
from ledger_rules.tools import load_tools

__all__ = [
    "LEDGER_HEADERS",
    "MissingKey",
    "Operation",
    "Outcome",
    "Request",
    "Rule",
    "RulesError",
    "Ruleset",
    "classify",
    "default",
    "identify",
    "load",
    "load_tools",
    "loads",
    "pack_names",
    "settles",
]
