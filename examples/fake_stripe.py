"""api.stripe.com on loopback: localstripe behind TLS, with Stripe's idempotency keys and answers lost on request.

Knows nothing of Ledger. On the control port `POST /weather {"answers": "fine" | "late" | "lost"}` says what becomes
of answers to POSTs *after* their effect has happened: "late" holds them until the weather changes (or "seconds" have
passed), "lost" hangs up instead. `GET /weather` also counts requests, and answers lost and held right now.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import trustme
from aiohttp import web

HERE = Path(__file__).parent
WEATHERS = ("fine", "late", "lost")
# "If incoming parameters fail validation, or the request conflicts with another that's executing concurrently, we
# don't save the idempotent result"; authentication and rate limits come before the layer. (docs.stripe.com/api)
NOT_KEPT = {400, 401, 403, 404, 409, 429}


@dataclass(frozen=True)
class Answer:
    """A status and body, as localstripe gave them, under the id of the request that caused them."""

    status: int
    body: bytes
    request_id: str


@dataclass
class Kept:
    """What is remembered under one Idempotency-Key; no answer yet while the first request runs."""

    parameters: object
    answer: Answer | None = None


def new_request_id() -> str:
    """As Stripe's look."""
    return f"req_{uuid.uuid4().hex[:14]}"


def error(status: int, message: str, **fields: str) -> Answer:
    """An error in Stripe's shape."""
    body = {"error": {"message": message, **fields}}
    return Answer(status, json.dumps(body, indent=2).encode(), new_request_id())


def repeated(key: str, kept: Kept, parameters: object) -> Answer:
    """What Stripe answers to a key it knows: the first answer, or one of its two errors."""
    if kept.parameters != parameters:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        return error(400, message, type="idempotency_error")
    if kept.answer is None:
        message = "There is currently another in-progress request using this Idempotent Key. Please try again later."
        return error(409, message, type="invalid_request_error", code="idempotency_key_in_use")
    return kept.answer


class Weather:
    """What becomes of answers, and what became of them so far."""

    def __init__(self) -> None:
        self.now = "fine"
        self.seconds: float | None = None
        self.counts: Counter[str] = Counter(requests=0, lost=0, held=0)
        self.changed = asyncio.Event()

    async def get(self, _request: web.Request) -> web.Response:
        return web.json_response({"answers": self.now, **self.counts})

    async def set(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted.get("answers") not in WEATHERS:
            raise web.HTTPBadRequest(text=f"answers: expected one of {', '.join(WEATHERS)}\n")
        self.now, self.seconds = wanted["answers"], wanted.get("seconds")
        self.changed.set()
        self.changed = asyncio.Event()
        return await self.get(request)

    async def hold(self) -> None:
        """Keep an answer back while the weather is "late"."""
        if self.now != "late":
            return
        self.counts["held"] += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), self.seconds)
        self.counts["held"] -= 1


class Front:
    """The TLS side: idempotency in front of localstripe, and the weather in front of the client."""

    def __init__(self, backend: str, weather: Weather, session: aiohttp.ClientSession) -> None:
        self.backend = backend
        self.weather = weather
        self.session = session
        self.keys: dict[tuple[str, str], Kept] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Perform a request, then let the weather have its answer."""
        self.weather.counts["requests"] += request.method == "POST"
        answer, replayed = await self.answer(request, await request.read())
        if request.method == "POST" and self.weather.now == "lost":
            self.weather.counts["lost"] += 1
            if request.transport is not None:
                request.transport.close()
        headers = {"Request-Id": new_request_id() if replayed else answer.request_id}
        if replayed:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": answer.request_id}
        if key := request.headers.get("Idempotency-Key"):
            headers["Idempotency-Key"] = key
        return web.Response(status=answer.status, body=answer.body, headers=headers, content_type="application/json")

    async def answer(self, request: web.Request, body: bytes) -> tuple[Answer, bool]:
        """The answer, and whether it is the repetition of a kept one."""
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None:
            answer = await self.execute(request, body)
            if request.method == "POST":
                await self.weather.hold()
            return answer, False
        scope = (request.headers.get("Authorization", ""), key)
        parameters = (request.path, sorted(parse_qsl(body.decode(), keep_blank_values=True)))
        if scope in self.keys:
            kept = self.keys[scope]
            answer = repeated(key, kept, parameters)
            return answer, answer is kept.answer
        return await self.execute_once(request, body, scope, parameters), False

    async def execute_once(
        self, request: web.Request, body: bytes, scope: tuple[str, str], parameters: object
    ) -> Answer:
        """The first request of a key: its answer is kept once it is out of our hands."""
        kept = self.keys[scope] = Kept(parameters)
        try:
            answer = await self.execute(request, body)
        except BaseException:
            del self.keys[scope]
            raise
        await self.weather.hold()
        if answer.status in NOT_KEPT:
            del self.keys[scope]
        else:
            kept.answer = answer
        return answer

    async def execute(self, request: web.Request, body: bytes) -> Answer:
        """Let localstripe do it."""
        passed = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        url = self.backend + request.raw_path
        async with self.session.request(request.method, url, data=body, headers=passed) as response:
            return Answer(response.status, await response.read(), new_request_id())


@contextlib.asynccontextmanager
async def localstripe() -> AsyncIterator[str]:
    """localstripe in a process of its own; yields its base URL."""
    script = str(HERE / "localstripe_server.py")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, script, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        ready = (await process.stdout.readline()).decode()
        if not ready.startswith("listening on "):
            sys.exit("fake_stripe: localstripe did not start; its error is above")
        yield f"http://{ready.removeprefix('listening on ').strip()}"
    finally:
        process.stdin.close()
        await process.wait()


def tls_context(directory: Path) -> ssl.SSLContext:
    """A certificate for api.stripe.com by a throwaway CA, whose own certificate goes to DIRECTORY/ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.stripe.com").configure_cert(context)
    return context


async def listen(app: web.Application, port: int, context: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int]:
    """Serve on loopback; returns what to clean up and the port bound."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, shutdown_timeout=0).start()
    return runner, runner.addresses[0][1]


async def main(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on stdout says where."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    weather = Weather()
    control = web.Application()
    control.add_routes([web.get("/weather", weather.get), web.post("/weather", weather.set)])
    api = web.Application()
    async with localstripe() as backend, aiohttp.ClientSession() as session:
        api.router.add_route("*", "/{path:.*}", Front(backend, weather, session).handle)
        api_runner, port = await listen(api, arguments.port, tls_context(arguments.directory))
        control_runner, control_port = await listen(control, 0)
        ready = {"port": port, "control": f"http://127.0.0.1:{control_port}", "localstripe": backend}
        print(json.dumps({**ready, "ca": str(arguments.directory / "ca.pem")}), flush=True)
        await stopped.wait()
        await api_runner.cleanup()
        await control_runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="api.stripe.com on loopback, with bad weather on request.")
    parser.add_argument("--directory", type=Path, required=True, help="where ca.pem goes")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
