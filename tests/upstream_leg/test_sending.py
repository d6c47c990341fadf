"""What the origin sees is what the agent said, byte for byte."""

from __future__ import annotations

import pytest

from ledger_proxy.upstream import NotSent

from .conftest import request, send
from .origin import Origin, ok


async def test_a_request_goes_out_as_it_is_and_nothing_is_added(upstream):
    async with Origin(ok()) as origin:
        fields = (("hOsT", f"127.0.0.1:{origin.port}"), ("X-b", "2"), ("X-A", "1"), ("x-B", "3"), ("Cookie", "s=1"))
        await send(upstream, request(origin.port, headers=fields, body=b"amount=5"))
    assert origin.request == (
        b"POST /v1/charges HTTP/1.1\r\nhOsT: 127.0.0.1:%d\r\nX-b: 2\r\nX-A: 1\r\nx-B: 3\r\nCookie: s=1\r\n"
        b"Content-Length: 8\r\n\r\namount=5" % origin.port
    )


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a%2Fb/%7euser/../x//y/./z",
        "/q?a=b+c%20d&&=&a=%zz|^`{}\"<>\\'[]",
        "/?redirect=http://other/#fragment",
        "/café?x=€",
        b"/caf\xe9".decode("utf-8", "surrogateescape"),
        "//other.example/x",
        "/@other.example/",
    ],
)
async def test_the_target_is_not_requoted_or_tidied(upstream, target):
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, "GET", target))
    assert origin.request.split(b" HTTP/1.1\r\n")[0] == b"GET " + target.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH", "PURGE", "get"])
async def test_the_method_is_not_changed(upstream, method):
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, method))
    assert origin.request.startswith(method.encode() + b" /v1/charges HTTP/1.1\r\n")


@pytest.mark.parametrize("raw", ["café €".encode(), b"caf\xe9 \x80\xff", b"a\tb"])
async def test_the_bytes_of_a_header_survive_whatever_they_are(upstream, raw):
    async with Origin(ok()) as origin:
        for value in (raw.decode("latin-1"), raw.decode("ascii", "surrogateescape")):
            await send(upstream, request(origin.port, "GET", headers=(("X-Name", value),)))
    assert len(origin.requests) == 2
    assert all(b"\r\nX-Name: " + raw + b"\r\n" in seen for seen in origin.requests)


async def test_headers_of_one_connection_never_go_out(upstream):
    hop = (("Connection", "close, X-Hop"), ("X-Hop", "1"), ("Proxy-Authorization", "Basic c2VjcmV0"), ("TE", "gzip"))
    framing = (("Transfer-Encoding", "chunked"), ("Content-Length", "3"), ("Content-Length", "999"))
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, headers=(*hop, *framing, ("X-Kept", "1")), body=b"12345"))
    head = origin.request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert head == [b"Host: 127.0.0.1:%d" % origin.port, b"Content-Length: 5", b"X-Kept: 1"]
    assert origin.request.endswith(b"\r\n\r\n12345")


@pytest.mark.parametrize(
    ("method", "fields", "said"),
    [
        ("POST", (), True),
        ("PUT", (), True),
        ("GET", (), False),
        ("DELETE", (), False),
        ("DELETE", (("content-length", "0"),), True),
    ],
)
async def test_an_empty_body_has_a_length_where_one_is_expected(upstream, method, fields, said):
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, method, headers=fields))
    assert (b"content-length: 0" in origin.request.lower()) is said


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
async def test_host_is_where_the_bytes_go_whatever_the_agent_claims(upstream, host):
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, headers=(("Host", host), ("Host", "again"))))
    assert origin.request.lower().count(b"\r\nhost:") == 1
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % origin.port in origin.request


async def test_a_large_body_arrives_whole(upstream):
    body = bytes(range(256)) * 20_000
    async with Origin(ok()) as origin:
        await send(upstream, request(origin.port, body=body))
    assert origin.request.partition(b"\r\n\r\n")[2] == body


BAD = {
    "value": {"headers": (("X-A", "1\r\nX-Injected: 1"),)},
    "bare CR": {"headers": (("X-A", "1\rX-Injected: 1"),)},
    "NUL": {"headers": (("X-A", "1\x00"),)},
    "name": {"headers": (("X-A: 1\r\nX-Injected", "1"),)},
    "empty name": {"headers": (("", "1"),)},
    "no byte": {"headers": (("X-A", "€"),)},
    "target": {"target": "/ HTTP/1.1\r\nX-Injected: 1"},
    "space in target": {"target": "/a b"},
    "no path": {"target": "@other.example/"},
    "lone surrogate": {"target": "/\ud800"},
    "method": {"method": "GET / HTTP/1.1\r\nX-Injected:"},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
async def test_what_would_be_a_second_header_or_request_is_refused_before_anything_is_sent(upstream, fields):
    async with Origin(ok()) as origin:
        with pytest.raises(NotSent, match=r"^127\.0\.0\.1:\d+: .*; nothing was sent$") as refused:
            await send(upstream, request(origin.port, **fields))
        assert origin.connections == 0
    assert "Injected" not in str(refused.value).replace("X-Injected holds", "")


async def test_what_may_not_be_sent_any_more_when_there_is_a_connection_is_not_sent(upstream):
    async def still():
        return False

    async with Origin(ok()) as origin:
        req = request(origin.port, body=b"amount=5")
        with pytest.raises(NotSent, match="nothing was sent, its claim does not hold any more"):
            await upstream.send(req, headers=(), resendable=False, still=still)
        assert await send(upstream, request(origin.port, body=b"amount=6"))
    assert b"amount=6" in origin.request
    assert b"amount=5" not in origin.request
