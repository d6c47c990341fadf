"""A URL has one meaning: what the rules see is what the origin gets, and no spelling of a ruled endpoint slips past."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger_rules import Request, loads
from tests.wire import urls
from tests.wire.raw import HOST, Answer, Origin, ask, outcome, post, recorder, through
from tests.wire.sidecars import Sidecar, running_for

ENDPOINT = "/".join(urls.RULED)
RULES = f"""
rules:
  - name: charges
    match: {{method: POST, url: ["https://{HOST}/{ENDPOINT}/*", "http://{HOST}/{ENDPOINT}/*"]}}
"""
SEEDS = 10_000
ON_THE_WIRE = 300
WAYS = ("short", "long", "absolute")


@dataclass(frozen=True)
class World:
    tls: Origin
    plain: Origin
    sidecar: Sidecar


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("urls")
    with recorder(folder / "tls") as tls, recorder(folder / "plain", tls=False) as plain:
        more = ("--resolve", plain.resolve())
        with running_for(folder / "s", tls, RULES, *more) as sidecar:
            yield World(tls, plain, sidecar)


def test_no_spelling_slips_past_a_rule_and_no_rule_means_more_than_it_says() -> None:
    rules, seen = loads(RULES), {True: 0, False: 0}
    for number in range(SEEDS):
        chance = random.Random(number)
        host, target = urls.host(chance), urls.target(chance, number)
        wanted = urls.ruled(target)
        request = Request("POST", "https", host.lower(), 443, target, (("Host", host),), b"")
        assert (rules.match(request) is not None) is wanted, (number, host, target, urls.readings(target))
        seen[wanted] += 1
    assert min(seen.values()) > SEEDS // 10


def test_what_the_rules_see_is_what_the_origin_gets(world: World) -> None:
    told: dict[int, tuple[str, str, bytes]] = {}
    for number, way in zip(range(ON_THE_WIRE), itertools.cycle(WAYS), strict=False):
        chance = random.Random(number)
        host, target = urls.host(chance), urls.target(chance, number)
        target = f"{target.replace('ü', '%c3%bc')}{'&' if '?' in target else '?'}n={number}."
        told[number] = (way, target, sent(world, way, host, target))
    got = [seen for origin in (world.tls, world.plain) for seen in origin.requests()]
    done = [record["url"] for record in world.sidecar.records() if record["status"] == "success"]
    records = {url.partition("//")[2].partition("/")[2] for url in done}
    for number, (way, target, said) in told.items():
        arrived = [one for one in got if f"n={number}.".encode() in one.line]
        assert len(arrived) == (said in (b"", b"executed")), (way, target, said)
        for one in arrived:
            assert one.line.split(b" ")[1].decode() == target
            assert (said == b"executed") is urls.ruled(target), (way, target, said)
        assert (target.removeprefix("/") in records) is (said == b"executed"), (way, target)
    outcomes = [outcome for _, _, outcome in told.values()]
    assert min(outcomes.count(b"executed"), outcomes.count(b"")) > ON_THE_WIRE // 10


def sent(world: World, way: str, host: str, target: str) -> bytes:
    """What Ledger said of it; "refused" of what the front did not take."""
    target = f"http://{host}{target}" if way == "absolute" else target
    data = post(target, b"x", host=host, chunked=way == "long")
    if way == "absolute":
        with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
            return said_of(ask(raw, data))
    with closing(through(world.sidecar, host, server_name=host.rstrip("."))) as connection:
        return said_of(ask(connection, data))


def said_of(answer: Answer) -> bytes:
    if answer.status == 400:
        return b"refused"
    assert answer.status == 200, answer
    return outcome(answer)
