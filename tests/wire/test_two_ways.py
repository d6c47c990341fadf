"""The short way of a request and mitmproxy's own are one: same effects, same records, same answers, whatever is sent.

Two sidecars with one key, each before an origin of its own, are sent the same bytes. The second's connection has had a
request that no rule means, which takes it off the short way for good.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.wire.raw import HOST, Origin, ask, recorder, through
from tests.wire.sidecars import Sidecar, ledger, running_for

RULES = f"""
rules:
  - name: keyed
    match: {{url: "https://{HOST}/keyed/**"}}
    idempotency_key: require
  - name: by-body
    match: {{method: [POST, PUT], url: "https://{HOST}/by-body/**", body: ["$.pay == true"]}}
  - name: all
    match: {{method: [POST, PUT, GET, HEAD, OPTIONS], url: "https://{HOST}/all/**"}}
"""
CAMPAIGN = os.environ.get("LEDGER_CAMPAIGN") == "1"
EXAMPLES = 2000 if CAMPAIGN else 60
KEY = "0123456789abcdef0123456789abcdef"
RECORDED_AT = re.compile(rb"(?<=Ledger-Recorded-At: )[^\r]*")
OF_ITS_OWN = frozenset({"created", "touched", "note"})
NUMBERS = itertools.count(1)
FREE = b"GET /free/plain HTTP/1.1\r\nHost: api.test\r\n\r\n"
# Longer than any length that is told wrongly: what such a body swallows of it, the rest of it is no request.
LAST = b"GET /free/last HTTP/1.1\r\nHost: api.test\r\nX-Pad: %b\r\nConnection: close\r\n\r\n" % (b"x" * 600)

METHODS = st.sampled_from(
    [b"POST", b"POST", b"POST", b"PUT", b"GET", b"HEAD", b"OPTIONS", b"post", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"]
)
FOLDERS = st.sampled_from(
    [b"/all", b"/all", b"/by-body", b"/keyed", b"/free", b"//all", b"/all/..", b"/all/%2e%2e", b"/ALL", b"/%61ll"]
)
STEMS = st.sampled_from([b"a", b"a", b"b", b"%zz", b"%2F", b"caf\xe9", b"x;y", b"a//b", b"."])
# None that streams or not as the machine is quick or slow.
KINDS = st.sampled_from(
    [b"json", b"json", b"plain", b"empty", b"no-content", b"not-modified-sized", b"cookies", b"lists", b"latin",
     b"declined", b"broken", b"hop-by-hop", b"close", b"gzip", b"longer",
     b"moved", b"no-reason", b"early-hints", b"empty-value", b"end-in-body", b"reset-content",
     b"two-framings", b"two-lengths", b"same-lengths"]
)  # fmt: skip
QUERIES = st.sampled_from([b"", b"", b"?a=1&b=2", b"?b=2&a=1", b"?a=%zz", b"?", b"?a=\xff", b"?a#b"])
HOSTS = st.sampled_from(
    [b"Host: api.test"] * 8
    + [b"host: API.test", b"Host: api.test:443", b"Host:api.test\t", b"Host: api.test.", b"Host: api.test:444"]
    + [b"Host: other.test", b"Host:", b"Host: api.test, api.test", b"Host: api.test\r\nHost: api.test", b"X: y"]
)
FIELDS = st.lists(
    st.sampled_from(
        [b"Idempotency-Key: k-1", b"Idempotency-Key: k-2", b'Idempotency-Key: "k-1"', b"idempotency-key:",
         b"Ledger-Workflow: w", b"Ledger-Caller: c", b"Ledger-Operation-Id: o", b"X-Tenant: t",
         b"Authorization: Bearer abc", b"Authorization: Basic YTpi", b"Cookie: a=1", b"Cookie: b=2",
         b"Proxy-Authorization: Basic dzpj", b"Proxy-Connection: keep-alive", b"X-HTTP-Method-Override: GET",
         b"Content-Type: application/json", b"Content-Type: text/plain", b"Content-Encoding: gzip",
         b"Accept-Encoding: gzip", b"Accept-Encoding: identity", b"TE: trailers", b"Keep-Alive: timeout=5",
         b"Connection: keep-alive", b"Connection: close", b"Connection: Close", b"Connection: X-Hop, keep-alive",
         b"X-Hop: 1", b"Expect: 100-continue", b"Trailer: X-Sum", b"Upgrade: h2c", b"X-Folded: a\r\n b",
         b"X-Bare: a\rb", b"X-Nul: a\x00", b"X-Tab: a\tb", b"X-High: \xff", b"X Space: a", b"X-Colon : a", b": a",
         b"X-Lf: a\nX-Next: b", b"X_Under: a", b"!#$%&'*+.^`|~: a"]
    ),
    max_size=4,
)  # fmt: skip
BODIES = st.sampled_from([b"", b'{"pay": true}', b'{"pay":  true}', b'{"pay": false}', b"{", b"\r\n\r\n", b"x" * 3000])


def framed_right(body: bytes) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """How its length may be told, and the body as it goes then."""
    half = len(body) // 2
    pieces = (body[:half], body[half:]) if half else (body,) if body else ()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
    told = b"Content-Length: %d" % len(body)
    ways = [(told, body)] * 12 + [
        (b"Transfer-Encoding: chunked", chunks + b"\r\n"),
        (b"Transfer-Encoding: chunked", chunks + b"X-Sum: 1\r\n\r\n"),
        (b"content-length:  %d\t" % len(body), body),
        (b"Content-Length: +%d" % len(body), body),
        (b"Content-Length: 0%d" % len(body), body),
        (b"Content-Length: 0x%x" % len(body), body),
        (told + b"\r\n" + told, body),
        (told + b", %d" % len(body), body),
        (told + b"\r\nTransfer-Encoding: chunked", chunks + b"\r\n"),
        (b"Content-Length : %d" % len(body), body),
        (b"Content-Length: %d" % (len(body) + 5), body),
        (b"X-None: 1", b"" if len(body) > 100 else body),
    ]
    return st.sampled_from(ways)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    target = draw(FOLDERS) + b"/NUMBER/" + draw(STEMS) + b"/" + draw(KINDS) + draw(QUERIES)
    target = draw(st.sampled_from([b""] * 15 + [b"https://api.test", b"https://other.test", b"x"])) + target
    target = draw(st.sampled_from([target] * 30 + [b"*", b"api.test:443"]))
    version = draw(st.sampled_from([b"HTTP/1.1"] * 15 + [b"HTTP/1.0", b"HTTP/2.0", b" HTTP/1.1"]))
    length, body = draw(BODIES.flatmap(framed_right))
    fields = [draw(HOSTS), *draw(FIELDS), length]
    end = draw(st.sampled_from([b"\r\n"] * 20 + [b"\n"]))
    before = draw(st.sampled_from([b""] * 20 + [b"\r\n", b" "]))
    return before + end.join((b" ".join((draw(METHODS), target, version)), *fields, b"", b"")) + body


@st.composite
def talks(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """A few requests behind each other, and where they are cut: it says nothing of where one ends."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    return data, sorted(draw(st.sets(st.integers(1, len(data)), max_size=6)))


PLAIN = b"POST /all/NUMBER/a/json HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n"
TWO_LENGTHS = PLAIN.replace(b"Content-Length: 0", b"Content-Length: 0\r\nTransfer-Encoding: chunked")
ODD_NAME = PLAIN.replace(b"Content-Length: 0", b"X Space: a\r\nContent-Length: 13") + b'{"pay": true}'


@dataclass(frozen=True)
class Way:
    origin: Origin
    sidecar: Sidecar
    short: bool

    def told(self, pieces: Sequence[bytes]) -> bytes:
        """All that is answered until the connection is closed, less when something was recorded."""
        told = b""
        with through(self.sidecar) as connection, contextlib.suppress(ConnectionError, ssl.SSLError):
            if not self.short:
                assert ask(connection, FREE).status == 200
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                for piece in pieces:
                    connection.sendall(piece)
            while data := connection.recv(65536):
                told += data
        return RECORDED_AT.sub(b"", told)

    def effects(self, word: bytes) -> list[tuple[bytes, bytes]]:
        return [(seen.head, seen.body) for seen in self.origin.requests(word)]

    def records(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in record.items() if k not in OF_ITS_OWN} for record in self._shown()]

    def _shown(self) -> list[dict[str, Any]]:
        told = ledger("show", "--db", self.sidecar.db, "--json", "--limit", "0").stdout
        return sorted(map(json.loads, told.splitlines()), key=lambda record: str(record["id"]))


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Way, Way]]:
    folder: Path = tmp_path_factory.mktemp("ways")
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("short", "long"):
            origin = stack.enter_context(recorder(folder / f"{name}-origin"))
            sidecar = stack.enter_context(running_for(folder / name, origin, RULES, LEDGER_KEY=KEY))
            made.append(Way(origin, sidecar, name == "short"))
        yield made[0], made[1]


@pytest.mark.slow
def test_whatever_is_sent_both_ways_do_and_say_the_same(ways: tuple[Way, Way]) -> None:
    short, long = ways

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(talks())
    # A name with a space: what it was told depended on whether its body had come.
    @example((b"".join((PLAIN, ODD_NAME, PLAIN)), [155]))
    # Refused by its head, it was refused once more by its body.
    @example((TWO_LENGTHS + b"0\r\n\r\n", [len(TWO_LENGTHS)]))
    def same(talk: tuple[bytes, list[int]]) -> None:
        number = b"%06d" % next(NUMBERS)
        data, cuts = talk[0].replace(b"NUMBER", number), talk[1]
        pieces = [*(data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)])), LAST]
        assert short.told(pieces) == long.told(pieces)
        assert short.effects(number) == long.effects(number)

    same()
    assert short.records() == long.records()
