"""What `guard.policy` was told, by name or by function, and what that comes to for one tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger import settings
from ledger.functions import Tool
from ledger.keys import KeyRule, key_rule
from ledger.policy import OnUnknown, Policy
from ledger.records import Kind, Record

CRASH_TIMEOUT = 300.0
"""Seconds without a heartbeat after which a call whose process died may run again (Ledger-Once's contract)."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls of one tool are answered. collect: run a generator to its end, its items being the result.

    draft: the row of a call, without what differs from call to call.
    """

    policy: Policy
    draft: Record
    verify: Callable[..., Any] | None = None
    key: KeyRule | None = None
    collect: bool = False


class Policies:
    """Everything that was told. A later word changes only what it names."""

    def __init__(self, strict: bool | None) -> None:
        """strict: hold a call whose process died; None goes by LEDGER_STRICT, as it stands at the first call."""
        self._strict = strict
        self._told: dict[str, dict[str, Any]] = {}
        self.compiled: dict[str, CallPolicy] = {}
        """By a tool's identity. Another dict after each `tell`: who kept the old one knows that it is old."""

    def tell(self, name: str, changes: Mapping[str, Any]) -> None:
        """Change what holds for the tools of this name. Raises ValueError, TypeError; then nothing is changed."""
        together = {**self._told.get(name, {}), **changes}
        _compile(name, together, strict=False)
        self._told[name] = together
        # Not an emptied one: what another thread is compiling from the old words goes into the old one.
        self.compiled = {}

    def of(self, tool: Tool) -> CallPolicy:
        """What holds for this tool now."""
        compiled = self.compiled
        found = compiled.get(tool.identity)
        if found is None:
            if self._strict is None:
                self._strict = settings.strict()
            told: dict[str, Any] = {}
            for name in tool.aliases if self._told else ():
                told.update(self._told.get(name, {}))
            found = compiled[tool.identity] = _compile(tool.name, told, self._strict)
        return found


def _compile(name: str, told: Mapping[str, Any], strict: bool) -> CallPolicy:
    _check_numbers(told)
    rest = dict(told)
    if "on_unknown" in rest:
        rest["on_unknown"] = _on_unknown(rest["on_unknown"])
    verify, key, collect = rest.pop("verify", None), rest.pop("key", None), rest.pop("collect", False)
    if verify is not None and not callable(verify):
        raise TypeError(f"verify must be a function of the same arguments, not a {type(verify).__name__}")
    # Without replay a duplicate is simply blocked; with it, it waits for as long as the owner lives.
    wait = float("inf") if rest.get("replay") else 0.0
    # Who can ask the world asks it after a crash, too, instead of running again.
    timeout = None if strict or verify is not None else CRASH_TIMEOUT
    policy = Policy(**{"timeout": timeout, "wait": wait, **({} if verify is None else _VERIFIED), **rest})
    draft = Record(id="", tool=name, kind=Kind.CALL, lease=policy.lease, timeout=policy.timeout, window=policy.window)
    return CallPolicy(policy, draft.bare(), verify, None if key is None else key_rule(key), collect)


def _on_unknown(told: str) -> OnUnknown:
    # Nothing to send again: a function has no upstream that knows a key of ours.
    if told not in set(OnUnknown) - {OnUnknown.RESEND}:
        raise ValueError(f"on_unknown must be 'hold' or 'retry', not {told!r:.60}")
    return OnUnknown(told)


def _check_numbers(told: Mapping[str, Any]) -> None:
    for name in ("max", "window", "wait", "timeout"):
        value = told.get(name)
        if value is None:
            continue
        shown = "ttl" if name == "window" else name
        if isinstance(value, bool) or not isinstance(value, int if name == "max" else int | float):
            unit = "a whole number of effects" if name == "max" else "a number of seconds"
            raise TypeError(f"{shown} must be {unit}, not {value!r:.60}")
        if name != "max" and not value >= 0:
            raise ValueError(f"{shown} must not be negative, not {value}")


_VERIFIED = {"on_unknown": OnUnknown.VERIFY}
