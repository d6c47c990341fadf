"""Answers that stream on a ruled route: how long after the upstream sent the first piece of one the agent has it."""

from __future__ import annotations

from statistics import median

from bench.measuring import Figure, Plan
from bench.stage import BenchError, Proxy, Stage, ask_client

BOUND = 100.0
AT_ONCE = 8
SIDES = ("direct", "through Ledger")
KINDS = {"text/event-stream": "events", "application/x-ndjson": "lines", "application/json": "JSON in chunks"}
HOW = (
    "{n:,} intercepted first calls of one ruled route on 8 keep-alive TLS connections, each answered by a head with "
    "its first piece and the rest 150 ms later ({kind}): from when the origin wrote that piece until it was read, "
    "through Ledger less direct, both p99, in turns. The head is durable before the agent has it. The median of the "
    "repetitions."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure each kind of stream; of the last nothing says that it will come bit by bit."""
    return [_figure(stage, plan, kind) for kind in KINDS]


def _figure(stage: Stage, plan: Plan, kind: str) -> Figure:
    streams = plan.scaled(200)
    pairs = []
    with stage.ledger() as proxy:
        for number in range(plan.repetitions):
            sides = [None, proxy] if number % 2 else [proxy, None]
            took = {side: _took(stage, side, kind, streams, f"streams-{number}") for side in sides}
            pairs.append((took[None], took[proxy]))
    added = median(_p99(through) - _p99(direct) for direct, through in pairs)
    detail = "; ".join(
        f"{side} {_side(list(took))}" for side, took in zip(SIDES, zip(*pairs, strict=True), strict=True)
    )
    name = f"first piece of a stream, p99: {KINDS[kind]}"
    how = HOW.format(n=streams, kind=kind)
    return Figure(name, f"≤ {BOUND:.0f} ms added", f"{added:.0f} ms", added <= BOUND, detail, how)


def _side(took: list[list[float]]) -> str:
    return f"p50 {median(map(median, took)):.1f} ms, p99 {median(map(_p99, took)):.1f} ms"


def _took(stage: Stage, proxy: Proxy | None, kind: str, streams: int, name: str) -> list[float]:
    route, marker = (proxy.route, "ledger-outcome: executed") if proxy else (stage.direct, "")
    before = stage.effects()
    job = {"streams": streams, "at_once": AT_ONCE, "accept": kind, "marker": marker, "name": name}
    took: list[float] = ask_client("first_pieces", [route], told=job)
    if stage.effects() - before != streams:
        raise BenchError(f"{streams} streams had {stage.effects() - before} effects at the origin")
    return took


def _p99(took: list[float]) -> float:
    return took[int(len(took) * 0.99)]
