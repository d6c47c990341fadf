"""What every scenario shares: the size of a run, one sample of a proxy under load, two rivals in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean, median

from bench.client import Load
from bench.stage import BenchError, Proxy, Stage, send


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run takes. A quick one shows that everything works; its figures are rough."""

    repetitions: int = 5
    divisor: int = 1
    slices: int = 4

    def scaled(self, count: int) -> int:
        """Return `count`, or the quick run's share of it."""
        return count // self.divisor


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition on one proxy. rate: requests per second; latencies and CPU in milliseconds, CPU per request."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the results. `detail` holds both sides of a ratio, `how` what was compared and how."""

    name: str
    bound: str
    measured: str
    met: bool
    detail: str
    how: str


def sample(stage: Stage, proxy: Proxy, load: Load, *, effects: bool) -> Sample:
    """Send a load and check with the origin that exactly the requests that should have arrived did."""
    counted, used = stage.effects(), proxy.cpu()
    result = send(load, proxy.route)
    sent = load.requests + load.warm_up
    arrived = stage.effects() - counted
    if arrived != (sent if effects else 0):
        raise BenchError(f"{proxy.name}, {load.name}: {sent} requests had {arrived} effects at the origin")
    return Sample(result.requests / result.seconds, result.p50, result.p99, (proxy.cpu() - used) / sent * 1000)


def duel(
    stage: Stage, plan: Plan, ours: Proxy, theirs: Proxy, load: Callable[[int], Load], outcome: str
) -> tuple[Sample, Sample]:
    """One repetition: both proxies run, and slices of load go to one and the other, each beginning in turn.

    Slices are short, so that whatever else the machine does hits both. load: makes the slice of a number.
    outcome: what Ledger must say of every answer; effects are expected at the origin if it says `executed`.
    """
    got: dict[str, list[Sample]] = {ours.name: [], theirs.name: []}
    for number in range(plan.slices):
        slice_ = load(number)
        marked = replace(slice_, marker=f"ledger-outcome: {outcome}")
        turns = [(ours, marked), (theirs, slice_)]
        for proxy, sent in turns if number % 2 else reversed(turns):
            got[proxy.name].append(sample(stage, proxy, sent, effects=outcome == "executed"))
    return _whole(got[ours.name]), _whole(got[theirs.name])


def _whole(slices: list[Sample]) -> Sample:
    rate = 1 / mean(1 / s.rate for s in slices)
    return Sample(rate, median(s.p50 for s in slices), max(s.p99 for s in slices), mean(s.cpu for s in slices))


def throughput(name: str, bound: float, pairs: list[tuple[Sample, Sample]], peer: str, how: str) -> Figure:
    """Compare requests per second: the median of the repetitions' ratios, and the medians of both sides."""
    ratios = [ours.rate / theirs.rate for ours, theirs in pairs]
    ratio = median(ratios)
    detail = f"Ledger {_side([p[0] for p in pairs])}; {peer} {_side([p[1] for p in pairs])}"
    spread = f"; ratios {min(ratios):.2f} to {max(ratios):.2f}"
    return Figure(name, f"≥ {bound:g} ×", f"{ratio:.2f} ×", ratio >= bound, detail + spread, how)


def _side(samples: list[Sample]) -> str:
    rate, p50, p99, cpu = (median(getattr(s, name) for s in samples) for name in ("rate", "p50", "p99", "cpu"))
    return f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {cpu:.2f} ms CPU"
