"""docs/guard.md and the README's guard section: every code block runs, every claim that can be checked is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ledger
from ledger import Guard, effects, settings
from ledger.guards import Guard as GuardClass

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guard.md").read_text(encoding="utf-8")


class World:
    """The tools that the page's code takes for granted."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, Any]] = []

    def note(self, name: str, *told: object) -> str:
        self.effects.append((name, told))
        return f"{name} {len(self.effects)}"

    def messages(self) -> list[object]:
        return []

    def increment(self, name: str) -> None:
        self.note(name)

    def tools(self) -> dict[str, Any]:
        note = self.note

        def send_email(to: str) -> str:
            return note("send_email", to)

        def charge_card(customer: str, amount: float) -> str:
            return note("charge_card", customer, amount)

        def pay_invoice(id: str) -> str:
            note("pay_invoice", id)
            raise TimeoutError("no answer")

        def create_ticket(title: str) -> str:
            """Create a ticket."""
            return note("create_ticket", title)

        def send_letter(to: str, text: str) -> str:
            return note("send_letter", to)

        def plain(n: int = 0) -> str:
            return note("plain", n)

        named = {f.__name__: f for f in (send_email, charge_card, pay_invoice, create_ticket, send_letter)}
        for name in ("search_web", "create_invoice", "send_sms", "daily_report"):
            named[name] = plain
        return {**named, "carrier": self, "metrics": self}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def space(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A namespace in which the blocks run one after the other, as a reader would paste them."""
    fresh = Guard()
    monkeypatch.setattr(ledger, "guard", fresh)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ledger.yaml").write_text("version: 1\ntools:\n  send_sms: {max: 2}\n")
    made: dict[str, Any] = {"guard": fresh, **world.tools()}
    yield made
    for value in made.values():
        if isinstance(value, GuardClass):
            value.close()
            if value._store is not None:
                value._store.close()  # type: ignore[attr-defined]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)


def test_every_block_runs_in_order(space: dict[str, Any], world: World) -> None:
    assert len(blocks(PAGE)) >= 10
    for block in blocks(PAGE):
        exec(compile(block, "docs/guard.md", "exec"), space)
    count = [name for name, _ in world.effects].count
    assert count("send_email") == 4, "ada, bob, ada for order-1, ada by force for order-2"
    assert count("charge_card") == 3
    assert count("pay_invoice") == 1
    assert space["tools"]["send_email"](to="carl@example.com").startswith("send_email")


def test_what_the_blocks_say_of_duplicates(space: dict[str, Any]) -> None:
    exec(blocks(PAGE)[0], space)
    assert space["guard"](space["send_email"], to="ada@example.com") is None


def test_the_table_of_exceptions_is_the_one_in_the_code() -> None:
    table = PAGE.partition("### Which exceptions leave the outcome open")[2].partition("\n## ")[0]
    told = set(re.findall(r"[A-Za-z]+", table))
    for name in (*effects.NOT_SENT, *effects.MAYBE_SENT, *effects.WRAPPERS, *effects.ANSWERED):
        assert name.rpartition(".")[2] in told, name


def test_every_policy_method_and_variable_is_on_the_page() -> None:
    parameters = set(GuardClass.policy.__annotations__) - {"tool", "return"}
    for name in parameters:
        assert f"`{name}=" in PAGE, name
    for name, value in vars(GuardClass).items():
        if callable(value) and not name.startswith("_") and name != "close":
            assert f"{name}(" in PAGE or f"guard.{name}" in PAGE, name
    for name in re.findall(r"LEDGER_[A-Z_]+[A-Z]", Path(settings.__file__).read_text()):
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("file", ["README.md"])
async def test_the_readmes_guard_section_runs(file: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / file).read_text(encoding="utf-8").partition("### What is not HTTP: guard")[2].partition("\n##")[0]
    [block] = blocks(section)
    fresh = Guard()
    monkeypatch.setattr(ledger, "guard", fresh)

    async def post_webhook(url: str, payload: object) -> str:
        return world.note("post_webhook", url)

    def send_invoice(order: str, amount: int) -> str:
        return world.note("send_invoice", order)

    code = "async def page():\n" + re.sub("^", "    ", block, flags=re.M) + "\n"
    names = {"url": "https://x", "data": {"n": 1}, "post_webhook": post_webhook, "send_invoice": send_invoice}
    space: dict[str, Any] = {**names, "tools": [lambda n: n]}
    exec(compile(code, file, "exec"), space)
    await space["page"]()
    assert [name for name, _ in world.effects].count("send_invoice") == 1
    fresh.close()
