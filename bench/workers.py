"""Several processes on one ledger: what a request costs in CPU with two workers, against sidecars of one process.

Two single sidecars, each with its own ledger, are what two workers are held against, both at work at once under the
very same load: then all that differs is what the workers share. One alone has the machine, its caches above all, for
half as much, where the same work takes less CPU time though nothing is shared; that is not the cost of the workers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from bench.client import Load
from bench.measuring import Figure, Plan
from bench.stage import BenchError, Proxy, Stage, send

DISTINCT = 500
WARM_UP = 160
HOW = (
    "{s} × two clients at once, each {n:,} requests over 16 keep-alive connections: to two sidecars of one process, "
    "each on its own ledger, and to `--workers 2` on one, taking turns; CPU of all processes of each, the parent's "
    "included, per request. {kind} The median of the repetitions' ratios."
)
KINDS = {
    "executed": ("first call", "POSTs with unique bodies, claimed and recorded durably."),
    "replayed": ("replay", f"{DISTINCT} operations are executed once; these are duplicates of them."),
    "": ("tunnel", "POSTs to a host that no rule names."),
}


@dataclass(frozen=True, slots=True)
class Side:
    """Who answers the two clients."""

    first: Proxy
    second: Proxy

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        apart = self.first is not self.second
        return self.first.cpu() + (self.second.cpu() if apart else 0.0)


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure the three kinds of request."""
    return [_figure(stage, plan, outcome) for outcome in KINDS]


def _figure(stage: Stage, plan: Plan, outcome: str) -> Figure:
    name, kind = KINDS[outcome]
    requests = plan.scaled(1000)
    pairs = _pairs(stage, plan, outcome, requests)
    ratio = median(two / one for one, two in pairs)
    one, two = (median(pair[side] for pair in pairs) for side in (0, 1))
    detail = f"one {one:.2f} ms, two {two:.2f} ms; ratios {_spread(pairs)}"
    how = HOW.format(s=plan.slices, n=requests, kind=kind)
    return Figure(f"{name}: CPU with two workers", "≤ 1.00 × one", f"{ratio:.2f} ×", ratio <= 1.0, detail, how)


def _spread(pairs: list[tuple[float, float]]) -> str:
    ratios = sorted(two / one for one, two in pairs)
    return f"{ratios[0]:.2f} to {ratios[-1]:.2f}"


def _pairs(stage: Stage, plan: Plan, outcome: str, requests: int) -> list[tuple[float, float]]:
    ruled = bool(outcome)
    with (
        stage.ledger(ruled=ruled) as left,
        stage.ledger(ruled=ruled) as right,
        stage.ledger("--workers", "2", ruled=ruled) as both,
    ):
        for proxy in (left, right, both) if outcome == "replayed" else ():
            # Often: a worker learns of what another has executed when a duplicate of it first comes by, so each has to
            # have met nearly all of them before anything is measured.
            send(Load("replay", 8 * DISTINCT, distinct=DISTINCT), proxy.route)
        sides = (Side(left, right), Side(both, both))
        return [_pair(stage, plan, outcome, requests, sides, turn) for turn in range(plan.repetitions)]


def _pair(
    stage: Stage, plan: Plan, outcome: str, requests: int, sides: tuple[Side, Side], turn: int
) -> tuple[float, float]:
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(turn * plan.slices, (turn + 1) * plan.slices):
        for which in (0, 1) if number % 2 else (1, 0):
            spent[which].append(_cpu(stage, sides[which], outcome, requests, number))
    return median(spent[0]), median(spent[1])


def _cpu(stage: Stage, side: Side, outcome: str, requests: int, number: int) -> float:
    sent = 2 * (requests + WARM_UP)
    loads = [_load(f"workers-{number}-{half}", requests, outcome) for half in range(2)]
    counted, used = stage.effects(), side.cpu()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, loads, (side.first.route, side.second.route)))
    spent, arrived = side.cpu() - used, stage.effects() - counted
    if arrived != (0 if outcome == "replayed" else sent):
        raise BenchError(f"{sent} requests had {arrived} effects at the origin")
    return spent / sent * 1000


def _load(name: str, requests: int, outcome: str) -> Load:
    load = Load(name, requests, requests + WARM_UP, WARM_UP)
    if outcome == "replayed":
        load = replace(load, name="replay", distinct=DISTINCT)
    return replace(load, marker=f"ledger-outcome: {outcome}") if outcome else load
