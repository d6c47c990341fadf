"""Intercepted first calls: Ledger claims and records each one durably, mitmdump records nothing."""

from __future__ import annotations

from bench.client import Load
from bench.measuring import Figure, Plan, duel, throughput
from bench.stage import Stage

WARM_UP = 160
HOW = (
    "{s} × {n:,} POSTs with unique JSON bodies over 16 keep-alive connections, each through CONNECT and an intercepted "
    "TLS connection, after {w} to warm up. Ledger: a fresh ledger each time, durability full, every answer marked "
    "`executed`. mitmdump: `mitmdump -q`, default addons, nothing printed. The origin's count of effects is checked."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure both."""
    requests = plan.scaled(1000)

    def load(number: int) -> Load:
        return Load(f"first-{number}", requests, distinct=requests + WARM_UP, warm_up=WARM_UP)

    pairs = []
    for _ in range(plan.repetitions):
        with stage.ledger() as ledger, stage.mitmdump() as mitmdump:
            pairs.append(duel(stage, plan, ledger, mitmdump, load, "executed"))
    how = HOW.format(s=plan.slices, n=requests, w=WARM_UP)
    return [throughput("first calls", 1.35, pairs, "mitmdump", how)]
