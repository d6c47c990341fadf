"""A crowd that connects and says nothing: what it costs those who have something to say."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from statistics import median

from bench.client import Load
from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage, send

CROWD = 1000
HOW = (
    "{n:,} intercepted first calls on four keep-alive TLS connections of one sidecar, before and while {crowd:,} other "
    "connections to it stay open with half a request line. The ratio of the two p99; the median of the repetitions."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure the same load alone and in the crowd."""
    count = plan.scaled(2000)
    pairs = [_pair(stage, count) for _ in range(plan.repetitions)]
    ratio = median(crowded / alone for alone, crowded in pairs)
    alone, crowded = (median(pair[side] for pair in pairs) for side in (0, 1))
    detail = f"p99 alone {alone:.1f} ms, in the crowd {crowded:.1f} ms"
    how = HOW.format(n=count, crowd=CROWD)
    return [Figure("1,000 half-open connections: p99 of others", "≤ 2.0 ×", f"{ratio:.2f} ×", ratio <= 2, detail, how)]


def _pair(stage: Stage, count: int) -> tuple[float, float]:
    with stage.ledger() as proxy:
        if proxy.route.proxy is None:
            raise BenchError("the crowd needs a proxy to connect to")
        alone = send(_load("alone", count), proxy.route)
        with _crowd(proxy.route.proxy):
            return alone.p99, send(_load("crowded", count), proxy.route).p99


def _load(name: str, count: int) -> Load:
    return Load(name, count, distinct=count + 50, warm_up=50, connections=4, marker="ledger-outcome: executed")


@contextlib.contextmanager
def _crowd(port: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            opened = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            opened.sendall(b"POST http://api.ex")
        yield
