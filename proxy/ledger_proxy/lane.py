"""The short way of plain requests to ruled hosts: read, asked, answered in one layer, where mitmproxy has five.

It stands behind TLS in the place of mitmproxy's HTTP layer, and gives its connection to that layer for good, with
every byte that was not answered, as soon as something comes that is not plain, that no rule means, or that streams.
So whatever is unusual has one way, the old one, and nothing is decided here that is not decided there: both ask the
same gate. `make bench` shows what it saves.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, layer, layers
from mitmproxy.proxy.layers.http import HTTPMode

from ledger_proxy import answers, http1, plain
from ledger_proxy.http1 import MAX_AHEAD, MAX_HEAD
from ledger_proxy.spool import IN_MEMORY
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.urls import normal_host

type Commands = Generator[commands.Command, None, None]

_END_OF_HEAD = re.compile(rb"\n\r?\n")


@dataclass(slots=True)
class Asked:
    """One plain request on its way. elsewhere: nothing was done about it, and the other way is to have it.

    answer: None until there is one.
    """

    client: connection.Client
    candidates: Sequence[Rule]
    request: Request
    answer: answers.Response | None = None
    elsewhere: bool = False


@dataclass
class RuledRequestHook(commands.StartHook):
    """A plain request has come whole. Its answer is set by the listener."""

    asked: Asked


class Admission(Protocol):
    """What the lane asks before a body is waited for."""

    def begun(self, client: connection.Client) -> None:
        """A head has begun, and is not whole."""
        ...

    def admit(self, client: connection.Client, request: Request, whole: bool) -> Sequence[Rule]:
        """The rules that may mean a request, its body come or not; none: it is for the other way."""
        ...


class Lane(layer.Layer):
    """One intercepted connection, as long as what comes is plain."""

    def __init__(self, context: context.Context, admission: Admission) -> None:
        super().__init__(context)
        self._admission = admission
        self._buf, self._answering = bytearray(), 0
        self._coming: _Coming | None = None
        self._closed = False
        self._other: layers.HttpLayer | None = None

    def handle_event(self, event: events.Event) -> Commands:
        """While a request is being answered its client may leave, or send ahead within reason."""
        if self._other is not None:
            yield from self._other.handle_event(event)
        elif self._paused and isinstance(event, events.DataReceived | events.ConnectionClosed):
            yield from self._meanwhile(event)
        else:
            yield from super().handle_event(event)

    def _meanwhile(self, event: events.DataReceived | events.ConnectionClosed) -> Commands:
        if isinstance(event, events.DataReceived):
            self._buf += event.data
        if isinstance(event, events.ConnectionClosed) or len(self._buf) > self._answering + MAX_AHEAD:
            yield from self._close()

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived):
            self._buf += event.data
            yield from self._read()
        elif isinstance(event, events.ConnectionClosed):
            yield from self._close()

    def _read(self) -> Commands:
        """Answer what has come whole, one request after the other."""
        while self._buf and not self._closed and self._other is None:
            coming = self._coming or self._look()
            if coming is None:
                if _incomplete(self._buf):
                    if self._buf.strip(b"\r\n"):  # empty lines before a request are none of it (RFC 9112, 2.2)
                        self._admission.begun(self.context.client)
                else:
                    yield from self._hand_over()
                return
            if len(self._buf) < coming.ends:
                self._coming = coming
                return
            self._coming = None
            yield from self._answer(coming)

    def _look(self) -> _Coming | None:
        """What comes, if its head is here and plain, and a rule may mean it."""
        end = _END_OF_HEAD.search(self._buf)
        address = self.context.server.address
        if end is None or end.end() > MAX_HEAD or address is None:
            return None
        head = plain.read_head(bytes(self._buf[: end.end()]), IN_MEMORY)
        if head is None:
            return None
        begins, ends = end.end(), end.end() + head.size
        whole = len(self._buf) >= ends
        body = bytes(self._buf[begins:ends]) if whole else b""
        request = Request(head.method, "https", normal_host(address[0]), address[1], head.target, head.headers, body)
        candidates = self._admission.admit(self.context.client, request, whole)
        if not candidates:
            return None
        return _Coming(Asked(self.context.client, candidates, request), begins, ends, whole, head.last)

    def _answer(self, coming: _Coming) -> Commands:
        asked = coming.asked
        if not coming.whole:
            asked.request = replace(asked.request, body=bytes(self._buf[coming.begins : coming.ends]))
        self._answering = coming.ends
        yield RuledRequestHook(asked)
        if self._closed:
            return
        if asked.elsewhere:
            yield from self._hand_over()
            return
        # Without an answer nobody knows what was done: it must not be asked again on the other way.
        told = asked.answer or answers.problem(answers.BROKEN)
        del self._buf[: coming.ends]
        last = coming.last or http1.Server.leaving
        yield commands.SendData(self.context.client, plain.write(told, last))
        if last:
            yield from self._close()

    def _hand_over(self) -> Commands:
        self._other = layers.HttpLayer(self.context, HTTPMode.transparent)
        rest, self._buf = bytes(self._buf), bytearray()
        yield from self._other.handle_event(events.Start())
        yield from self._other.handle_event(events.DataReceived(self.context.client, rest))

    def _close(self) -> Commands:
        self._closed = True
        yield commands.CloseConnection(self.context.client)


@dataclass(slots=True)
class _Coming:
    """A plain request that a rule may mean. begins, ends: of its body, in what has come. whole: when it was looked at.

    last: its client wants the connection closed behind the answer.
    """

    asked: Asked
    begins: int
    ends: int
    whole: bool
    last: bool


def _incomplete(buf: bytearray) -> bool:
    """Whether more of a head may come: what begins it is judged when it has come whole."""
    return len(buf) <= MAX_HEAD and not _END_OF_HEAD.search(buf)
