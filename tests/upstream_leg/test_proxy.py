"""Chaining: only the proxy that was named is used, and what it refuses was not sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib

import pytest

from ledger_proxy.upstream import NotSent

from .conftest import request, send
from .origin import Origin, Peer, Script, closes, ok, replies, stalls
from .test_tls import serving

CREDENTIALS = b"Proxy-Authorization: Basic " + base64.b64encode(b"me@corp:s3cret/")


def tunnels_to(port: int) -> Script:
    async def script(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
        finally:
            writer.transport.abort()

    return script


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_tls_goes_through_a_tunnel_with_credentials_that_the_origin_never_sees(build, ca):
    async with (
        Origin(ok(b"charged"), tls=serving(ca, "api.test")) as origin,
        Origin(tunnels_to(origin.port)) as proxy,
    ):
        upstream = build(proxy=f"http://me%40corp:s3cret%2F@127.0.0.1:{proxy.port}")
        for _ in range(2):
            answer = await send(upstream, request(443, scheme="https", host="api.test"))
            assert answer.body == b"charged"
        await upstream.close()
    assert proxy.request.startswith(b"CONNECT api.test:443 HTTP/1.1\r\n")
    assert CREDENTIALS in proxy.request
    assert len(origin.requests) == 2
    assert all(b"proxy" not in seen.lower() and b"Host: api.test\r\n" in seen for seen in origin.requests)


async def test_plain_http_goes_out_in_absolute_form(build):
    async with Origin(ok(b"through")) as proxy:
        upstream = build(proxy=f"me%40corp:s3cret%2F@127.0.0.1:{proxy.port}")
        answer = await send(upstream, request(8080, host="api.test", target="/a%2Fb?x= ".strip()))
    assert answer.body == b"through"
    assert proxy.request.startswith(b"POST http://api.test:8080/a%2Fb?x= HTTP/1.1\r\nHost: api.test:8080\r\n")
    assert CREDENTIALS in proxy.request


async def test_an_address_that_was_named_is_reached_directly(build):
    async with Origin(ok(b"direct")) as origin, Origin(ok(b"proxied")) as proxy:
        upstream = build(resolve={("api.test", 80): ("127.0.0.1", origin.port)}, proxy=f"http://127.0.0.1:{proxy.port}")
        assert (await send(upstream, request(80, host="api.test"))).body == b"direct"
    assert proxy.requests == []


REFUSALS = {
    "407": replies(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
    "503": replies(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
    "closed": closes(),
    "garbage": closes(b"what?\r\n\r\n"),
    "stalled": stalls(),
}


@pytest.mark.parametrize("script", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_tunnel_that_does_not_open_means_not_sent_and_no_credentials_are_told(build, script):
    async with Origin(script) as proxy:
        upstream = build(proxy=f"http://me:s3cret@127.0.0.1:{proxy.port}", connect_timeout=0.3)
        told = rf"^api\.test:443 through the proxy 127\.0\.0\.1:{proxy.port}: [^\n]+$"
        with pytest.raises(NotSent, match=told) as refused:
            await send(upstream, request(443, "PUT", scheme="https", host="api.test"))
        assert "s3cret" not in str(refused.value)
    assert len(proxy.requests) == 1


async def test_a_wrong_certificate_behind_the_tunnel_means_not_sent(build, ca):
    async with (
        Origin(ok(), tls=serving(ca, "other.test")) as origin,
        Origin(tunnels_to(origin.port)) as proxy,
    ):
        upstream = build(proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(NotSent, match="its certificate was refused: Hostname mismatch"):
            await send(upstream, request(443, scheme="https", host="api.test"))
    assert origin.requests == []


async def test_the_environment_is_not_asked_for_a_proxy(build, monkeypatch):
    async with Origin(ok(b"direct")) as origin:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert (await send(build(), request(origin.port))).body == b"direct"


@pytest.mark.parametrize("proxy", ["socks5://h:1080", "http://", "ftp://me:s3cret@h:1", "http://me:s3cret@h:99999"])
async def test_a_proxy_that_cannot_be_chained_to_is_refused_in_one_line_without_its_password(build, proxy):
    with pytest.raises(ValueError, match=r"^proxy '[^']*': only http://host:port") as refused:
        build(proxy=proxy)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("password", ["s3cret#", "s3cret/", "s3cret?", "s3cret\\", "/s3cret"])
async def test_a_password_that_has_to_be_written_otherwise_is_told_how_and_not_told(build, password):
    with pytest.raises(ValueError, match="in a user or password write %23 for #, %2F for /") as refused:
        build(proxy=f"http://me:{password}@h:1")
    assert "s3cret" not in str(refused.value)
