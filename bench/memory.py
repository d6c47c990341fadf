"""What the sidecar weighs: idle, and after many requests."""

from __future__ import annotations

import time
from statistics import median

from bench.client import Load
from bench.measuring import Figure, Plan
from bench.stage import Proxy, Stage, send

FEW, MANY = 2_000, 20_000
SETTLE_SECONDS = 1.0
GROWTH = (
    "Resident size of one sidecar after {few:,} and after {many:,} intercepted first calls with unique bodies over 16 "
    "keep-alive connections ({few:,} and then {rest:,} more, on new connections), a second after the last one."
)
IDLE = "Resident size of a sidecar a second after it listens, before any request; its children would count."


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Weigh fresh sidecars."""
    weights = [_weigh(stage, plan.scaled(FEW), plan.scaled(MANY)) for _ in range(plan.repetitions)]
    growth = median(many / few for _, few, many in weights)
    idle, few, many = (median(w[i] for w in weights) for i in range(3))
    how = GROWTH.format(few=plan.scaled(FEW), many=plan.scaled(MANY), rest=plan.scaled(MANY) - plan.scaled(FEW))
    grown = f"{few:.0f} MiB, then {many:.0f} MiB"
    return [
        Figure("memory: growth", "≤ 1.10 ×", f"{growth:.2f} ×", growth <= 1.1, grown, how),
        Figure("memory: idle", "≤ 120 MiB", f"{idle:.0f} MiB", idle <= 120, f"{idle:.1f} MiB", IDLE),
    ]


def _weigh(stage: Stage, few: int, many: int) -> tuple[float, float, float]:
    with stage.ledger() as proxy:
        idle = _settled(proxy)
        send(Load("few", few, distinct=few, marker="ledger-outcome: executed"), proxy.route)
        after_few = _settled(proxy)
        rest = many - few
        send(Load("many", rest, distinct=rest, marker="ledger-outcome: executed"), proxy.route)
        return idle, after_few, _settled(proxy)


def _settled(proxy: Proxy) -> float:
    time.sleep(SETTLE_SECONDS)
    return proxy.rss()
