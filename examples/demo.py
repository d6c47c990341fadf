"""The main job, shown: an unmodified agent's retry storm against a fake Stripe, without Ledger and with it.

Only tells the story. Every number is read where it is true: how often the agent asked from the agent's own output,
how many charges there are from Stripe's own list. Exit code 1 if Ledger let more or less than one charge through.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from stage import HERE, Actor, DemoError, FakeStripe, Launch, clean_environment, started

console = Console(highlight=False)
AGENT = [sys.executable, str(HERE / "stripe_agent.py")]
LEDGER = [sys.executable, "-m", "ledger_console"]

# Stripe's SDK trusts only the roots it ships and has no setting in the environment, so without Ledger somebody else
# must make the agent trust the fake. Python runs this file at start when it is on PYTHONPATH. Against the real
# api.stripe.com neither this nor the tunnel would be needed; nothing else about the agent differs.
TRUST_THE_FAKE = "import os, stripe\nstripe.ca_bundle_path = os.environ['DEMO_CA']\n"


@dataclass(frozen=True)
class Outcome:
    """How one half ended: tool calls of the agent, writes that arrived at Stripe, charges that Stripe holds."""

    asked: int
    requests: int
    charges: int


class Teller:
    """Prints what the agent says as a short numbered list, and counts how often it asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.paid = False

    def hear(self, line: str) -> None:
        """One line of the agent's output."""
        word, _, rest = line.partition(": ")
        if word == "asking":
            self.asked += 1
            console.print(Text.assemble((f"  {self.asked}  ", "bold"), ("agent asks  ", ""), (rest, "cyan")))
        elif word == "paid":
            self.paid = True
            console.print(Text.assemble("     ", ("paid        ", "green"), (rest, "dim")))
        else:
            console.print(Text(f"     {word:<12}{rest}", "yellow"), overflow="ellipsis", no_wrap=True)

    def remark(self, text: str, style: str = "dim") -> None:
        """Something that the world does to the agent."""
        console.print(Text(f"     {text}", style))

    def quote(self, lines: list[str]) -> None:
        """What a run wrote to stderr; with Ledger that is its summary."""
        for line in lines:
            console.print(Padding(Text(line, "magenta"), (0, 0, 0, 5)))


def story(stripe: FakeStripe, launch: Launch, teller: Teller) -> None:
    """The same bad day for both: slow answers, a kill -9 while waiting, lost answers, and a last needless request."""
    stripe.weather("late")
    teller.remark("Stripe charges, but answers too late")
    with Actor(launch, teller.hear) as agent:
        agent.wait_until(lambda: teller.asked == 2)
        stripe.wait_until_answers_are_held()
        time.sleep(0.5)  # well inside the second request: sent, not answered
        agent.kill_everything()
    teller.remark(f"kill -9 of {launch.who} between sending and answering", "red")
    stripe.weather("lost")
    teller.remark("run again; now Stripe's answers are lost")
    with Actor(launch, teller.hear) as agent:
        agent.wait_until(lambda: agent.said("failed"))
        stripe.weather("fine")
        teller.quote(agent.finish())
    teller.remark("run once more, though the order is paid")
    with Actor(launch, teller.hear) as agent:
        teller.quote(agent.finish())


def without_ledger(stripe: FakeStripe, directory: Path, stack: contextlib.ExitStack) -> Launch:
    """The agent alone. The tunnel stands in for DNS: api.stripe.com without root and without /etc/hosts."""
    tunnel = stack.enter_context(started([sys.executable, str(HERE / "dumb_tunnel.py"), "--to", str(stripe.port)]))
    (directory / "sitecustomize.py").write_text(TRUST_THE_FAKE)
    environment = {
        **clean_environment(),
        "HTTPS_PROXY": f"http://{tunnel.ready.removeprefix('listening on ')}",
        "PYTHONPATH": str(directory),
        "DEMO_CA": str(stripe.ca),
    }
    return Launch("the agent", AGENT, environment, directory)


def with_ledger(stripe: FakeStripe, directory: Path, _stack: contextlib.ExitStack) -> Launch:
    """The same command behind `ledger run`; --resolve and --upstream-ca only lead it to the fake."""
    options = ["--resolve", f"api.stripe.com:443:127.0.0.1:{stripe.port}", "--upstream-ca", str(stripe.ca)]
    options += ["--db", str(directory / "ledger.db"), "--workflow", "order-42"]
    return Launch("agent and sidecar", [*LEDGER, "run", *options, "--", *AGENT], clean_environment(), directory)


def half(title: str, directory: Path, prepare: Callable[[FakeStripe, Path, contextlib.ExitStack], Launch]) -> Outcome:
    """Play the story on a fresh Stripe and read off how it ended."""
    console.print()
    console.rule(f"[bold]{title}", align="left", style="dim")
    directory.mkdir()
    teller = Teller()
    with contextlib.ExitStack() as stack:
        stripe = stack.enter_context(FakeStripe(directory))
        story(stripe, prepare(stripe, directory, stack), teller)
        charges, requests = stripe.charges(), stripe.requests()
    if not teller.paid:
        raise DemoError("the agent never got its order paid; its last words are above")
    table = Table(
        "charge", "amount", "status", title="Stripe's own list of charges", box=SIMPLE_HEAD, title_justify="left"
    )
    for charge in charges:
        table.add_row(charge.id, f"${charge.amount / 100:.2f}", charge.status)
    console.print(table)
    return Outcome(teller.asked, requests, len(charges))


def verdict(without: Outcome, with_: Outcome) -> int:
    """Both halves side by side; returns the exit code."""
    columns = ("", "agent asked", "requests at Stripe", "charges at Stripe")
    table = Table(*columns, title="One order of $49.00", box=SIMPLE_HEAD, title_justify="left")
    for name, seen in (("without Ledger", without), ("with Ledger", with_)):
        charges = Text(str(seen.charges), "bold green" if seen.charges == 1 else "bold red")
        table.add_row(name, f"{seen.asked} times", str(seen.requests), charges)
    console.print(table)
    if without.charges <= 1:
        console.print("[red]The storm did not happen: without Ledger there should be duplicates.")
    if with_.charges != 1:
        console.print(f"[red]Ledger failed: {with_.charges} charges instead of 1.")
    return 0 if with_.charges == 1 < without.charges else 1


def main() -> int:
    """Play both halves in a directory that is gone afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the children are stopped then, too
    with tempfile.TemporaryDirectory(prefix="ledger-demo-") as name:
        try:
            without = half("Without Ledger", Path(name, "without"), without_ledger)
            with_ = half("With Ledger, the same agent, the same bad day", Path(name, "with"), with_ledger)
            console.rule("[bold]ledger show", align="left", style="dim")
            show = [*LEDGER, "show", "--db", str(Path(name, "with", "ledger.db"))]
            subprocess.run(show, check=True, env=clean_environment(), cwd=name)
            return verdict(without, with_)
        except (DemoError, subprocess.CalledProcessError) as problem:
            Console(stderr=True).print(f"demo: {problem}", style="red", markup=False)
            return 1
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
