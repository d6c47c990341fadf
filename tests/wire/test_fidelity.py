"""The same bytes direct and through the sidecar: what the origin sees and what the client gets are the same.

Ruled and unruled requests alike. What may differ: fields of one hop (RFC 9110 §7.6.1), 1xx, chunking, Ledger's marks.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from tests.wire.raw import HOST, Answer, Fields, Origin, ask, direct, recorder, through
from tests.wire.recorder import ANSWERS, CLOSING
from tests.wire.sidecars import Sidecar, running_for

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ODD_METHODS = ("TRACE", "PROPFIND", "PURGE", "get", "X-!#$%&'*+-.^_`|~1")
RULES = f"""
rules:
  - name: everything
    match: {{method: [{", ".join(METHODS)}], url: "https://{HOST}/ruled/**"}}
    fingerprint: {{headers: [X-Case]}}
"""
ONE_HOP = frozenset(b"connection keep-alive te trailer transfer-encoding upgrade expect".split())
MARKS = frozenset(b"ledger-outcome ledger-record".split())


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("fidelity")
    with recorder(folder / "origin") as origin, running_for(folder / "s", origin, RULES) as sidecar:
        yield World(origin, sidecar)


def request(method: str, target: str, *fields: bytes, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: " + HOST.encode(), *fields]
    return b"\r\n".join((*lines, b"", body))


def sized(body: bytes) -> tuple[bytes, ...]:
    return (b"Content-Length: %d" % len(body),)


def end_to_end(fields: Fields, *also: bytes) -> Fields:
    listed = {w.strip().lower() for n, v in fields if n.lower() == b"connection" for w in v.split(b",")}
    dropped = ONE_HOP | MARKS | (listed - {b"content-length"}) | set(also)
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def told(answer: Answer, reference: Answer) -> tuple[int, bytes, Fields, bytes, bool]:
    """What of an answer must be the same. A length may be added where the origin's framing said it another way."""
    unsized = (b"content-length",) if not reference.values(b"content-length") else ()
    return answer.status, answer.reason, end_to_end(answer.fields, *unsized), answer.body, answer.whole


def both(world: World, data: bytes, word: str) -> None:
    """Send it both ways, each on a connection of its own, and compare both ends."""
    with direct(world.origin) as connection:
        wanted = ask(connection, data)
    with through(world.sidecar) as connection:
        got = ask(connection, data)
    assert told(got, wanted) == told(wanted, wanted)
    sent, forwarded = world.origin.requests(word.encode("latin-1"))
    assert forwarded.line == sent.line
    unsized = () if b"content-length" in {n.lower() for n, _ in sent.fields} else (b"content-length",)
    assert end_to_end(forwarded.fields, *unsized) == end_to_end(sent.fields, *unsized)
    assert forwarded.body == sent.body


PATHS = ("ruled", "free")


@pytest.mark.parametrize("where", PATHS)
def test_every_method_arrives_as_it_was_sent(world: World, where: str) -> None:
    for number, method in enumerate(METHODS if where == "ruled" else METHODS + ODD_METHODS):
        both(world, request(method, f"/{where}/method/{number}/plain"), f"/{where}/method/{number}/plain")


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize("name", [*ANSWERS, *CLOSING])
def test_every_answer_comes_back_as_it_was_given(world: World, where: str, name: str) -> None:
    body = b'{"n": 1}'
    both(world, request("POST", f"/{where}/answer/{name}", *sized(body), body=body), f"/{where}/answer/{name} ")


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize("name", ["plain", "chunked", "gzip", "no-content", "not-modified-sized", "early-hints"])
def test_a_head_has_fields_and_no_body(world: World, where: str, name: str) -> None:
    both(world, request("HEAD", f"/{where}/head/{name}"), f"/{where}/head/{name} ")


FIELDS = {
    "lists": (b"X-List: 1", b"Accept: a", b"X-List: 2", b"Accept: b, c"),
    "cookies": (b"Cookie: a=1; b=2", b"Cookie: c=3"),
    "latin": (b"X-Name: caf\xe9", b"X-Utf: caf\xc3\xa9"),
    "case": (b"x-lower-UPPER: v", b"ACCEPT-ENCODING: gzip"),
    "empty": (b"X-Empty:", b"X-Spaces:  a  b  "),
    "long": (b"X-Long: " + b"v" * 16_000,),
    "many": tuple(b"X-%d: %d" % (n, n) for n in range(90)),
    "conditional": (b'If-None-Match: "1"', b"If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT", b"Range: bytes=1-3"),
    "odd-token": (b"X!#$%&'*+-.^_`|~1: odd",),
    "of-one-hop": (b"Connection: X-Private, keep-alive", b"X-Private: 1", b"Keep-Alive: timeout=5", b"X-Kept: 1"),
    "encodings": (b"Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0.1", b"TE: trailers"),
}


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize("name", FIELDS)
def test_fields_arrive_in_their_order_and_spelling(world: World, where: str, name: str) -> None:
    target = f"/{where}/fields/{name}/plain"
    both(world, request("POST", target, *FIELDS[name], *sized(b"x"), body=b"x"), f"{target} ")


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize(
    "framed", [b"Content-Length: 1\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"]
)
def test_nothing_of_one_hop_is_passed_on(world: World, where: str, framed: bytes) -> None:
    """RFC 9110 §7.6.1; what is said to a proxy is not said to an origin."""
    word = f"/{where}/hop/{'sized' if framed.startswith(b'Content') else 'chunked'}/plain"
    of_one_hop = (
        b"Connection: X-Private, keep-alive",
        b"X-Private: 1",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Proxy-Authorization: Basic b3JkZXI6YWdlbnQ=",
        b"Proxy-Connection: keep-alive",
        b"Ledger-Workflow: w",
    )
    with through(world.sidecar) as connection:
        assert ask(connection, request("POST", word, *of_one_hop).removesuffix(b"\r\n") + framed).status == 200
    (seen,) = world.origin.requests(word.encode())
    names = {name.lower() for name, _ in seen.fields}
    assert names & {line.partition(b":")[0].lower() for line in of_one_hop} <= {b"connection"}
    assert not any(b"x-private" in value.lower() for name, value in seen.fields if name.lower() == b"connection")


@pytest.mark.parametrize("where", PATHS)
def test_a_path_that_the_engine_has_an_answer_for_is_the_origins(world: World, where: str) -> None:
    """mitmproxy serves a revocation list of its CA at such a path, of whatever host."""
    ca = x509.load_pem_x509_certificate((world.sidecar.ca / "ca-cert.pem").read_bytes())
    target = f"/{where}/own/plain/mitmproxy-{ca.serial_number}.crl"
    both(world, request("POST", target, *sized(b"x"), body=b"x"), target)


TARGETS = {
    "query": "?a=1&b=2&a=3&empty&x=",
    "escapes": "?q=%2F%2f%20+%zz&u=%C3%A9",
    "second-mark": "?a=b?c=d",
    "specials": "?a=[1]{2}|^`'\"<>\\",
    "fragmentish": "?a=b;c,d:e@f!$'()*",
    "latin": "?n=caf\xe9",
}


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_arrives_byte_for_byte(world: World, where: str, name: str) -> None:
    target = f"/{where}/target/{name}/plain{TARGETS[name]}"
    both(world, request("GET", target), f"/{where}/target/{name}/plain?")


BODIES = {
    "none": ((), b""),
    "zero": ((b"Content-Length: 0",), b""),
    "binary": (sized(bytes(range(256))), bytes(range(256))),
    "gzip": ((b"Content-Encoding: gzip", *sized(b"\x1f\x8bnot really")), b"\x1f\x8bnot really"),
    "large": (sized(b"y" * 3_000_000), b"y" * 3_000_000),
    "chunked": ((b"Transfer-Encoding: chunked",), b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    "chunked-empty": ((b"Transfer-Encoding: chunked",), b"0\r\n\r\n"),
    "chunked-large": ((b"Transfer-Encoding: chunked",), b"100000\r\n" + b"z" * 0x100000 + b"\r\n0\r\n\r\n"),
    "extensions": ((b"Transfer-Encoding: chunked",), b'5;a="b"\r\nhello\r\n0\r\n\r\n'),
    "trailers": ((b"Transfer-Encoding: chunked", b"Trailer: X-Sum"), b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"),
}


@pytest.mark.parametrize("where", PATHS)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_arrives_byte_for_byte(world: World, where: str, name: str) -> None:
    fields, body = BODIES[name]
    target = f"/{where}/body/{name}/plain"
    both(world, request("POST", target, *fields, body=body), f"{target} ")


@pytest.mark.parametrize("where", PATHS)
def test_a_client_that_expects_a_go_ahead_gets_one(world: World, where: str) -> None:
    head = request("PUT", f"/{where}/expect/plain", b"Expect: 100-continue", b"Content-Length: 5")
    with through(world.sidecar) as connection:
        connection.sendall(head)
        assert b" 100 " in connection.recv(4096)
        answer = ask(connection, b"hello")
    assert (answer.status, answer.body) == (200, b"hello")
    (seen,) = world.origin.requests(f"/{where}/expect/plain".encode())
    assert seen.body == b"hello"


@pytest.mark.parametrize("where", PATHS)
def test_one_connection_serves_many_requests_until_it_is_closed(world: World, where: str) -> None:
    with through(world.sidecar) as connection:
        for number in range(3):
            for name in ("plain", "chunked", "no-content", "trailers", "early-hints"):
                answer = ask(connection, request("GET", f"/{where}/many/{number}/{name}"))
                assert answer.whole
                assert answer.status in (200, 204)
        last = ask(connection, request("GET", f"/{where}/last/plain", b"Connection: close"))
        assert last.body == b"hello"
        assert connection.recv(1) == b""


def test_a_connection_that_an_origin_may_be_closing_is_not_used_again(world: World) -> None:
    """Many close what was idle for five seconds, and a request that crosses that would be hung up on for nothing."""
    with through(world.sidecar) as connection:
        for idle in (0, 0, 2.5):
            time.sleep(idle)
            answer = ask(connection, request("POST", "/free/idle/plain", *sized(b"x"), body=b"x"))
            assert (answer.body, answer.whole) == (b"hello", True)
    seen = [one.connection for one in world.origin.requests(b"/idle/")]
    assert len(seen) == 3
    assert seen[2] not in seen[:2], "after two seconds another one is opened"


@pytest.mark.parametrize("where", PATHS)
def test_requests_sent_ahead_are_answered_in_their_order(world: World, where: str) -> None:
    data = b"".join(request("GET", f"/{where}/ahead/{n}/{n}") for n in ("plain", "json", "chunked"))
    with through(world.sidecar) as connection:
        answers = [ask(connection, data), ask(connection, b""), ask(connection, b"")]
    assert [answer.body for answer in answers] == [b"hello", b'{"id": 1}', b"hello world"]


def test_an_old_client_is_answered_and_its_connection_closed(world: World) -> None:
    for where in PATHS:
        for name in ("plain", "chunked", "until-close"):
            data = f"GET /{where}/old/{name} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode()
            with through(world.sidecar) as connection:
                answer = ask(connection, data)
                assert (answer.status, answer.values(b"transfer-encoding")) == (200, [])
                assert answer.body in (b"hello", b"hello world", b"until the end")
                assert connection.recv(1) == b""


@pytest.mark.parametrize("protocol", ["echo", "websocket"])
def test_an_upgraded_connection_says_bytes_both_ways(world: World, protocol: str) -> None:
    """The bytes of a WebSocket pass as they are, frame by frame, even where they are no frames."""
    fields = (b"Connection: Upgrade", f"Upgrade: {protocol}".encode(), b"Sec-WebSocket-Version: 13")
    with through(world.sidecar) as connection:
        answer = ask(connection, request("GET", f"/free/{protocol}/upgrade", *fields))
        assert (answer.status, answer.value(b"upgrade")) == (101, protocol.encode())
        for word in (b"one\n", b"\x81\x03\x00two\n"):
            connection.sendall(word)
            assert connection.recv(100) == b"echo " + word


@pytest.mark.parametrize(
    ("way", "fields"),
    [
        ("nothing", ()),
        ("more-http", (b"Connection: Upgrade", b"Upgrade: h2c")),
        ("another-option", (b"Connection: X-Upgrade", b"Upgrade: echo")),
    ],
)
def test_an_origin_that_switches_unasked_hears_nothing_more(world: World, way: str, fields: tuple[bytes, ...]) -> None:
    """What came next would have been read by nobody; an offer of more HTTP is none that an origin sees."""
    with through(world.sidecar) as connection:
        answer = ask(connection, request("GET", f"/free/unasked-{way}/upgrade", *fields))
        assert answer.status == 502
        with contextlib.suppress(ConnectionError):
            connection.sendall(request("GET", f"/free/next-{way}/plain"))
            assert b"echo" not in connection.recv(1000)
    assert len(world.origin.requests(f"/unasked-{way}/".encode())) == 1


PLAIN_RULES = f"""
rules:
  - name: plain
    match: {{method: [GET, POST], url: "http://{HOST}/ruled/**"}}
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_plain_request_to_the_proxy_arrives_in_origin_form(tmp_path: Path, address: str) -> None:
    origins = recorder(tmp_path / "o", tls=False, address=address)
    with origins as origin, running_for(tmp_path / "s", origin, PLAIN_RULES) as sidecar:
        for where in PATHS:
            with socket.create_connection(("127.0.0.1", sidecar.port), 20) as connection:
                for target in (f"http://{HOST}/{where}/1/plain?x=%20y", f"http://{HOST}:80/{where}/2/chunked"):
                    answer = ask(connection, request("GET", target, b"Proxy-Connection: keep-alive"))
                    assert answer.status == 200
                    assert (answer.values(b"ledger-outcome") != []) == (where == "ruled")
            first, second = origin.requests(f"/{where}/".encode())
            assert first.line == f"GET /{where}/1/plain?x=%20y HTTP/1.1".encode()
            assert second.line == f"GET /{where}/2/chunked HTTP/1.1".encode()
            assert [n for n, _ in first.fields if n.lower().startswith(b"proxy-")] == []


def test_a_host_reached_over_ipv6_is_tunnelled_and_intercepted_alike(tmp_path: Path) -> None:
    origins = recorder(tmp_path / "o", address="::1")
    with origins as origin, running_for(tmp_path / "s", origin, RULES) as sidecar:
        for where in PATHS:
            with through(sidecar) as connection:
                assert ask(connection, request("GET", f"/{where}/plain")).body == b"hello"
        with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
            raw.sendall(f"CONNECT [::1]:{origin.port} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
            assert b" 200 " in raw.recv(4096)
    assert len(origin.requests()) == 2


def test_a_ruled_request_opens_no_way_past_its_rule_when_it_is_answered_with_another_protocol(world: World) -> None:
    """Nobody asked for one. Whatever the client says next must not reach the origin unread."""
    with through(world.sidecar) as connection:
        ask(connection, request("POST", "/ruled/switch/upgrade", *sized(b"x"), body=b"x"))
        with contextlib.suppress(OSError):
            connection.sendall(request("POST", "/ruled/switch/next", *sized(b"y"), body=b"y"))
            connection.recv(1000)
    seen = [one.line for one in world.origin.requests(b"/ruled/switch/")]
    claimed = [r["url"].rpartition("/")[2] for r in world.sidecar.records() if "/ruled/switch/" in r["url"]]
    assert len(seen) == len(claimed), (seen, claimed)
