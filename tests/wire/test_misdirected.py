"""A request to a ruled host that names another goes to neither: by whose rules it is held would be its sender's choice.

Origins that share an address tell hosts apart by what the request says, not by where its connection leads.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Answer, Origin, ask, post, recorder, through
from tests.wire.sidecars import Sidecar, running_for

OTHER, WATCHED, FREE = "other.test", "watched.test", "free.test"
RULES = f"""
rules:
  - {{name: ruled, match: {{method: POST, url: ["https://{HOST}/ruled/**", "http://{HOST}/ruled/**"]}}}}
  - {{name: pay, match: {{method: POST, url: "https://{OTHER}/pay/**"}}}}
  - {{name: watched, mode: observe, match: {{method: POST, url: "http://{WATCHED}/pay/**"}}}}
"""
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    tls: Origin
    plain: Origin
    sidecar: Sidecar

    def require_nothing_done(self, answer: Answer, path: str) -> None:
        assert (answer.status, answer.value(b"ledger-outcome")) == (400, b"refused")
        assert b"urn:ledger:problem:misdirected" in answer.body
        assert [*self.tls.requests(path.encode()), *self.plain.requests(path.encode())] == []
        assert not [record for record in self.sidecar.records() if path in record["url"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("misdirected")
    with recorder(folder / "tls") as tls, recorder(folder / "plain", tls=False) as plain:
        ways = [tls.resolve(OTHER), plain.resolve(), plain.resolve(OTHER), plain.resolve(WATCHED), plain.resolve(FREE)]
        more = [word for way in ways for word in ("--resolve", way)]
        with running_for(folder / "s", tls, RULES, *more) as sidecar:
            yield World(tls, plain, sidecar)


@pytest.fixture(params=["/free", "/ruled", "/pay"])
def path(request: pytest.FixtureRequest) -> str:
    return f"{request.param}/{next(NUMBERS)}."


@pytest.mark.parametrize("way", ["short", "long"])
def test_another_host_inside_the_tunnel(world: World, path: str, way: str) -> None:
    with through(world.sidecar) as connection:
        answer = ask(connection, post(f"{path}/plain", b"x", host=OTHER, chunked=way == "long"))
        world.require_nothing_done(answer, path)


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("scheme", ["https", "http", "HTTPS"])
def test_another_host_in_the_target(world: World, path: str, way: str, scheme: str) -> None:
    """RFC 9112 section 3.2.2: a target in absolute form is what an origin goes by, whatever Host says."""
    with through(world.sidecar) as connection:
        answer = ask(connection, post(f"{scheme}://{OTHER}{path}/plain", b"x", chunked=way == "long"))
        world.require_nothing_done(answer, path)


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("host", [HOST, OTHER])
def test_another_name_in_tls(world: World, path: str, way: str, host: str) -> None:
    with through(world.sidecar, server_name=OTHER) as connection:
        world.require_nothing_done(ask(connection, post(f"{path}/plain", b"x", host=host, chunked=way == "long")), path)


@pytest.mark.parametrize("way", ["short", "long"])
def test_another_host_in_plain_text(world: World, path: str, way: str) -> None:
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        answer = ask(raw, post(f"http://{HOST}{path}/plain", b"x", host=OTHER, chunked=way == "long"))
        world.require_nothing_done(answer, path)


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("host", [HOST, f"{HOST}.", f"{HOST}:80"])
def test_a_ruled_host_by_way_of_a_free_one(world: World, path: str, way: str, host: str) -> None:
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        answer = ask(raw, post(f"http://{FREE}{path}/plain", b"x", host=host, chunked=way == "long"))
        world.require_nothing_done(answer, path)


def test_two_free_hosts_are_nobodys_business(world: World) -> None:
    path = f"/free/{next(NUMBERS)}."
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        assert ask(raw, post(f"http://{FREE}{path}/plain", b"x", host="elsewhere.test")).status == 200
    assert len(world.plain.requests(path.encode())) == 1


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:443", f"{HOST}.", f"{HOST}.:443"])
def test_the_same_host_in_another_spelling_is_the_same(world: World, host: str) -> None:
    for path, outcome in ((f"/free/{next(NUMBERS)}.", b""), (f"/ruled/{next(NUMBERS)}.", b"executed")):
        with through(world.sidecar) as connection:
            assert ask(connection, post(f"{path}/plain", b"x", host=host)).value(b"ledger-outcome") == outcome
        assert len(world.tls.requests(path.encode())) == 1


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:443"])
def test_the_same_host_in_the_target_is_the_same(world: World, host: str) -> None:
    for path, outcome in ((f"/free/{next(NUMBERS)}.", b""), (f"/ruled/{next(NUMBERS)}.", b"executed")):
        with through(world.sidecar) as connection:
            answer = ask(connection, post(f"https://{host}{path}/plain", b"x"))
            assert (answer.status, answer.value(b"ledger-outcome")) == (200, outcome)
        assert len(world.tls.requests(path.encode())) == 1


def test_where_rules_only_watch_it_passes_as_it_is(world: World) -> None:
    path = f"/pay/{next(NUMBERS)}."
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        assert ask(raw, post(f"http://{WATCHED}{path}/plain", b"x", host="elsewhere.test")).status == 200
    assert len(world.plain.requests(path.encode())) == 1
