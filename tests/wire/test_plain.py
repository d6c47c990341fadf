"""What counts as plain is read exactly as the front's own reader reads it; whatever is odd is left to that reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http import http1 as reference

from ledger_proxy import plain
from ledger_proxy.answers import Response
from ledger_proxy.http1 import fault_in

LARGEST = 1000
HOST = b"Host: api.test"
TOKENS = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"0", b"12", b"+1", b"05", b"1_0", b"\xb2", b"1000", b"1001", b"chunked", b"close", b"Keep-Alive"]
    ),
    st.from_regex(rb"[ \t]*[!-~\x80-\xff]{0,10}[ \t]*", fullmatch=True),
    st.binary(max_size=6),
)
NAMES = st.one_of(
    TOKENS,
    st.sampled_from([b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Upgrade"]),
    st.binary(min_size=1, max_size=6),
)
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES).map(b"".join), max_size=5)
LINES = st.tuples(
    st.one_of(TOKENS, st.sampled_from([b"POST", b"post", b"GET", b"HEAD", b"CONNECT"])),
    st.one_of(st.from_regex(rb"/[!-~\x80-\xff]{0,12}", fullmatch=True), st.sampled_from([b"*", b"http://a/b", b"a:1"])),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1"]),
).map(b" ".join)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])


@given(LINES, st.booleans(), FIELDS, ENDS)
def test_a_plain_head_says_what_the_fronts_own_reader_says(
    line: bytes, host: bool, fields: list[bytes], end: bytes
) -> None:
    head = end.join((line, *([HOST] if host else []), *fields, b"", b""))
    read = plain.read_head(head, LARGEST)
    if read is None:
        return
    assert fault_in(head) is None
    same = reference.read_request_head(head.removesuffix(b"\r\n\r\n").split(b"\r\n"))
    assert (read.method, read.target) == (same.method, same.path)
    assert [(n.encode("latin-1"), v.encode("latin-1")) for n, v in read.headers] == list(same.headers.fields)
    assert read.size == (reference.expected_http_body_size(same) or 0)
    assert read.last == reference.connection_close("HTTP/1.1", same.headers)


def test_an_ordinary_call_is_plain() -> None:
    head = b"POST /v1/charges?a=b HTTP/1.1\r\nHost: api.test\r\nContent-Length: 12\r\nX-Name:  caf\xe9 \r\n\r\n"
    assert plain.read_head(head, LARGEST) == plain.Head(
        "POST", "/v1/charges?a=b", (("Host", "api.test"), ("Content-Length", "12"), ("X-Name", "café")), 12, False
    )


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nX-Bare: a\rb\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nX-Folded: a\r\n b\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST  /a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST http://a/a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a HTTP/1.0\r\nHost: a\r\n\r\n",
        b"POST /a HTTP/1.1\nHost: a\n\n",
        b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_odd_is_not_plain(head: bytes) -> None:
    assert plain.read_head(head, LARGEST) is None


def test_an_answer_is_written_byte_for_byte_without_the_fields_of_one_hop() -> None:
    fields = ((b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Set-Cookie", b"a=1"), (b"Content-Length", b"2"))
    answer = Response(200, b"Tr\xe8s bien", fields, b"ok")
    kept = b"HTTP/1.1 200 Tr\xe8s bien\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n"
    assert plain.write(answer, last=False) == kept + b"\r\nok"
    assert plain.write(answer, last=True) == kept + b"Connection: close\r\n\r\nok"


def test_an_answer_that_has_no_body_gets_none() -> None:
    assert plain.write(Response(304, b"", ((b"Content-Length", b"1234"),), b""), last=False) == (
        b"HTTP/1.1 304 \r\nContent-Length: 1234\r\n\r\n"
    )
