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

from tests.wire.raw import HOST, INTERNATIONAL, Answer, Origin, ask, outcome, post, recorder, require_recorded, through
from tests.wire.sidecars import Sidecar, running_for

OTHER, WATCHED, FREE = "other.test", "watched.test", "free.test"
SIX = "[2001:db8::7]"
RULES = f"""
rules:
  - {{name: ruled, match: {{method: POST, url: ["https://{HOST}/ruled/**", "http://{HOST}/ruled/**"]}}}}
  - {{name: pay, match: {{method: POST, url: "https://{OTHER}/pay/**"}}}}
  - {{name: books, match: {{method: POST, url: ["https://bücher.test/ruled/**", "http://bücher.test/ruled/**"]}}}}
  - {{name: six, match: {{method: POST, url: "http://{SIX}/ruled/**"}}}}
  - {{name: watched, mode: observe, match: {{method: POST, url: "http://{WATCHED}/pay/**"}}}}
"""
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    tls: Origin
    plain: Origin
    sidecar: Sidecar

    def require_nothing_done(self, answer: Answer, path: str, why: str = "misdirected") -> None:
        assert (answer.status, f"urn:ledger:problem:{why}".encode() in answer.body) == (400, True)
        assert outcome(answer) == (b"refused" if why == "misdirected" else b"")
        assert self.effects(path) == 0
        require_recorded(self.sidecar, path)

    def require_done_once(self, answers: list[Answer], path: str) -> None:
        assert [outcome(answer) for answer in answers] == [b"executed", *[b"replayed"] * (len(answers) - 1)]
        assert self.effects(path) == 1
        require_recorded(self.sidecar, path, ("success", len(answers), 1))

    def effects(self, path: str) -> int:
        return len([*self.tls.requests(path.encode()), *self.plain.requests(path.encode())])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("misdirected")
    with recorder(folder / "tls") as tls, recorder(folder / "plain", tls=False) as plain:
        ways = [tls.resolve(OTHER), plain.resolve(), plain.resolve(OTHER), plain.resolve(WATCHED), plain.resolve(FREE)]
        ways += [tls.resolve(INTERNATIONAL), plain.resolve("bücher.test"), plain.resolve(SIX)]
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


@pytest.mark.parametrize(
    "host",
    ["api.test:80:80", "api.test:80x", "x@api.test", "api.test/", "api.test#", "api.test\\", "api.test,free.test",
     "api.test free.test", "api.test..", ".api.test", "api%2etest", "[api.test]", "[::1", "b\xfccher.test"],
)  # fmt: skip
def test_a_host_field_that_names_no_host_is_refused(world: World, host: str) -> None:
    """RFC 9112 section 3.2: who reads it makes of it what he likes, perhaps a host whose rules mean the request."""
    path = f"/ruled/{next(NUMBERS)}."
    data = post(f"{path}/plain", b"x", host=host)
    with through(world.sidecar) as connection:
        world.require_nothing_done(ask(connection, data), path, "malformed")
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        answer = ask(raw, data.replace(b"POST ", f"POST http://{FREE}".encode()))
        world.require_nothing_done(answer, path, "malformed")


def test_two_free_hosts_are_nobodys_business(world: World) -> None:
    path = f"/free/{next(NUMBERS)}."
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        assert ask(raw, post(f"http://{FREE}{path}/plain", b"x", host="elsewhere.test")).status == 200
    assert len(world.plain.requests(path.encode())) == 1


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:443", f"{HOST}.", f"{HOST}.:443"])
def test_the_same_host_in_another_spelling_is_the_same(world: World, host: str) -> None:
    for path, told in ((f"/free/{next(NUMBERS)}.", b""), (f"/ruled/{next(NUMBERS)}.", b"executed")):
        with through(world.sidecar) as connection:
            assert outcome(ask(connection, post(f"{path}/plain", b"x", host=host))) == told
        assert world.effects(path) == 1
        require_recorded(world.sidecar, path, *([("success", 1, 1)] if told else []))


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:443"])
def test_the_same_host_in_the_target_is_the_same(world: World, host: str) -> None:
    for path, told in ((f"/free/{next(NUMBERS)}.", b""), (f"/ruled/{next(NUMBERS)}.", b"executed")):
        with through(world.sidecar) as connection:
            answer = ask(connection, post(f"https://{host}{path}/plain", b"x"))
            assert (answer.status, outcome(answer)) == (200, told)
        assert world.effects(path) == 1
        require_recorded(world.sidecar, path, *([("success", 1, 1)] if told else []))


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("asked", [HOST.upper(), f"{HOST}.", f"{HOST.title()}."])
def test_a_tunnel_to_the_same_host_in_another_spelling_leads_there(world: World, asked: str, way: str) -> None:
    ruled, free = (f"/{word}/{next(NUMBERS)}." for word in ("ruled", "free"))
    told = []
    for tunnel, host in ((asked, asked), (asked, HOST), (HOST, asked), (HOST, HOST)):
        with through(world.sidecar, tunnel, server_name=HOST) as connection:
            told.append(ask(connection, post(f"{ruled}/plain", b"x", host=host, chunked=way == "long")))
            assert ask(connection, post(f"{free}/plain", b"x", host=host, chunked=way == "long")).status == 200
    world.require_done_once(told, ruled)
    assert world.effects(free) == len(told)
    require_recorded(world.sidecar, free)


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("asked", [INTERNATIONAL, INTERNATIONAL.upper(), f"{INTERNATIONAL}."])
def test_an_international_name_is_one_host(world: World, asked: str, way: str) -> None:
    ruled, free = (f"/{word}/{next(NUMBERS)}." for word in ("ruled", "free"))
    told = []
    for host in (asked, INTERNATIONAL):
        with through(world.sidecar, asked, server_name=INTERNATIONAL) as connection:
            told.append(ask(connection, post(f"{ruled}/plain", b"x", host=host, chunked=way == "long")))
            assert ask(connection, post(f"{free}/plain", b"x", host=host, chunked=way == "long")).status == 200
    world.require_done_once(told, ruled)
    assert world.tls.requests(ruled.encode())[0].head.count(f"\r\nHost: {asked}\r\n".encode()) == 1
    assert world.effects(free) == len(told)
    require_recorded(world.sidecar, free)
    plain = f"/ruled/{next(NUMBERS)}."
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        said = [ask(raw, post(f"http://{asked}{plain}/plain", b"x", host=host)) for host in (asked, INTERNATIONAL)]
    world.require_done_once(said, plain)


def test_an_address_in_another_spelling_is_the_same(world: World) -> None:
    """RFC 5952."""
    path = f"/ruled/{next(NUMBERS)}."
    spellings = (SIX, "[2001:DB8:0::7]", "[2001:db8:0:0:0:0:0:7]:80")
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        told = [ask(raw, post(f"http://{to}{path}/plain", b"x", host=host)) for to in spellings for host in spellings]
    world.require_done_once(told, path)


def test_where_rules_only_watch_it_passes_as_it_is(world: World) -> None:
    path = f"/pay/{next(NUMBERS)}."
    with socket.create_connection(("127.0.0.1", world.sidecar.port), 20) as raw:
        assert ask(raw, post(f"http://{WATCHED}{path}/plain", b"x", host="elsewhere.test")).status == 200
    assert len(world.plain.requests(path.encode())) == 1
