"""What it costs to know a request: matched and fingerprinted with the shipped packs loaded, without any network.

A time of microseconds says as much about the machine as about Ledger, and a virtual one lends its cores to others: for
half a second at a time all takes up to twice as long, and nothing in it tells. So the same body is parsed and written
in one spelling by Python's own json in turns with it. The figure is the median of all batches; beside it stands that of
those in which json took hardly longer than at its best, the machine undisturbed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count, cycle
from statistics import median

from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage
from ledger_rules import Request, Ruleset, identify, loads, pack_names

SECRET = b"measured under this key, 32 byte"
BATCH = 50
UNDISTURBED = 1.15
"""So much longer than its best may the peer take where the machine counts as undisturbed."""
SMALL = (
    "Time to match a POST of {size:,} bytes of JSON ({objects} objects, 10 headers, a bearer token, a UUID as key) and "
    "to identify it, in a process that does nothing else, packs {packs} loaded: median of {n:,} batches of "
    "{batch}, each of {batch} requests to one URL with as many bodies, keys and request ids; in turns with batches to "
    "new URLs, and with `json.dumps(json.loads(body), sort_keys=True)` of the same bodies. Undisturbed are the batches "
    "beside which that took at most {limit} × its best, {kept:,} here."
)
LARGE = "The same for a POST of {size:,} bytes of JSON ({objects:,} objects), each one timed, {n} of them."
MULTIPART = (
    "Most memory that reading a multipart body of {size:,} bytes, one file, adds to a process: resident size after "
    "every 16 MiB less that before the first byte. Fed in pieces of 256 KiB, as from a spooled file."
)
FEED = """
import psutil, sys, time
from ledger_rules.bodies import Digest, read
head = b'--b\\r\\nContent-Disposition: form-data; name="f"; filename="f"\\r\\n\\r\\n'
kind, piece = "multipart/form-data; boundary=b", bytes(range(256)) * 1024
read(head + b"x\\r\\n--b--\\r\\n", kind)
size = lambda: psutil.Process().memory_info().rss
before, started, most = size(), time.perf_counter(), 0
digest = Digest(kind)
digest.feed(head)
for number in range(int(sys.argv[1])):
    digest.feed(piece)
    most = max(most, size()) if number % 64 == 63 else most
digest.feed(b"\\r\\n--b--\\r\\n")
found = digest.finish()
assert found.format == "multipart", found.notes
print(found.size, max(most, size()) - before, time.perf_counter() - started)
"""


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure small, large and huge."""
    del stage  # no proxy, no origin
    packs = [name for name in pack_names() if name != "webhooks"]
    rules = loads(f"packs: [{', '.join(packs)}, {{webhooks: {{hosts: [hooks.example.com]}}}}]")
    return [_small(rules, plan, ", ".join([*packs, "webhooks"])), _large(rules, plan), _multipart(plan)]


def _small(rules: Ruleset, plan: Plan, packs: str) -> Figure:
    requests = [_request(_document(18, number), 2048, number) for number in range(BATCH)]
    ways = _spelled(requests), _identified(rules, requests), _identified(rules, requests, new_urls=True)
    rounds = [[_timed(way, BATCH) * 1e6 for way in ways] for _ in range(plan.scaled(2000))]
    peer = min(plain for plain, _, _ in rounds)
    kept = [took for took in rounds if took[0] <= UNDISTURBED * peer]
    every = [times for _, times, _ in rounds]
    took, undisturbed = median(every), median(times for _, times, _ in kept)
    new = median(times for _, _, times in rounds)
    ratio = median(times / plain for plain, times, _ in rounds)
    how = SMALL.format(
        size=len(requests[0].body),
        objects=20,
        packs=packs,
        n=len(rounds),
        kept=len(kept),
        batch=BATCH,
        limit=UNDISTURBED,
    )
    detail = (
        f"{undisturbed:.0f} µs with the machine undisturbed, {len(kept) / len(rounds):.0%} of the time; "
        f"best {min(every):.0f}; new URLs {new:.0f}; {ratio:.2f} × what Python's json takes to parse and sort the body"
    )
    return Figure("match + fingerprint, 2 KB JSON", "≤ 120 µs", f"{took:.0f} µs", took <= 120, detail, how)


def _large(rules: Ruleset, plan: Plan) -> Figure:
    request = _request(_document(10_000), 1 << 20)
    once = _identified(rules, [request])
    times = sorted(_timed(once, 1) * 1e3 for _ in range(plan.scaled(40)))
    took = median(times)
    detail = f"{times[0]:.1f} to {times[-1]:.1f} ms"
    how = LARGE.format(size=len(request.body), objects=10_002, n=len(times))
    return Figure("match + fingerprint, 1 MB JSON", "≤ 50 ms", f"{took:.1f} ms", took <= 50, detail, how)


def _multipart(plan: Plan) -> Figure:
    pieces = plan.scaled(4096)
    done = subprocess.run([sys.executable, "-c", FEED, str(pieces)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the multipart reader failed: {done.stderr.strip()[-500:]}")
    size, grown, seconds = done.stdout.split()
    mebibytes = int(grown) / 2**20
    how = MULTIPART.format(size=int(size))
    detail = f"{int(size) / 2**20 / float(seconds):.0f} MiB/s"
    return Figure("multipart: memory", "≤ 64 MiB", f"{mebibytes:.1f} MiB", mebibytes <= 64, detail, how)


def _document(items: int, number: int = 0) -> dict[str, object]:
    """An order as agents send them; each number is another one."""
    item = {"sku": "sku-0001", "qty": 2, "price": 1999, "name": "A thing of some kind", "gift": False}
    about = {"order": f"A-{number:03}", "agent": "checkout", "trace": _uuid(number)}
    lines = [item | {"sku": f"sku-{number:04}", "qty": number % 9 + 1} for number in range(items)]
    paid = {"amount": 4900 + number, "currency": "usd", "tax_rate": 0.19}
    return {**paid, "metadata": about, "items": lines, "note": "merci, à bientôt"}


def _uuid(number: int) -> str:
    return f"0f8fad5b-d9cb-469f-a165-{number:012x}"


def _request(document: dict[str, object], size: int, number: int = 0) -> Request:
    body = json.dumps(document).encode()
    body = json.dumps(document | {"padding": "x" * max(0, size - len(body) - 15)}).encode()
    headers = (
        ("Host", "hooks.example.com"),
        ("User-Agent", "python-requests/2.32"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Connection", "keep-alive"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Authorization", "Bearer sk_live_0123456789abcdef0123456789abcdef"),
        ("Idempotency-Key", _uuid(number + 1000)),
        ("X-Request-Id", _uuid(number + 2000)),
    )
    return Request("POST", "https", "hooks.example.com", 443, "/orders/7?kind=order", headers, body)


def _spelled(requests: Sequence[Request]) -> Callable[[], object]:
    """Return what parses and sorts one of the bodies after the other, and does nothing else with it."""
    turns = cycle(requests)
    return lambda: json.dumps(json.loads(next(turns).body), sort_keys=True)


def _identified(rules: Ruleset, requests: Sequence[Request], *, new_urls: bool = False) -> Callable[[], object]:
    """Return what knows one of the requests after the other; new_urls: each under a path that was not there before."""
    turns, numbers = cycle(requests), count()

    def once() -> object:
        one = next(turns)
        target = f"/orders/{next(numbers)}?kind=order" if new_urls else one.target
        fresh = Request(one.method, one.scheme, one.host, one.port, target, one.headers, one.body)
        rule = rules.match(fresh)
        assert rule is not None
        return identify(rule, fresh, SECRET)

    return once


def _timed(once: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        once()
    return (time.perf_counter() - started) / times
