"""What the real HTTP clients raise when a connection is refused, lost or silent, and what guard makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator

import aiohttp
import boto3
import botocore.config
import httpx
import openai
import pytest
import requests
import stripe
import urllib3

from ledger import Guard, MemoryStore, OutcomeUnknown
from ledger.effects import leaves_open

BODY = {"amount": 1}


class Server:
    """One that reads a request and then does `how`; it counts the requests."""

    def __init__(self, how: str) -> None:
        self.how, self.requests, self.ending = how, 0, threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(5)
                if not client.recv(65536):
                    continue
                time.sleep(0.02)  # a body that comes in a packet of its own
                self.requests += 1
                if self.how == "silent":
                    self.ending.wait(5)
                elif self.how.isdigit():
                    client.sendall(f"HTTP/1.1 {self.how} No\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    def close(self) -> None:
        self.ending.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def with_requests(url: str) -> None:
    requests.post(url, json=BODY, timeout=0.4).raise_for_status()


def with_httpx(url: str) -> None:
    httpx.post(url, json=BODY, timeout=0.4, trust_env=False).raise_for_status()


def with_urllib(url: str) -> None:
    urllib.request.urlopen(url, data=b"{}", timeout=0.4).close()


def with_urllib3(url: str) -> None:
    with urllib3.PoolManager(retries=False, timeout=0.4) as pool:
        answer = pool.request("POST", url, body=b"{}")
    if answer.status >= 400:
        raise ValueError(answer.status)


def with_aiohttp(url: str) -> None:
    async def post() -> None:
        timeout = aiohttp.ClientTimeout(total=0.4)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=BODY) as answer:
            answer.raise_for_status()

    asyncio.run(post())


def with_openai(url: str) -> None:
    with openai.OpenAI(api_key="sk", base_url=url, max_retries=0, timeout=0.4) as client:
        client.images.generate(prompt="x")


def with_stripe(url: str) -> None:
    http = stripe.RequestsClient(timeout=0.4)
    client = stripe.StripeClient("sk_test_1", base_addresses={"api": url}, http_client=http, max_network_retries=0)
    client.v1.payment_intents.create({"amount": 1, "currency": "eur"})


def with_botocore(url: str) -> None:
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=0.4, connect_timeout=0.4)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
    client = boto3.client("sqs", endpoint_url=url, config=config, **keys)
    try:
        client.send_message(QueueUrl=f"{url}/q", MessageBody="x")
    finally:
        client.close()


CLIENTS = [
    with_requests,
    with_httpx,
    with_urllib,
    with_urllib3,
    with_aiohttp,
    with_openai,
    with_stripe,
    with_botocore,
]


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Server]]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with contextlib.ExitStack() as stack:

        def serve(how: str) -> Server:
            server = Server(how)
            stack.callback(server.close)
            return server

        yield serve


def raised(send: Callable[[str], None], port: int) -> Exception:
    try:
        send(f"http://127.0.0.1:{port}")
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


@pytest.mark.parametrize("send", CLIENTS, ids=lambda fn: fn.__name__)
class TestWhatIsKnownOfTheEffect:
    def test_refused_nothing_was_sent(self, send: Callable[[str], None], serving: Callable[[str], Server]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        assert not leaves_open(raised(send, port))

    @pytest.mark.parametrize("how", ["silent", "hangs up"])
    def test_sent_and_not_answered(
        self, send: Callable[[str], None], how: str, serving: Callable[[str], Server]
    ) -> None:
        server = serving(how)
        guard = Guard(store=MemoryStore())
        with pytest.raises(Exception) as first:  # noqa: PT011 (each client has its own)
            guard(send, f"http://127.0.0.1:{server.port}")
        assert leaves_open(first.value), repr(first.value)
        with pytest.raises(OutcomeUnknown):
            guard(send, f"http://127.0.0.1:{server.port}")
        assert server.requests == 1
        guard.close()


@pytest.mark.parametrize("send", [c for c in CLIENTS if c is not with_urllib3], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize(("how", "is_open"), [("422", False), ("503", True)])
def test_answered(send: Callable[[str], None], how: str, is_open: bool, serving: Callable[[str], Server]) -> None:
    """urllib3 raises nothing for a status: there the tool decides."""
    assert leaves_open(raised(send, serving(how).port)) is is_open
