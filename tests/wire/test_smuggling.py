"""Requests that two readers could read in two ways: at the origin there is never one that was not understood here."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.wire.raw import HOST, Answer, Origin, Seen, outcome, read_answer, recorder, through
from tests.wire.sidecars import Sidecar, running_for

RULES = f"""
rules:
  - name: ruled
    match: {{method: POST, url: ["https://{HOST}/ruled/**", "http://{HOST}/ruled/**"]}}
  - name: known-by-a-field
    match: {{method: POST, url: "https://{HOST}/known/**", headers: {{X-Kind: order}}}}
"""

NUMBERS = itertools.count(1)
BODY = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 5"


def framed(*fields: bytes, body: bytes = BODY, version: bytes = b"HTTP/1.1") -> bytes:
    head = (b"POST /where/plain " + version, b"Host: api.test", *fields, b"", b"")
    return b"\r\n".join(head) + body + SMUGGLED


def line(first: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((first, *(fields or (b"Host: api.test",)), b"", b"")) + SMUGGLED


FRAMING = {
    "both": framed(LENGTH, CHUNKED),
    "both, the other way round": framed(CHUNKED, LENGTH),
    "two lengths": framed(LENGTH, b"Content-Length: 6"),
    "two equal lengths": framed(LENGTH, LENGTH, body=b"hello"),
    "a list of lengths": framed(b"Content-Length: 5, 5", body=b"hello"),
    "a signed length": framed(b"Content-Length: +5", body=b"hello"),
    "a negative length": framed(b"Content-Length: -5", body=b"hello"),
    "a hexadecimal length": framed(b"Content-Length: 0x5", body=b"hello"),
    "an underscored length": framed(b"Content-Length: 0_5", body=b"hello"),
    "a zero-padded length": framed(b"Content-Length: 05", body=b"hello"),
    "a decimal length": framed(b"Content-Length: 5.0", body=b"hello"),
    "an empty length": framed(b"Content-Length:", body=b"hello"),
    "a length in words": framed(b"Content-Length: five", body=b"hello"),
    "a length with a space in it": framed(b"Content-Length: 1 5", body=b"hello"),
    "another script's digits": framed("Content-Length: ٥".encode(), body=b"hello"),
    "a space before the colon": framed(b"Content-Length : 5", body=b"hello"),
    "a tab before the colon": framed(b"Content-Length\t: 5", body=b"hello"),
    "an underscore in the name": framed(b"Transfer_Encoding: chunked", LENGTH, b"Content-Length: 0"),
    "coding twice": framed(CHUNKED, CHUNKED),
    "coding twice, one unknown": framed(CHUNKED, b"Transfer-Encoding: x"),
    "chunked twice": framed(b"Transfer-Encoding: chunked, chunked"),
    "chunked not last": framed(b"Transfer-Encoding: chunked, identity"),
    "identity": framed(b"Transfer-Encoding: identity", LENGTH),
    "an unknown coding": framed(b"Transfer-Encoding: xchunked"),
    "a quoted coding": framed(b'Transfer-Encoding: "chunked"'),
    "an empty coding": framed(b"Transfer-Encoding:", LENGTH),
    "a coding with a parameter": framed(b"Transfer-Encoding: chunked;a=b"),
    "a coding behind a comma": framed(b"Transfer-Encoding: ,chunked"),
    "a space before the coding's colon": framed(b"Transfer-Encoding : chunked"),
    "a vertical tab before the coding": framed(b"Transfer-Encoding: \x0bchunked"),
    "a NUL before the coding": framed(b"Transfer-Encoding: \x00chunked"),
    "a bare CR in the coding": framed(b"Transfer-Encoding: chun\rked"),
    "a coding on a folded line": framed(b"Transfer-Encoding:\r\n chunked"),
    "a coding behind a bare LF": framed(b"X: y\nTransfer-Encoding: chunked", LENGTH),
    "a coding in an old version": framed(CHUNKED, version=b"HTTP/1.0"),
    "a hexadecimal chunk": framed(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a signed chunk": framed(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk": framed(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n"),
    "a chunk of no size": framed(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk of a huge size": framed(CHUNKED, body=b"ffffffffffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "a chunk that is too short": framed(CHUNKED, body=b"6\r\nhello\r\n0\r\n\r\n"),
    "a chunk that is too long": framed(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n"),
    "a chunk ended by a bare LF": framed(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"),
    "a chunk ended by a bare CR": framed(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n"),
    "no end of line behind a chunk": framed(CHUNKED, body=b"5\r\nhello0\r\n\r\n"),
    "a bare LF in an extension": framed(CHUNKED, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in a chunk's size": framed(CHUNKED, body=b"5\x00\r\nhello\r\n0\r\n\r\n"),
    "a coding behind the last chunk": framed(CHUNKED, body=b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n"),
    "a folded line behind the last chunk": framed(CHUNKED, body=b"5\r\nhello\r\n0\r\n X: y\r\n\r\n"),
    "an extension before the size": framed(CHUNKED, body=b";a=5\r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk's size": framed(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"),
    "a comma in a chunk's size": framed(CHUNKED, body=b"5,5\r\nhello\r\n0\r\n\r\n"),
    "an underscore in a chunk's size": framed(CHUNKED, body=b"0_5\r\nhello\r\n0\r\n\r\n"),
    "another script's digits in a chunk's size": framed(CHUNKED, body="٥\r\nhello\r\n0\r\n\r\n".encode()),
}
HEADS = {
    "no host": line(b"POST /where/plain HTTP/1.1", b"Content-Length: 0"),
    "two hosts": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"Host: evil.test"),
    "two equal hosts": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"Host: api.test"),
    "a bare CR in a value": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X: a\rb"),
    "a NUL in a value": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X: a\x00b"),
    "a delete in a value": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X: a\x7fb"),
    "a folded value": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X: a", b" b"),
    "a first line that is folded": line(b"POST /where/plain HTTP/1.1", b" X: a", b"Host: api.test"),
    "a name with a space": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X Y: a"),
    "a name that is empty": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b": a"),
    "a name that is no token": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X(a): b"),
    "a name of other bytes": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"X\xe9: b"),
    "a field without a colon": line(b"POST /where/plain HTTP/1.1", b"Host: api.test", b"nonsense"),
    "a version to come": line(b"POST /where/plain HTTP/1.2"),
    "another version": line(b"POST /where/plain HTTP/2.0"),
    "a version in small letters": line(b"POST /where/plain http/1.1"),
    "a version of other digits": line(b"POST /where/plain HTTP/1.01"),
    "no version": line(b"POST /where/plain"),
    "two spaces": line(b"POST  /where/plain HTTP/1.1"),
    "a tab for a space": line(b"POST\t/where/plain HTTP/1.1"),
    "a space in the target": line(b"POST /where/pl ain HTTP/1.1"),
    "a bare CR in the target": line(b"POST /where/pl\rain HTTP/1.1"),
    "a NUL in the target": line(b"POST /where/pl\x00ain HTTP/1.1"),
    "a method that is no token": line(b"PO(ST /where/plain HTTP/1.1"),
    "a target without a slash": line(b"POST where/plain HTTP/1.1"),
    "a space before the method": line(b" POST /where/plain HTTP/1.1"),
    "another HTTP": line(b"PRI * HTTP/2.0", b"", b"SM", b"Host: api.test"),
}
CASES = {**FRAMING, **HEADS}
LAST = b"0\r\n\r\n"
READ_IN_ONE_WAY = {
    "an extension": framed(CHUNKED, body=b'5;a="b;c"\r\nhello\r\n0;d\r\n\r\n'),
    "an extension with a bare CR": framed(CHUNKED, body=b"5;a\rb\r\nhello\r\n" + LAST),
    "trailers that frame": framed(CHUNKED, body=b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nHost: evil.test\r\n\r\n"),
    "trailers that name an operation": framed(
        CHUNKED, body=b"5\r\nhello\r\n0\r\nIdempotency-Key: other\r\nLedger-Operation-Id: other\r\n\r\n"
    ),
    "zeros before the sizes": framed(CHUNKED, body=b"0005\r\nhello\r\n000\r\n\r\n"),
    "chunks of one byte": framed(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % c for c in b"hello") + LAST),
    "a coding in capital letters": framed(b"TRANSFER-ENCODING: CHUNKED"),
    "white space around the coding": framed(b"Transfer-Encoding:\t chunked \t"),
    "white space around the length": framed(b"Content-Length:\t 5 \t", body=b"hello"),
    "an empty line before it": b"\r\n\r\n" + framed(LENGTH, body=b"hello"),
    "lines that end in a bare LF": framed(LENGTH, body=b"").partition(b"GET")[0].replace(b"\r\n", b"\n")
    + b"hello"
    + SMUGGLED,
}
"""What is odd and has one meaning: it arrives framed anew."""
WAYS = ("ruled", "free", "ruled in plain text")


@dataclass(frozen=True)
class World:
    """The origin behind TLS and the one in plain text, to both of which `HOST` leads."""

    tls: Origin
    plain: Origin
    sidecar: Sidecar

    def seen(self) -> list[Seen]:
        return [*self.tls.requests(), *self.plain.requests()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("smuggling")
    with (
        recorder(folder / "tls") as tls,
        recorder(folder / "plain", tls=False) as plain,
        running_for(folder / "s", tls, RULES, "--resolve", plain.resolve()) as sidecar,
    ):
        made = World(tls, plain, sidecar)
        yield made
        require_logged(made)


def require_logged(world: World) -> None:
    """Of all that was sent: what came through under a rule is what the ledger knows of, each once, and nothing else."""
    seen = [one.line.split(b" ")[1].decode() for one in world.seen() if one.line.startswith(b"POST /ruled/")]
    records = world.sidecar.records()
    assert sorted(urlsplit(record["url"]).path for record in records) == sorted(seen)
    assert {(record["status"], record["runs"]) for record in records} <= {("success", 1)}


def answers_to(world: World, data: bytes, where: str = "ruled") -> list[Answer]:
    """Every answer until the connection is closed, which the last request asks for."""
    answers: list[Answer] = []
    end = f"GET /end/plain HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    opened = to_plain if "plain" in where else through
    with opened(world.sidecar) as connection, contextlib.suppress(ConnectionError, ssl.SSLError):
        connection.sendall(data + end)
        connection.settimeout(3)
        with contextlib.suppress(TimeoutError):
            while True:
                answers.append(read_answer(connection))
    return answers


def to_plain(sidecar: Sidecar) -> socket.socket:
    """Where a request in origin form goes to the host that it names."""
    return socket.create_connection(("127.0.0.1", sidecar.port), 20)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("where", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_what_reads_in_two_ways_is_refused(world: World, name: str, where: str) -> None:
    before = len(world.seen())
    path = f"{where.partition(' ')[0]}/{next(NUMBERS)}".encode()
    answers = answers_to(world, CASES[name].replace(b"where", path), where)
    assert [answer.status for answer in answers] in ([400], [501]), answers
    assert answers[0].value(b"connection") == b"close"
    assert len(world.seen()) == before


@pytest.mark.parametrize("where", [way for way in WAYS if "ruled" in way])
@pytest.mark.parametrize("name", READ_IN_ONE_WAY)
def test_what_reads_in_one_way_only_is_one_request_framed_anew(world: World, name: str, where: str) -> None:
    path = f"ruled/{next(NUMBERS)}".encode()
    first, smuggled, end = answers_to(world, READ_IN_ONE_WAY[name].replace(b"where", path), where)
    assert (outcome(first), first.body, outcome(smuggled), end.status) == (b"executed", b"hello", b"", 200)
    plainly = framed(LENGTH, body=b"hello").removesuffix(SMUGGLED).replace(b"where", path)
    assert [outcome(one) for one in answers_to(world, plainly, where)] == [b"replayed", b""]
    (mine,) = [one for one in world.seen() if path + b"/" in one.line]
    assert (mine.body, {n.lower(): v for n, v in mine.fields}) == (
        b"hello",
        {b"host": b"api.test", b"content-length": b"5"},
    )


@pytest.mark.parametrize("where", [way for way in WAYS if "ruled" in way])
def test_an_old_clients_connection_ends_with_its_answer_whatever_it_asked_for(world: World, where: str) -> None:
    path = f"ruled/{next(NUMBERS)}".encode()
    old = framed(b"Connection: keep-alive", LENGTH, body=b"hello", version=b"HTTP/1.0").replace(b"where", path)
    assert [outcome(one) for one in answers_to(world, old, where)] == [b"executed"]
    assert [outcome(one) for one in answers_to(world, old, where)] == [b"replayed"]
    assert len([one for one in world.seen() if path in one.line]) == 1


def test_no_tunnel_begins_inside_of_one(world: World) -> None:
    before = len(world.seen())
    assert [answer.status for answer in answers_to(world, line(b"CONNECT api.test:443 HTTP/1.1"))] == [400]
    assert len(world.seen()) == before


def test_a_coding_that_is_no_framing_is_not_taken_where_the_body_is_read(world: World) -> None:
    """RFC 9112 §6.1; where no rule looks at the body it passes as it is."""
    packed = gzip.compress(b"hello")
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    coded = framed(b"Transfer-Encoding: gzip, chunked", body=body).removesuffix(SMUGGLED)
    before = len(world.tls.requests())
    refused, end = answers_to(world, coded.replace(b"where", b"ruled"))
    assert (refused.status, refused.value(b"ledger-outcome"), end.status) == (501, b"refused", 200)
    assert [seen.line for seen in world.tls.requests()[before:]] == [b"GET /end/plain HTTP/1.1"]
    passed, _ = answers_to(world, coded.replace(b"where", b"free"))
    assert passed.status == 200
    assert world.tls.requests(b"/free/")[-1].body == packed


@pytest.mark.parametrize("where", [b"ruled", b"free"])
@pytest.mark.parametrize(
    "named",
    [b"content-length", b"close, Content-Length", b"keep-alive,\tCONTENT-LENGTH", b"host", b"transfer-encoding"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_what_frames_a_request_is_of_every_hop_whatever_connection_says(
    world: World, named: bytes, where: bytes, chunked: bool
) -> None:
    """RFC 9110 §7.6.1 lets a sender name what is of one hop; without its length a body would be the next request."""
    inner = SMUGGLED.replace(b"GET /smuggled", b"POST /ruled/smuggled")
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner) if chunked else inner
    framing = CHUNKED if chunked else b"Content-Length: %d" % len(inner)
    before, path = len(world.tls.requests()), b"%b/%d" % (where, next(NUMBERS))
    data = framed(b"Connection: " + named, framing, body=body).removesuffix(SMUGGLED)
    answers = answers_to(world, data.replace(b"where", path))
    assert answers[0].status == 200
    mine, *others = [one for one in world.tls.requests()[before:] if b"/end/" not in one.line]
    assert (mine.body, others) == (inner, [])
    assert [value for name, value in mine.fields if name.lower() == b"host"] == [HOST.encode()]


@pytest.mark.parametrize("fields", [(), (b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQAAP__")])
@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("asked", [b"h2c", b"H2C", b"h2", b"websocket, h2c", b"HTTP/2.0", b"http/3, x", b"TLS/1.2"])
def test_no_connection_turns_into_one_whose_requests_no_rule_sees(
    world: World, asked: bytes, body: bytes, fields: tuple[bytes, ...]
) -> None:
    """An upgrade to another HTTP, or to HTTP inside of something else, is not passed on; it is only an offer."""
    before = len(world.tls.requests())
    data = framed(*fields, b"Upgrade: " + asked, b"Content-Length: %d" % len(body), body=body).removesuffix(SMUGGLED)
    assert [answer.status for answer in answers_to(world, data.replace(b"where", b"free"))] == [200, 200]
    (mine,) = [one for one in world.tls.requests()[before:] if b"/end/" not in one.line]
    assert mine.body == body
    assert not {b"upgrade", b"connection", b"http2-settings"} & {name.lower() for name, _ in mine.fields}


@pytest.mark.parametrize("fields", [(b"Connection: X-Kind",), (b"Connection: Upgrade, x-kind", b"Upgrade: echo")])
def test_what_connection_keeps_from_the_rules_it_keeps_from_the_origin(world: World, fields: tuple[bytes, ...]) -> None:
    """A request that offers another protocol may be taken as if it did not, and has its effect then."""
    path = b"known/%d" % next(NUMBERS)
    data = framed(*fields, b"X-Kind: order", LENGTH, body=b"hello").removesuffix(SMUGGLED).replace(b"where", path)
    assert [(answer.status, outcome(answer)) for answer in answers_to(world, data)] == [(200, b"")] * 2
    (mine,) = [one for one in world.tls.requests() if path + b"/" in one.line]
    names = {name.lower() for name, _ in mine.fields}
    offered = {b"connection", b"upgrade"} if len(fields) == 2 else set()
    assert (mine.body, names) == (b"hello", {b"host", b"content-length", *offered})
