"""What the origin said is what comes back, byte for byte."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from ledger_proxy.upstream import AiohttpUpstream, MaybeSent

from .conftest import request, send
from .origin import Origin, Peer, ok, replies


async def test_status_reason_fields_and_body_come_back_as_they_were(upstream):
    fields = (b"Set-Cookie: a=1; Path=/", b"x-Odd: caf\xe9", b"Set-Cookie: b=2", b"Connection: keep-alive")
    async with Origin(ok(b'{"id": 1}', *fields, status=b"201 Made It")) as origin:
        answer = await send(upstream, request(origin.port))
    assert (answer.status, answer.reason, answer.body) == (201, "Made It", b'{"id": 1}')
    assert answer.headers == (
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"x-Odd", b"caf\xe9"),
        (b"Set-Cookie", b"b=2"),
        (b"Connection", b"keep-alive"),
        (b"Content-Length", b"9"),
    )


async def test_cookies_are_not_kept_for_the_next_request(upstream):
    async with Origin(ok(b"", b"Set-Cookie: a=1; Path=/")) as origin:
        for _ in range(2):
            await send(upstream, request(origin.port))
    assert b"cookie" not in origin.requests[1].lower()


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temp", b"308 Perm"])
async def test_a_redirect_is_an_answer_like_any_other(upstream, status):
    async with Origin(ok(b"", b"Location: /elsewhere", status=status)) as origin:
        answer = await send(upstream, request(origin.port, "GET"))
    assert answer.status == int(status[:3])
    assert origin.request.startswith(b"GET /v1/charges ")


async def test_an_encoded_body_stays_encoded(upstream):
    packed = gzip.compress(b"x" * 10_000)
    async with Origin(ok(packed, b"Content-Encoding: gzip")) as origin:
        answer = await send(upstream, request(origin.port))
    assert answer.body == packed


async def test_a_chunked_body_is_joined(upstream):
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with Origin(replies(raw)) as origin:
        first = await send(upstream, request(origin.port))
        second = await send(upstream, request(origin.port))
    assert first.body == second.body == b"abcde"
    assert origin.connections == 1


@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_interim_answers_are_not_the_answer(upstream, method):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    final = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    async with Origin(replies(interim + final)) as origin:
        answer = await send(upstream, request(origin.port, method))
    assert answer.status == 202


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_is_whole_and_its_connection_is_kept(upstream, method, head):
    async with Origin(replies(head)) as origin:
        answers = [await send(upstream, request(origin.port, method)) for _ in range(2)]
    assert [a.body for a in answers] == [b"", b""]
    assert origin.connections == 1


async def test_a_body_that_ends_with_the_connection_is_whole(upstream):
    async def script(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.02)
        await peer.write(b" and half")
        peer.writer.close()

    async with Origin(script) as origin:
        assert (await send(upstream, request(origin.port))).body == b"half and half"


async def test_long_and_many_headers_do_not_turn_an_answer_into_an_unknown(upstream):
    fields = (b"X-Long: " + b"x" * 30_000, *(b"Set-Cookie: c%d=1" % n for n in range(500)))
    async with Origin(ok(b"done", *fields)) as origin:
        answer = await send(upstream, request(origin.port))
    assert len(answer.headers) == 502
    assert answer.body == b"done"


async def test_parallel_requests_get_their_own_answers(upstream: AiohttpUpstream):
    async def echo(peer: Peer) -> None:
        await asyncio.sleep(0.01)
        path = peer.request.split(b" ")[1]
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    async with Origin(echo) as origin:
        targets = [f"/{n}" for n in range(150)]
        answers = await asyncio.gather(*(send(upstream, request(origin.port, "GET", t)) for t in targets))
    assert [a.body.decode() for a in answers] == targets


async def test_an_answer_before_the_whole_body_was_read_is_taken_but_its_connection_is_not_used_again(upstream):
    async def refuse_the_first_by_its_head(peer: Peer) -> None:
        if origin.connections == 1:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            await origin.hung_up.wait()

    async with Origin(ok(b"second"), greeting=refuse_the_first_by_its_head) as origin:
        assert (await send(upstream, request(origin.port, body=b"x" * 20_000_000))).status == 413
        assert (await send(upstream, request(origin.port))).body == b"second"
        assert origin.connections == 2


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"x-unknown, chunked"])
async def test_a_body_in_a_coding_of_the_hop_is_no_answer_that_can_be_kept(upstream, coding):
    """It would have to be undone before it is passed on, and nobody asked for it (RFC 9110 §10.1.4: no TE was sent)."""
    packed = gzip.compress(b"charged")
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (coding, len(packed), packed)
    async with Origin(replies(said)) as origin:
        with pytest.raises(MaybeSent) as broken:
            await send(upstream, request(origin.port))
    assert broken.value.head is not None
    assert len(origin.requests) == 1
