"""A real WebSocket, client and server, on a host that rules name: compressed, large, pinged, closed with a word."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import ClientSession, WSMsgType, web

from tests.upstream import make_certificate
from tests.wire.sidecars import Sidecar, launch

CHARGES = web.AppKey("charges", list[bytes])
LARGE = bytes(range(256)) * 12_000


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Says everything back; at "bye" it closes with a code and a reason of its own."""
    connection = web.WebSocketResponse(protocols=["orders"], max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        if message.type is WSMsgType.BINARY:
            await connection.send_bytes(message.data)
        elif message.data == "bye":
            await connection.close(code=4001, message=b"so long")
        else:
            await connection.send_str(f"echo {message.data}")
    return connection


async def charge(request: web.Request) -> web.Response:
    request.app[CHARGES].append(await request.read())
    return web.json_response({"id": len(request.app[CHARGES])})


@asynccontextmanager
async def shop(cert: Path, key: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Its port, and the charges it had."""
    app = web.Application()
    app[CHARGES] = []
    app.router.add_get("/live", echo)
    app.router.add_post("/charges", charge)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        yield runner.addresses[0][1], app[CHARGES]
    finally:
        await runner.cleanup()


@contextmanager
def sidecar_for(folder: Path, port: int, ca: Path) -> Iterator[Sidecar]:
    folder.mkdir()
    rules = folder / "ledger.yaml"
    rules.write_text(f'rules: [{{name: charges, match: {{method: POST, url: "https://localhost:{port}/charges"}}}}]')
    sidecar = launch(folder, rules, None, "--upstream-ca", ca)
    try:
        yield sidecar
    finally:
        sidecar.stop()


async def test_it_says_what_it_says_without_ledger(tmp_path: Path) -> None:
    ca, cert, key = make_certificate(tmp_path / "shop")
    async with shop(cert, key) as (port, charges), ClientSession() as client:
        with sidecar_for(tmp_path / "s", port, ca) as sidecar:
            trusted = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
            way = {"proxy": sidecar.url, "ssl": trusted}
            url = f"https://localhost:{port}"
            async with client.ws_connect(
                f"{url}/live", protocols=["orders"], compress=15, max_msg_size=0, **way
            ) as live:
                assert (live.protocol, live.compress) == ("orders", 15)
                await live.send_str("one")
                assert await live.receive_str() == "echo one"
                outcomes = []
                for _ in range(2):  # while it is open, on connections of their own
                    async with client.post(f"{url}/charges", data=b"amount=5", **way) as answer:
                        outcomes.append(answer.headers["Ledger-Outcome"])
                await live.ping(b"there?")
                await live.send_bytes(LARGE)
                assert await live.receive_bytes() == LARGE
                await live.send_str("bye")
                closed = await live.receive()
            (record,) = sidecar.records()
    assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 4001, "so long")
    assert outcomes == ["executed", "replayed"]
    assert charges == [b"amount=5"]
    assert (record["status"], record["attempts"], record["runs"]) == ("success", 2, 1)
