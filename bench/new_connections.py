"""Clients that open a new TLS connection for every request, as short-lived agents do."""

from __future__ import annotations

from bench.client import Load
from bench.measuring import Figure, Plan, duel, throughput
from bench.stage import Stage

WARM_UP = 32
HOW = (
    "{s} × {n:,} POSTs with unique bodies by 16 clients at once; each opens a connection, CONNECTs, makes a full TLS "
    "handshake (no resumption), asks once and hangs up. Ledger claims and records every one durably. "
    "mitmdump: `mitmdump -q`, default addons. Latency includes connecting."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure both."""
    requests = plan.scaled(320)

    def load(number: int) -> Load:
        return Load(f"new-{number}", requests, distinct=requests + WARM_UP, warm_up=WARM_UP, one_each=True)

    pairs = []
    for _ in range(plan.repetitions):
        with stage.ledger() as ledger, stage.mitmdump() as mitmdump:
            pairs.append(duel(stage, plan, ledger, mitmdump, load, "executed"))
    how = HOW.format(s=plan.slices, n=requests)
    return [throughput("a new TLS connection per request", 1.5, pairs, "mitmdump", how)]
