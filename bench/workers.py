"""Several processes on one ledger: what a request costs in CPU with two workers, against one sidecar.

Two have twice the connections, so that each has as many as the one: a commit, and a turn of the loop, cost the same
however many requests share them, and of sixteen connections each of two would have but half.

Through a tunnel next to nothing is done with a request, so that waking up for it is much of what it costs; and two
processes that share two cores with the load sleep twice as often for a request as one that is hardly ever idle. The
barest relay, one process against two, says how much that is on this machine. It is shown beside Ledger's figure, and
nothing is taken off for it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from statistics import median

from bench.client import Load
from bench.measuring import Figure, Plan, sample
from bench.stage import Proxy, Stage, send

DISTINCT = 500
WARM_UP = 160
CONNECTIONS = 16
"""Of each worker."""
HOW = (
    "{s} × {n:,} requests over 16 keep-alive connections to one sidecar, and twice as many over 32 to `--workers 2` on "
    "another ledger, taking turns; CPU of all processes of each, the parent's included, per request. {kind} The median "
    "of the repetitions' ratios."
)
BARE = (
    " Beside it, from the same run, the ratio of the barest relay in asyncio (`bench/relay.py`), in one process and in "
    "two: what a second process costs where nothing is shared."
)
KINDS = {
    "executed": ("first call", "POSTs with unique bodies, claimed and recorded durably."),
    "replayed": ("replay", f"{DISTINCT} operations are executed once; these are duplicates of them."),
    "": ("tunnel", "POSTs to a host that no rule names."),
}


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure the three kinds of request."""
    return [_figure(stage, plan, outcome) for outcome in KINDS]


def _figure(stage: Stage, plan: Plan, outcome: str) -> Figure:
    name, kind = KINDS[outcome]
    requests = plan.scaled(1000)
    pairs, bare = [], []
    for _ in range(plan.repetitions):
        ruled = bool(outcome)
        sides = stage.ledger(ruled=ruled), stage.ledger("--workers", "2", ruled=ruled)
        pairs.append(_pair(stage, plan, outcome, requests, sides))
        if not ruled:
            bare.append(_pair(stage, plan, outcome, requests, (stage.relay(1), stage.relay(2))))
    ratio = _ratio(pairs)
    one, two = (median(pair[side] for pair in pairs) for side in (0, 1))
    detail = f"one {one:.2f} ms, two {two:.2f} ms; ratios {_spread(pairs)}"
    how = HOW.format(s=plan.slices, n=requests, kind=kind)
    if bare:
        detail += f"; the barest relay {_ratio(bare):.2f} × ({_spread(bare)})"
        how += BARE
    return Figure(f"{name}: CPU with two workers", "≤ 1.00 × one", f"{ratio:.2f} ×", ratio <= 1.0, detail, how)


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return median(two / one for one, two in pairs)


def _spread(pairs: list[tuple[float, float]]) -> str:
    ratios = sorted(two / one for one, two in pairs)
    return f"{ratios[0]:.2f} to {ratios[-1]:.2f}"


def _pair(
    stage: Stage,
    plan: Plan,
    outcome: str,
    requests: int,
    sides: tuple[AbstractContextManager[Proxy], AbstractContextManager[Proxy]],
) -> tuple[float, float]:
    with sides[0] as one, sides[1] as two:
        for proxy in (one, two) if outcome == "replayed" else ():
            # More than once: a worker learns of what another has executed when a duplicate of it first comes by.
            send(Load("replay", 4 * DISTINCT, distinct=DISTINCT), proxy.route)
        spent: dict[int, list[float]] = {0: [], 1: []}
        for number in range(plan.slices):
            for side, proxy in sorted(enumerate((one, two)), reverse=bool(number % 2)):
                spent[side].append(_cpu(stage, proxy, outcome, requests, number, workers=1 + side))
        return median(spent[0]), median(spent[1])


def _cpu(stage: Stage, proxy: Proxy, outcome: str, requests: int, number: int, workers: int) -> float:
    sent, warm_up = workers * requests, workers * WARM_UP
    load = Load(f"workers-{number}", sent, sent + warm_up, warm_up, workers * CONNECTIONS)
    if outcome == "replayed":
        load = replace(load, name="replay", distinct=DISTINCT)
    if outcome:
        load = replace(load, marker=f"ledger-outcome: {outcome}")
    return sample(stage, proxy, load, effects=outcome != "replayed").cpu
