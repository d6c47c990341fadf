"""Every code block of Ledger-Once's README, word for word, executed: who changes the package name changes nothing else.

Its CLI and dashboard blocks are the console's (tests/console); what is here is Python and environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from langchain_core.tools import StructuredTool

import ledger
from ledger import Guard


class Desk:
    """The tools that the README's code takes for granted; each remembers its effects."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, dict[str, Any]]] = []

    def tool(self, name: str) -> Callable[..., Any]:
        def effect(**arguments: Any) -> dict[str, Any]:
            self.effects.append((name, arguments))
            return {"id": f"{name}_{len(self.effects)}"}

        effect.__name__ = effect.__qualname__ = name
        return effect

    def count(self, name: str) -> int:
        return sum(n == name for n, _ in self.effects)


MONEY = ("charge_customer", "stripe_charge", "charge_card")
NAMES = (*MONEY, "send_email", "trigger_webhook", "search_web", "send_sms", "daily_report", "create_ticket", "fn")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def say(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run a block as a reader would paste it, with the global guard on a ledger of this test."""
    fresh = Guard()
    monkeypatch.setattr(ledger, "guard", fresh)
    space: dict[str, Any] = {"guard": fresh, "datetime": datetime, "json": json, **{n: desk.tool(n) for n in NAMES}}

    def run(block: str, **more: Any) -> dict[str, Any]:
        space.update(more)
        exec(compile(dedent(block), "README", "exec"), space)
        return space

    yield run
    fresh.close()


def test_the_problem_in_one_line(say: Callable[..., Any], desk: Desk) -> None:
    for _ in range(3):
        say("guard(charge_customer, order_id=123)")
    assert desk.effects == [("charge_customer", {"order_id": 123})]


def test_stop_rewriting_idempotency_for_every_tool(say: Callable[..., Any], desk: Desk) -> None:
    for _ in range(2):
        say(
            """
            guard(charge_customer, order_id=123)
            guard(send_email, to="user@example.com")
            guard(trigger_webhook, url=webhook_url)
            """,
            webhook_url="https://hooks.example.com/1",
        )
    assert [name for name, _ in desk.effects] == ["charge_customer", "send_email", "trigger_webhook"]


def test_protect_your_entire_toolset_in_one_line(say: Callable[..., Any], desk: Desk) -> None:
    block = """
        from ledger import guard

        tools = guard.wrap_tools(tools)  # dict or list — every tool auto-protected
        """
    as_dict = say(block, tools={"send": desk.tool("send_email")})["tools"]
    as_list = say(block, tools=[desk.tool("send_sms")])["tools"]
    for _ in range(2):
        as_dict["send"](to="a")
        as_list[0](to="a")
    assert (desk.count("send_email"), desk.count("send_sms")) == (1, 1)


def test_or_protect_a_single_call(say: Callable[..., Any], desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    say(
        """
        from ledger import guard

        guard(stripe_charge, customer="cus_42", amount=99)   # 💳 charged — runs     ✓
        guard(stripe_charge, customer="cus_42", amount=99)   # blocked  ✗
        guard(stripe_charge, customer="cus_42", amount=99)   # blocked  ✗
        """
    )
    assert desk.count("stripe_charge") == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "[ledger] ✓ stripe_charge"
    assert re.fullmatch(r"\[ledger\] ✗ stripe_charge \(blocked — already ran at \d\d:\d\d:\d\d\)", second)
    assert third == second


def test_see_exactly_what_your_agent_is_doing(
    say: Callable[..., Any], desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    class CardError(Exception): ...

    def stripe_charge() -> None:
        raise CardError("declined")

    space = say("for _ in range(3): guard(send_email)")
    with pytest.raises(CardError):
        say("guard(stripe_charge)", stripe_charge=stripe_charge)
    capsys.readouterr()
    say("guard.log()")
    assert [re.sub(r" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()] == [
        "✓ send_email attempts 3 executed 1 blocked 2",
        "✗ stripe_charge attempts 1 executed 0 blocked 0 → CardError: declined",
    ]
    assert space["guard"].stats() == {"actions": 2, "attempts": 4, "executed": 1, "blocked": 2, "failed": 1}
    assert str(space["guard"].stats()) == "{'actions': 2, 'attempts': 4, 'executed': 1, 'blocked': 2, 'failed': 1}"
    names = [row["tool"] for row in say("rows = guard.history()                  # list[dict] of all records")["rows"]]
    assert names == ["send_email", "stripe_charge"]
    assert len(say("rows = guard.history(tool=send_email)   # filter by tool")["rows"]) == 1
    assert say('rows = guard.history(wf="order-42")     # filter by workflow')["rows"] == []


def test_argument_order_does_not_matter(say: Callable[..., Any], desk: Desk) -> None:
    say(
        """
        guard(fn, x=1, y=2)
        guard(fn, y=2, x=1)   # same fingerprint — blocked
        """
    )
    assert desk.count("fn") == 1


def test_float_drift_is_handled(say: Callable[..., Any], desk: Desk) -> None:
    say(
        """
        guard(fn, amount=99.99)
        guard(fn, amount=99.9900000001)   # same fingerprint — blocked
        """
    )
    assert desk.count("fn") == 1


def test_non_deterministic_args(say: Callable[..., Any], desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    bad = 'guard(send_email, to="user@x.com", sent_at=datetime.now())'
    good = 'guard(send_email, to="user@x.com", sent_at=datetime.now(), key=f"email-{order_id}")'
    for _ in range(3):
        say(good, order_id=7)
    assert desk.count("send_email") == 1
    for _ in range(6):
        say(bad)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "⚠" in line]
    assert warnings == [
        "[ledger] ⚠  send_email called 4× with different args in <10s — if retrying, add key= "
        "(sent_at differs every time)"
    ]


def test_a_read_only_tool_is_unlimited(say: Callable[..., Any], desk: Desk) -> None:
    say("guard.policy(search_web, unlimited=True)")
    for _ in range(3):
        assert say('found = guard(search_web, q="x")')["found"] is not None
    assert desk.count("search_web") == 3


def test_openai(say: Callable[..., Any], desk: Desk) -> None:
    space = say(
        """
        from ledger import guard

        tool_map = guard.wrap_tools(
            {"send_email": send_email, "charge_card": stripe_charge},
            blocked_return={"status": "blocked"},  # no None check needed in dispatch
        )

        def dispatch_tool(name: str, arguments: dict) -> str:
            result = tool_map[name](**arguments)
            return json.dumps(result)
        """
    )
    told = [space["dispatch_tool"]("charge_card", {"amount": 99}) for _ in range(2)]
    assert told == ['{"id": "stripe_charge_1"}', '{"status": "blocked"}']


def test_langchain(say: Callable[..., Any]) -> None:
    sent: list[str] = []

    def send_email(to: str) -> str:
        """Send an e-mail."""
        sent.append(to)
        return "sent"

    def stripe_charge(amount: float) -> str:
        """Charge a card."""
        return "charged"

    space = say(
        """
        from ledger import guard
        from langchain_core.tools import StructuredTool

        # Wrap raw functions BEFORE StructuredTool — not after
        protected = guard.wrap_tools([send_email, stripe_charge])
        agent_tools = [StructuredTool.from_function(fn) for fn in protected]
        """,
        send_email=send_email,
        stripe_charge=stripe_charge,
    )
    for _ in range(2):
        space["agent_tools"][0].invoke({"to": "a@x.com"})
    assert sent == ["a@x.com"]
    assert space["agent_tools"][0].args == StructuredTool.from_function(send_email).args


def test_any_framework(say: Callable[..., Any], desk: Desk) -> None:
    space = say(
        """
        tools = guard.wrap_tools([search_web, send_email, stripe_charge, create_ticket])
        agent = YourAgent(tools=tools)
        """,
        YourAgent=lambda tools: {t.__name__: t for t in tools},
    )
    for _ in range(2):
        space["agent"]["create_ticket"](title="x")
    assert desk.count("create_ticket") == 1


def test_per_tool_policies(say: Callable[..., Any], desk: Desk) -> None:
    say(
        """
        guard.policy(search_web,    unlimited=True)  # read-only: always run
        guard.policy(stripe_charge, replay=True)     # blocked callers get the cached result
        guard.policy(send_sms,      max=2)           # allow up to 2 executions
        guard.policy(daily_report,  ttl=86400)       # once per day — reset after 24h
        """
    )
    for _ in range(4):
        told = say("told = [guard(search_web), guard(stripe_charge), guard(send_sms), guard(daily_report)]")["told"]
    assert [desk.count(n) for n in ("search_web", "stripe_charge", "send_sms", "daily_report")] == [4, 1, 2, 1]
    assert told[1:] == [{"id": "stripe_charge_2"}, None, None]


async def test_async(guard: Guard) -> None:
    posted: list[str] = []

    async def post_webhook(url: str, payload: dict[str, int]) -> str:
        posted.append(url)
        return "ok"

    data = {"n": 1}
    result = await guard(post_webhook, url="...", payload=data)
    assert result == "ok"
    assert await guard(post_webhook, url="...", payload=data) is None
    assert posted == ["..."]


def test_decorator(say: Callable[..., Any]) -> None:
    space = say(
        """
        @guard.once
        def stripe_charge(card_id, amount): ran.append(card_id); return "charged"

        @guard.once(replay=True)
        def create_invoice(id, amount): ran.append(id); return "invoice"
        """,
        ran=[],
    )
    assert [space["stripe_charge"]("c", 1), space["stripe_charge"]("c", amount=1)] == ["charged", None]
    assert [space["create_invoice"](7, 1) for _ in range(2)] == ["invoice", "invoice"]
    assert space["ran"] == ["c", 7]


def test_escape_hatches(say: Callable[..., Any], desk: Desk) -> None:
    say('guard(send_email, to="user@example.com")')
    say('guard.retry(send_email, to="user@example.com")  # clear record → next call executes')
    say('guard(send_email, to="user@example.com")')
    assert desk.count("send_email") == 2
    say('guard.force(send_email, to="user@example.com")  # execute immediately, bypass all checks')
    assert desk.count("send_email") == 3
    say('guard(send_email, to="user@example.com")')
    assert desk.count("send_email") == 3


def test_metrics_hooks(say: Callable[..., Any], desk: Desk) -> None:
    class Metrics:
        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []

        def increment(self, name: str, tags: dict[str, str]) -> None:
            self.seen.append((name, tags["tool"]))

    metrics = Metrics()
    say(
        """
        guard.on_success(lambda r: metrics.increment("ledger.executed", tags={"tool": r.tool}))
        guard.on_block(lambda r:   metrics.increment("ledger.blocked",  tags={"tool": r.tool}))
        """,
        metrics=metrics,
    )
    for _ in range(2):
        say("guard(send_email)")
    assert metrics.seen == [("ledger.executed", "send_email"), ("ledger.blocked", "send_email")]


def test_verify_it_is_working(say: Callable[..., Any], desk: Desk) -> None:
    say("assert guard.check()   # runs a self-test in memory — raises if something is wrong")
    assert say("told = guard.stats()")["told"]["actions"] == 0


def test_multi_agent_scoping(say: Callable[..., Any], desk: Desk) -> None:
    for order_id in (1, 2, 1):
        say(
            """
            guard.workflow(f"order-{order_id}")  # isolate records per order/request
            guard.as_caller("agent-A")           # tag records with an identity
            """,
            order_id=order_id,
        )
        say("guard(send_email)")
    assert desk.count("send_email") == 2
    rows = say("rows = guard.history()")["rows"]
    assert [(row["wf"], row["caller"]) for row in rows] == [("order-1", "agent-A"), ("order-2", "agent-A")]


def test_testing() -> None:
    space: dict[str, Any] = {"charge_card": Desk().tool("charge_card")}
    block = """
        from ledger import Guard, _Mem

        def test_no_duplicate_charge():
            guard = Guard(store=_Mem())   # fully isolated, no disk I/O
            guard(charge_card, card_id="tok_test", amount=49.00)
            guard(charge_card, card_id="tok_test", amount=49.00)  # blocked
            assert guard.stats()["executed"] == 1
            assert guard.stats()["blocked"]  == 1
        """
    exec(dedent(block), space)
    space["test_no_duplicate_charge"]()


def test_environment_variables(tmp_path: Path) -> None:
    """`LEDGER_DB=/data/agent.db LEDGER_WORKFLOW=run-42 python agent.py`"""
    (tmp_path / "agent.py").write_text(
        "from ledger import guard\n\ndef send(to): ...\n\nguard(send, 'a')\nprint(guard.history()[0]['wf'])\n"
    )
    env = {"LEDGER_DB": str(tmp_path / "agent.db"), "LEDGER_WORKFLOW": "run-42", "PATH": os.environ["PATH"]}
    command = [sys.executable, "agent.py"]
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=True).stdout
    assert told == "[ledger] ✓ send\nrun-42\n"
    quiet = subprocess.run(
        command, cwd=tmp_path, env={**env, "LEDGER_QUIET": "1"}, capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert quiet == "run-42\n"
    assert (tmp_path / "agent.db").exists()
