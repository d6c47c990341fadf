"""Hosts that no rule names: what going through Ledger adds to a small request, and leaves of a download's speed."""

from __future__ import annotations

from statistics import median

from bench.measuring import Figure, Plan
from bench.stage import Stage, ask_client

SIZE = 256 * 2**20
LATENCY = (
    "{n:,} small GETs each on two kept TLS connections, one direct and one through Ledger, taking turns, from a "
    "blocking client. The difference of the two medians; the median of the repetitions."
)
DOWNLOAD = (
    "256 MiB over TLS from an asyncio origin to a blocking client, direct and through Ledger, one after the other in "
    "each repetition; the client sees the origin's own certificate. The median of the repetitions' ratios."
)


CROWD = (
    "100 connections at once, each downloading {e} × 512 KiB from the origin, direct and through Ledger in turns: the "
    "99th percentile of the times of all downloads. The median of the repetitions' ratios."
)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure latency and download side by side with a direct connection."""
    requests = plan.scaled(2000)
    small: list[list[float]] = []
    speeds: list[tuple[float, float]] = []
    for _ in range(plan.repetitions):
        with stage.ledger(ruled=False) as proxy:
            small.append(ask_client("latencies", [stage.direct, proxy.route], requests=requests))
            direct, tunnelled = (ask_client("download", [r], size=SIZE) for r in (stage.direct, proxy.route))
            speeds.append((SIZE / 2**20 / direct, SIZE / 2**20 / tunnelled))
    return [_latency(small, requests), _download(speeds), _crowd(stage, plan)]


def _latency(small: list[list[float]], requests: int) -> Figure:
    added = median(tunnelled - direct for direct, tunnelled in small)
    direct, tunnelled = (median(pair[side] for pair in small) for side in (0, 1))
    detail = f"p50 direct {direct:.3f} ms, through Ledger {tunnelled:.3f} ms"
    how = LATENCY.format(n=requests)
    return Figure("tunnel: added to a small request", "≤ 0.30 ms", f"{added:.2f} ms", added <= 0.3, detail, how)


def _download(speeds: list[tuple[float, float]]) -> Figure:
    share = median(tunnelled / direct for direct, tunnelled in speeds)
    direct, tunnelled = (median(pair[side] for pair in speeds) for side in (0, 1))
    detail = f"direct {direct:,.0f} MiB/s, through Ledger {tunnelled:,.0f} MiB/s"
    return Figure("tunnel: 256 MiB download", "≥ 40 % of direct", f"{share:.0%}", share >= 0.4, detail, DOWNLOAD)


def _crowd(stage: Stage, plan: Plan) -> Figure:
    each = max(2, plan.scaled(4))
    pairs = []
    for _ in range(plan.repetitions):
        with stage.ledger(ruled=False) as proxy:
            job = {"at_once": 100, "each": each, "size": 512 * 1024}
            direct, tunnelled = (ask_client("downloads", [r], **job) for r in (stage.direct, proxy.route))
            pairs.append((direct, tunnelled))
    ratio = median(tunnelled / direct for direct, tunnelled in pairs)
    direct, tunnelled = (median(pair[side] for pair in pairs) for side in (0, 1))
    detail = f"p99 direct {direct:,.0f} ms, through Ledger {tunnelled:,.0f} ms"
    how = CROWD.format(e=each)
    return Figure("tunnel: 100 downloads at once, p99", "≤ 2.0 × direct", f"{ratio:.2f} ×", ratio <= 2.0, detail, how)
