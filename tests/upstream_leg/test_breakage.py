"""However an exchange breaks: nothing is sent twice, and it is said whether anything was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

import pytest

from ledger_proxy.upstream import MaybeSent, NotSent, Streamed

from .conftest import request, send
from .origin import Origin, closes, ok, replies, resets, stalls, stays_mute, then

HALF = b"HTTP/1.1 200 OK\r\nX-Id: 7\r\nContent-Length: 100\r\n\r\nonly this"
HALF_CHUNKED = b"HTTP/1.1 200 OK\r\nX-Id: 7\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\nX-Id: 7\r\n\r\nuntil the end"

NO_ANSWER = {
    "closed": closes(),
    "reset": resets(),
    "half a head": closes(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a head, reset": resets(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "only an interim answer": closes(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "not HTTP": replies(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "switched protocols": replies(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "two lengths": replies(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "endless header": replies(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"),
}
BROKEN_BODY = {
    "closed": closes(HALF),
    "reset": resets(HALF),
    "chunked, closed": closes(HALF_CHUNKED),
    "chunked, reset": resets(HALF_CHUNKED),
    "no length, reset": resets(UNFRAMED),
}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("script", NO_ANSWER.values(), ids=NO_ANSWER.keys())
async def test_no_answer_means_maybe_sent_and_exactly_one_request(upstream, script, method):
    async with Origin(script) as origin:
        with pytest.raises(MaybeSent, match=rf"^127\.0\.0\.1:{origin.port}: [^\n]+$") as broken:
            await send(upstream, request(origin.port, method, body=b"{}"))
        await asyncio.sleep(0.02)
    assert len(origin.requests) == 1
    assert broken.value.head is None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("script", BROKEN_BODY.values(), ids=BROKEN_BODY.keys())
async def test_a_broken_body_means_maybe_sent_and_tells_the_head(upstream, script, method):
    async with Origin(script) as origin:
        with pytest.raises(MaybeSent) as broken:
            await send(upstream, request(origin.port, method))
        await asyncio.sleep(0.02)
    assert len(origin.requests) == 1
    assert broken.value.head is not None
    status, headers = broken.value.head
    assert (status, headers[0]) == (200, (b"X-Id", b"7"))


async def test_a_body_that_turns_to_garbage_is_noticed_at_once(upstream):
    async with Origin(then(HALF_CHUNKED, b"zz\r\n")) as origin:
        started = time.monotonic()
        with pytest.raises(MaybeSent, match="broke off in its body") as broken:
            await send(upstream, request(origin.port))
        assert time.monotonic() - started < 5
    assert broken.value.head is not None


@pytest.mark.parametrize(("after", "head_known"), [(b"", False), (HALF, True)])
async def test_a_stall_ends_at_the_timeout_as_maybe_sent(build, after, head_known):
    upstream = build(timeout=0.2)
    async with Origin(stalls(after)) as origin:
        started = time.monotonic()
        with pytest.raises(MaybeSent, match="no whole answer in time") as broken:
            await send(upstream, request(origin.port))
        assert 0.15 < time.monotonic() - started < 2
        await asyncio.wait_for(origin.hung_up.wait(), 2)
    assert len(origin.requests) == 1
    assert (broken.value.head is not None) is head_known


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_stale_pooled_connection_is_not_tried_again_on_another(upstream, method):
    async with Origin(ok(), closes(), ok()) as origin:
        await send(upstream, request(origin.port, method))
        with pytest.raises(MaybeSent):
            await send(upstream, request(origin.port, method))
        await asyncio.sleep(0.05)
        assert len(origin.requests) == 2
        assert origin.connections == 1


async def test_a_connection_that_the_origin_closed_while_idle_is_simply_replaced(upstream):
    async def answer_then_close(peer):
        await ok()(peer)
        peer.writer.close()

    async with Origin(answer_then_close, ok(b"second")) as origin:
        await send(upstream, request(origin.port))
        await asyncio.sleep(0.05)
        assert (await send(upstream, request(origin.port))).body == b"second"
        assert (len(origin.requests), origin.connections) == (2, 2)


async def test_an_answer_nobody_asked_for_never_passes_for_ours(upstream):
    stray = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"

    async def answer_then_stray(peer):
        await ok(b"first")(peer)
        await asyncio.sleep(0.02)
        await peer.write(stray)

    async with Origin(answer_then_stray, ok(b"second")) as origin:
        assert (await send(upstream, request(origin.port))).body == b"first"
        await asyncio.sleep(0.06)
        assert (await send(upstream, request(origin.port))).body == b"second"
        assert origin.connections == 2


async def test_a_connection_idle_for_more_than_two_seconds_is_used_again_only_when_resending_is_safe(build):
    async def connections(resendable: bool) -> list[int]:
        counts, upstream = [], build()
        async with Origin(ok()) as origin:
            for pause in (0, 1.2, 2.3):
                await asyncio.sleep(pause)
                await send(upstream, request(origin.port), resendable=resendable)
                counts.append(origin.connections)
        return counts

    fresh, resendable = await asyncio.gather(connections(False), connections(True))
    assert fresh == [1, 1, 2]
    assert resendable == [1, 1, 1]


async def test_nobody_listening_means_not_sent(upstream):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(NotSent, match=rf"^127\.0\.0\.1:{port}: cannot connect: .*refused"):
            await send(upstream, request(port))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.1", "a" * 70 + ".invalid", "bad host"])
async def test_a_host_that_cannot_be_resolved_means_not_sent(upstream, host):
    with pytest.raises(NotSent) as refused:
        await send(upstream, request(443, host=host))
    assert str(refused.value).startswith(f"{host}:443: ")
    assert "\n" not in str(refused.value)


async def test_a_connection_that_never_comes_up_means_not_sent(build):
    for limits in ({"connect_timeout": 0.2}, {"timeout": 0.2}):
        async with Origin(ok(), greeting=stays_mute) as origin:
            with pytest.raises(NotSent, match="cannot connect: no answer in time"):
                await send(build(**limits), request(origin.port, scheme="https"))


async def test_cancelling_is_passed_on_and_hangs_up(upstream):
    async with Origin(stalls()) as origin:
        sending = asyncio.create_task(send(upstream, request(origin.port)))
        while not origin.requests:
            await asyncio.sleep(0.005)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(origin.hung_up.wait(), 2)


async def test_closing_breaks_off_what_is_in_flight_and_refuses_what_comes_after(upstream):
    async with Origin(stalls()) as origin:
        sending = asyncio.create_task(send(upstream, request(origin.port)))
        while not origin.requests:
            await asyncio.sleep(0.005)
        await upstream.close()
        with pytest.raises(MaybeSent):
            await asyncio.wait_for(sending, 2)
        with pytest.raises(NotSent):
            await send(upstream, request(origin.port))
        assert len(origin.requests) == 1


async def test_a_slow_reader_gets_all_of_an_answer_whose_origin_has_closed(build, ca):
    """What waits in TLS when the peer closes is part of the answer, also while nobody reads."""
    size = 3_000_000
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    async with Origin(closes(head + b"x" * size), tls=context) as origin:
        answer = await build().send(request(origin.port, scheme="https"), headers=(), resendable=False)
        assert isinstance(answer, Streamed)
        total = 0
        while piece := await answer.body.read():
            total += len(piece)
            await asyncio.sleep(0.001)
    assert total == size
