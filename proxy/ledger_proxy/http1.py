"""The front's HTTP/1 edge: strict heads, bounded buffers, trailers and 1xx as RFC 9110 and 9112 want them.

Two of mitmproxy's connection layers, corrected at their seams; no rule, record or answer is known here. Private names
of 12.2: `engine` refuses to start without them, `tests/wire` shows each correction.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

import h11
from h11._readers import ChunkedReader

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import http
from mitmproxy.connection import Connection
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import http as http_layer
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseHeaders,
    ResponseProtocolError,
)

from ledger_proxy import splicing
from ledger_proxy.headers import end_to_end, named_by_connection, to_text
from ledger_proxy.limits import FRESH_IDLE, HEAD_SECONDS, Patience
from ledger_proxy.plain import is_host

MAX_HEAD = 65_536
"""Bytes of one head, or of what stands between two chunks."""
MAX_AHEAD = 1 << 20
"""Bytes that a client may send ahead while its request is being answered."""

type Commands = Generator[commands.Command, Any, None]

_END_OF_HEAD = re.compile(rb"\n\r?\n")
# RFC 9112 §2.2: a bare CR is no line end; RFC 9110 §5.5: a control character in a value is dangerous; §5.2: no folding.
_BAD_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n[ \t]")
# RFC 9112 §3: one space between the three parts; we speak 1.0 and 1.1.
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ \t\r\n]+ HTTP/1\.[01]\r?\n")
# RFC 9112 §5.1: a field name is a token, and a colon stands directly behind it.
_BAD_FIELD = re.compile(rb"\n(?![!#$%&'*+\-.^_`|~0-9A-Za-z]+:)[^\r\n]")
_HOST = re.compile(rb"\nhost[ \t]*:([^\r\n]*)", re.IGNORECASE)
# What these carry is HTTP again (RFC 7540 §3.2, RFC 9110 §7.8, RFC 2817).
_MORE_HTTP = re.compile(rb"(?:^|,)[ \t]*(?:h2c?|http|tls)[ \t]*(?:[/,]|$)", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")
_SWITCHED = re.compile(rb"HTTP/1\.[01] 101")
_quiet_since: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
_ONE_HOP = frozenset((b"connection", b"keep-alive", b"te", b"trailer", b"proxy-connection", b"proxy-authorization"))


def fault_in(head: bytes) -> str | None:
    """Why a request head, blank line included, is refused; None if it may be read."""
    if not _REQUEST_LINE.match(head):
        return "the request line is not `METHOD target HTTP/1.1`"
    if _BAD_IN_HEAD.search(head):
        return "the head holds a control character or a folded line"
    if _BAD_FIELD.search(head):
        return "a field of the head is not `NAME: value`"
    hosts = _HOST.findall(head)
    needed = not head.startswith(b"CONNECT ") and b" HTTP/1.1" in head.partition(b"\n")[0]
    if len(hosts) > 1 or (needed and not hosts):
        return "a request has exactly one Host field"
    if not all(is_host(to_text(host).strip(" \t")) for host in hosts):
        return "the Host field is not `HOST` or `HOST:PORT`"
    return None


class Server(_http1.Http1Server):
    """Towards the agent."""

    leaving = False
    """Whether the sidecar takes its leave: each answer is then the last of its connection."""
    patience = Patience()
    """Told of heads that have begun; until when they must be whole."""

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Let a head through only if it can be read in one way."""
        if isinstance(event, events.DataReceived):
            refusal = self._refusal()
            if refusal is not None:
                yield commands.SendData(self.conn, error_page(*refusal))
                yield commands.CloseConnection(self.conn)
                self.state = self.done
                return
        yield from super().read_headers(event)

    def _refusal(self) -> tuple[int, str] | None:
        """Look at the head as it stands in the buffer, without taking it."""
        seen = bytes(self.buf)
        while seen.startswith((b"\r\n", b"\n")):  # RFC 9112 §2.2: empty lines before a request are skipped
            seen = seen[seen.index(b"\n") + 1 :]
            self.buf.maybe_extract_at_most(len(self.buf) - len(seen))
        end = _END_OF_HEAD.search(seen)
        if (end.end() if end else len(seen)) > MAX_HEAD:
            return 431, f"the head is longer than {MAX_HEAD} bytes"
        if seen and not end:
            self.patience.begun(self.conn.id, time.monotonic() + HEAD_SECONDS)
        fault = fault_in(seen[: end.end()]) if end else None
        return (400, fault) if fault else None

    def read_body(self, event: events.Event) -> Commands:
        """Say why a body cannot be read, where mitmproxy only closes the connection; not of one that did not come."""
        for command in super().read_body(event):
            closing = isinstance(command, commands.CloseConnection) and isinstance(event, events.DataReceived)
            if closing and self.state == self.read_body and self.response is None:
                yield commands.SendData(self.conn, error_page(400, "the body is not framed as it should be"))
            yield command

    _ahead: Any = None
    """What was sent ahead, while an exchange ends."""

    def _handle_event(self, event: events.Event) -> Commands:
        """Go on with what was sent ahead."""
        if self._ahead is not None and not isinstance(event, HttpEvent):
            self.buf, self._ahead = self._ahead, None
            if len(self.buf) > MAX_AHEAD:
                yield commands.CloseConnection(self.conn)
                self.state = self.done
            if isinstance(event, events.Wakeup):
                event = events.DataReceived(self.conn, b"")
        if not isinstance(event, events.Wakeup):
            yield from super()._handle_event(event)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Read the next request when this one has ended: mitmproxy begins before, and loses one whose body streams."""
        asked, told = self.request, self.response
        ends = (request or self.request_done) and (response or self.response_done)
        if self.buf and ends and asked and told and not _http1.should_make_pipe(asked, told):
            self.buf, self._ahead = type(self.buf)(), self.buf
        yield from super().mark_done(request=request, response=response)
        if self._ahead is not None and self.state == self.read_headers:
            yield commands.RequestWakeup(0)

    def wait(self, event: events.Event) -> Commands:
        """Keep what is sent ahead, within reason."""
        if isinstance(event, events.DataReceived) and len(self.buf) > MAX_AHEAD:
            yield commands.CloseConnection(self.conn)
        yield from super().wait(event)

    def send(self, event: Any) -> Commands:
        """Write no field that is of one hop; an old client gets no chunks, and then the end of its connection."""
        if isinstance(event, ResponseHeaders) and event.response.status_code >= 200:
            asked = self.request
            old = asked is not None and not asked.is_http11 and asked.method != "CONNECT"
            leaving = asked is not None and asked.method != "CONNECT" and (self.leaving or _wants_the_last(asked))
            response = _response(event.response, old, last=old or leaving)
            event = ResponseHeaders(event.stream_id, response, event.end_stream)
        yield from super().send(event)
        if isinstance(event, ResponseProtocolError):
            # It is the last of its connection: what still comes of the request was read, and refused a second time.
            self.state = self.done


class Client(_http1.Http1Client):
    """Towards an origin of unruled traffic."""

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Pass interim answers on (RFC 9110 §15.2), where mitmproxy takes the first of them for the final one."""
        while self.request and _INTERIM.match(seen := bytes(self.buf)) and (end := _END_OF_HEAD.search(seen)):
            head = bytes(self.buf.maybe_extract_at_most(end.end()) or b"")
            # The front has told the agent to continue already.
            if self.request.is_http11 and head[9:12] != b"100":
                yield commands.SendData(self.context.client, head)
        if len(self.buf) > MAX_HEAD and not _END_OF_HEAD.search(bytes(self.buf)):
            self.buf.maybe_extract_at_most(len(self.buf))
            self.buf += b"the head is too long\n\n"
        if self.request and _SWITCHED.match(bytes(self.buf)) and "upgrade" not in self.request.headers:
            # What the agent says next would be passed on unread, ruled or not (RFC 9110 §7.8 forbids the origin this).
            self.buf.maybe_extract_at_most(len(self.buf))
            self.buf += b"it switched protocols unasked\n\n"
        if isinstance(event, events.ConnectionClosed):
            for command in super().read_headers(event):
                yield _hanging_up(command)
        elif self.buf or not isinstance(event, events.DataReceived):
            yield from super().read_headers(event)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Remember since when it is idle."""
        if response:
            _quiet_since[self.conn] = time.monotonic()
        yield from super().mark_done(request=request, response=response)

    def send(self, event: Any) -> Commands:
        """Write no field that is of one hop, except what asks for another protocol than HTTP."""
        if isinstance(event, RequestHeaders):
            event = RequestHeaders(event.stream_id, _request(event.request), event.end_stream)
        yield from super().send(event)


_get_connection = http_layer.HttpLayer.get_connection


def get_connection(self: Any, event: http_layer.GetHttpConnection, *, reuse: bool = True) -> Commands:
    """Use no connection again that its origin may be closing: the agent would be hung up on for nothing.

    How long an origin keeps them it may say in Keep-Alive, a field of one hop, so the agent cannot go by it.
    """
    now = time.monotonic()
    for one in list(self.connections):
        if one.connected and now - _quiet_since.get(one, now) > FRESH_IDLE:
            yield commands.CloseConnection(one)
    yield from _get_connection(self, event, reuse=reuse)


class Stream(http_layer.HttpStream):
    """One exchange."""

    def flow_done(self) -> Commands:
        """Pass on what an upgraded connection says (RFC 9110 §7.8): only there are bytes meant that are no HTTP."""
        if self.flow.response is not None and self.flow.response.status_code == 101:
            self.context = copy(self.context)
            self.context.options = _RawTcp(self.context.options)  # type: ignore[assignment]
        yield from super().flow_done()

    def passthrough(self, event: events.Event) -> Commands:
        """Close one half of a tunnel where one was closed: who has said all may still be answered."""
        if self.child_layer is None or not splicing.tunnelled(self.context.client):
            yield from super().passthrough(event)
            return
        # mitmproxy does what follows, too, but makes of half an end a whole one.
        if isinstance(event, RequestData):
            event = events.DataReceived(self.context.client, event.data)
        elif isinstance(event, RequestEndOfMessage):
            event = events.ConnectionClosed(self.context.client)
        yield from self.child_layer.handle_event(event)


class _RawTcp:
    """Options with `rawtcp` on."""

    rawtcp = True

    def __init__(self, options: Any) -> None:
        self._options = options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)


class Chunks(ChunkedReader):
    """Chunks without their trailers (RFC 9110 §6.5.1 lets a recipient drop them), and with bounded lines between."""

    def __call__(self, buf: Any) -> Any:
        event = super().__call__(buf)
        if event is None and len(buf) > MAX_HEAD:
            raise h11.RemoteProtocolError("a chunk's own line is too long")
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


def error_page(status: int, message: str = "") -> bytes:
    """What the front says for itself when a request or its origin cannot be used."""
    title = status_codes.RESPONSES.get(status, "Error")
    told = {"type": f"urn:ledger:problem:{_KINDS.get(status, 'gateway')}", "title": title, "status": status}
    body = json.dumps(told | {"detail": message}, indent=2).encode() + b"\n"
    return b"\r\n".join(
        (
            b"HTTP/1.1 %d %s" % (status, title.encode()),
            b"Content-Type: application/problem+json",
            b"Connection: close",
            b"Content-Length: %d" % len(body),
            b"",
            body,
        )
    )


_KINDS = {400: "malformed", 413: "too-large", 431: "head-too-large", 502: "upstream-unreachable"}


def apply() -> None:
    """Put them in the place of mitmproxy's own. Safe to call again."""
    for module, name, better in (
        (http_layer, "Http1Server", Server),
        (http_layer, "Http1Client", Client),
        (http_layer, "HttpStream", Stream),
        (http_layer.HttpLayer, "get_connection", get_connection),
        (_http1, "ChunkedReader", Chunks),
        (_http1, "make_error_response", error_page),
    ):
        if not hasattr(module, name):
            raise ImportError(f"this mitmproxy lacks {name}")
        setattr(module, name, better)


def _wants_the_last(request: http.Request) -> bool:
    """RFC 9112 §9.6: who asks for the connection's end is told of it, too."""
    wanted: str = request.headers.get("connection", "")
    return wanted.strip().lower() == "close"


def _hanging_up(command: commands.Command) -> commands.Command:
    """An origin that hung up without an answer: so does the front, as it would have been without Ledger."""
    error = command.event if isinstance(command, ReceiveHttp) else None
    if not isinstance(error, ResponseProtocolError):
        return command
    return ReceiveHttp(ResponseProtocolError(error.stream_id, "the origin hung up", ErrorCode.CANCEL))


def _request(request: http.Request) -> http.Request:
    fields = request.headers.fields
    upgrade = b",".join(value for name, value in fields if name.lower() == b"upgrade")
    if not (upgrade or _has_one_hop(fields)):
        return request
    kept = _kept(fields)
    # Requests inside of another HTTP would be seen by no rule; it is only an offer, which an origin need not see.
    if upgrade and "upgrade" in named_by_connection(fields) and not _MORE_HTTP.search(upgrade):
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    twin = request.copy()
    twin.headers = http.Headers(kept)
    return twin


def _response(response: http.Response, old: bool, last: bool) -> http.Response:
    fields = response.headers.fields
    if not last and not _has_one_hop(fields):
        return response
    # RFC 9110 §11.7.1: of one hop, too, but this hop is the one that asks.
    asking = [(n, v) for n, v in fields if n.lower() == b"proxy-authenticate" and response.status_code == 407]
    kept = [*_kept(fields), *asking]
    if old:
        kept = [(n, v) for n, v in kept if n.lower() != b"transfer-encoding"]
    if last:
        kept.append((b"Connection", b"close"))
    d = response.data
    return http.Response(
        b"HTTP/1.1",
        d.status_code,
        d.reason,
        http.Headers(kept),
        d.content,
        d.trailers,
        d.timestamp_start,
        d.timestamp_end,
    )


def _has_one_hop(fields: Any) -> bool:
    return any(name.lower() in _ONE_HOP for name, _ in fields)


def _kept(fields: Any) -> list[tuple[bytes, bytes]]:
    """Without the fields of one hop, but with the framing that mitmproxy writes the body by."""
    passed = set(end_to_end(fields))
    return [(n, v) for n, v in fields if (n, v) in passed or n.lower() == b"transfer-encoding"]
