"""What rules cost before a request is identified: loading all shipped packs, and finding one rule among a thousand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from statistics import median

from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage
from ledger_rules import Request, Ruleset, loads

MANY = 1000
BATCH = 200
LOADED = """
import time
started = time.perf_counter()
from ledger_rules import loads, pack_names
imported = time.perf_counter()
packs = (f"{{{name}: {{hosts: [hooks{n}.example.com]}}}}" for n, name in enumerate(pack_names()))
loads("packs: [" + ", ".join(packs) + "]")
print(imported - started, time.perf_counter() - imported)
"""
PLACES = {
    "one host each": "https://h{}.example.com/v1/orders",
    "one host": "https://example.com/v1/orders{}",
    "wildcard hosts": "https://*.h{}.example.com/v1/orders",
    "wildcard segments": "https://example.com/*/orders{}",
}


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure loading in fresh processes, and matching in this one."""
    del stage  # no proxy, no origin
    return [_loading(plan), *(_many(name, pattern, plan) for name, pattern in PLACES.items())]


def _loading(plan: Plan) -> Figure:
    times = [_loaded() for _ in range(plan.scaled(12))]
    took = median(load for _, load in times)
    detail = f"{min(t for _, t in times):.0f} to {max(t for _, t in times):.0f} ms; imports before {times[0][0]:.0f} ms"
    how = f"All shipped packs, each on a host of its own, parsed and compiled in each of {len(times)} fresh processes."
    return Figure("loading all packs", "≤ 150 ms", f"{took:.0f} ms", took <= 150, detail, how)


def _loaded() -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the packs did not load: {done.stderr.strip()[-500:]}")
    imported, loaded = map(float, done.stdout.split())
    return imported * 1e3, loaded * 1e3


def _many(name: str, pattern: str, plan: Plan) -> Figure:
    """One rule and a thousand in turns, so that whatever else the machine does hits both.

    Among a thousand each is asked for in turn: more URLs than are remembered, so every one of them is looked for.
    """
    one, many = (_asking(pattern, numbers) for numbers in (range(MANY - 1, MANY), range(MANY)))
    pairs = [(_timed(one), _timed(many)) for _ in range(plan.scaled(400))]
    alone, among = (median(times) * 1e6 for times in zip(*pairs, strict=True))
    detail = f"{alone:.1f} µs with one rule, {among:.1f} µs with {MANY:,}"
    how = f"Time to find each of {MANY:,} rules less that of one alone, medians of {len(pairs)} batches of {BATCH}"
    more = among - alone
    return Figure(f"{MANY:,} rules, {name}", "< 50 µs more", f"{more:.1f} µs more", more < 50, detail, how)


def _rules(pattern: str, numbers: range) -> Ruleset:
    lines = (f"  - {{name: r{number}, match: {{url: '{pattern.format(number)}'}}}}\n" for number in numbers)
    return loads("rules:\n" + "".join(lines))


def _request(pattern: str, number: int) -> Request:
    host, _, path = pattern.format(number).removeprefix("https://").replace("*", "any").partition("/")
    return Request("POST", "https", host, 443, f"/{path}", (), b"")


def _asking(pattern: str, numbers: range) -> Callable[[], object]:
    rules, requests = _rules(pattern, numbers), [_request(pattern, number) for number in numbers]
    assert [rule and rule.name for rule in map(rules.match, requests)] == [f"r{number}" for number in numbers]
    turns = cycle(requests)
    return lambda: rules.match(next(turns))


def _timed(once: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(BATCH):
        once()
    return (time.perf_counter() - started) / BATCH
