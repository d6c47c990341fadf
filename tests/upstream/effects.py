"""The oracle: an upstream in a process of its own that counts effects in its own file and misbehaves on request.

It shares no code with Ledger and uses only the standard library, so it cannot share Ledger's mistakes.
What each answer looks like is chosen by the path (see `BEHAVIOURS`), so any unmodified client can ask for it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import itertools
import json
import os
import signal
import ssl
import struct
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import unquote, urlsplit

# Run as a script, so its own folder is first on the path.
from providers import Provider
from wire import Answer, Request, head, read_body, read_head, stream

FOREVER = 1 << 30
WRITES = {"POST", "PUT", "PATCH", "DELETE"}

# name -> defaults of its numeric path segments. They may be chained: /keyed/slow/200/lose-response/1/charges.
# "times" is how many requests of that exact path get the treatment; later ones are answered plainly.
BEHAVIOURS: dict[str, tuple[int, ...]] = {
    "ok": (),
    "keyed": (),                        # Stripe-like Idempotency-Key handling
    "conflict": (),                     # GoCardless-like: a repeat is 409 with the id of what was created
    "slow": (1000,),                    # milliseconds between the effect and the answer
    "status": (503, FOREVER),           # status, times: effect, then that status
    "refuse": (503, FOREVER),           # status, times: that status and *no* effect, keyed or not
    "decline-then-ok": (1,),            # times: 402 and no effect, then 200
    "drop-request": (FOREVER,),         # times: hang up before the body is read, no effect
    "lose-response": (FOREVER,),        # times: effect, then hang up without a byte
    "reset-response": (FOREVER,),       # times: effect, then a TCP reset
    "half-body": (FOREVER,),            # times: effect, 200 and half of the promised body
    "half-chunk": (FOREVER,),           # times: effect, 200 and a chunked body that stops inside a chunk
    "garbage": (FOREVER,),              # times: effect, then bytes that are not HTTP
    "hang": (FOREVER,),                 # times: effect, then silence until the client leaves
    "hints": (),                        # a 103 before the answer
    "gzip": (),                         # Content-Encoding: gzip
    "stream": (3, 50),                  # chunks, milliseconds between them
    "bytes": (1024,),                   # a body of so many bytes
    "redirect": (303,),                 # status, Location: /plain
    "close": (),                        # Connection: close after the answer
    "lookup": (),                       # GET /lookup/TEXT: the effects whose body has TEXT in it, as {"data": [...]}
}  # fmt: skip

Script = dict[str, tuple[int, ...]]


@dataclass
class KeyEntry:
    """What the oracle remembers under one Idempotency-Key; `answer` is None while the first request runs."""

    digest: str
    answer: Answer | None = None


def script_of(path: str) -> Script:
    """Read the leading behaviours of a path: `/slow/200/ok/x` -> {"slow": (200,), "ok": ()}."""
    script: Script = {}
    segments = path.strip("/").split("/")
    while segments and segments[0] in BEHAVIOURS:
        name = segments.pop(0)
        numbers = list(BEHAVIOURS[name])
        for index in range(len(numbers)):
            if not segments or not segments[0].isdigit():
                break
            numbers[index] = int(segments.pop(0))
        script[name] = tuple(numbers)
    return script


def applies(script: Script, name: str, nth: int) -> bool:
    """Whether a behaviour with a "times" limit still holds for the nth request."""
    return name in script and nth <= script[name][-1]


def error(status: int, error_type: str, message: str, *, kind: str) -> Answer:
    """An error in Stripe's shape, standing for no effect."""
    body = {"error": {"type": error_type, "message": message}}
    return Answer(status, json.dumps(body).encode(), [("Content-Type", "application/json")], kind)


def plain_answer(request: Request, script: Script) -> Answer:
    """The answer of the effect itself, before any misfortune on its way back."""
    kind = "effect" if request.method in WRITES else "read"
    if applies(script, "decline-then-ok", request.nth):
        return error(402, "card_error", "Your card was declined.", kind="declined")
    if "redirect" in script:
        return Answer(script["redirect"][0], b"", [("Location", "/plain")], kind)
    serial = f"ch_{uuid.uuid4().hex[:24]}"
    headers = [("Content-Type", "application/json"), ("Request-Id", f"req_{uuid.uuid4().hex[:14]}")]
    headers += [("Set-Cookie", f"session={serial}; HttpOnly"), ("Set-Cookie", "theme=dark")]
    body = json.dumps({"id": serial, "object": "charge", "path": request.path, "nth": request.nth}).encode()
    if "bytes" in script:
        body = b"x" * script["bytes"][0]
    if "gzip" in script:
        body = gzip.compress(body)
        headers.append(("Content-Encoding", "gzip"))
    status = script["status"][0] if applies(script, "status", request.nth) else 200
    return Answer(status, body, headers, kind)


class Oracle:
    """State of one upstream process: its effects file, the counts per path and the keys it has seen."""

    def __init__(self, file: Path, provider: Provider) -> None:
        self.file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.seen: Counter[str] = Counter()
        self.keys: dict[tuple[str, str], KeyEntry] = {}
        self.connections = itertools.count(1)
        self.happened: list[bytes] = []
        self.provider = provider

    def log(self, request: Request, connection: int, kind: str) -> None:
        """Append one line in one write, so that lines of several processes never mix."""
        line = {
            "time": time.time(),
            "method": request.method,
            "path": request.path,
            "target": request.target,
            "key": request.header("idempotency-key"),
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "length": len(request.body),
            "connection": connection,
            "nth": request.nth,
            "effect": kind == "effect",
            "kind": kind,
            "headers": request.headers,
        }
        os.write(self.file, json.dumps(line).encode() + b"\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive for as long as both sides want."""
        connection = next(self.connections)
        try:
            while await self.exchange(reader, writer, connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass  # the client left or spoke nonsense: nothing was received whole, nothing is counted
        finally:
            writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        """Receive one request, perform its effect, answer by its script. Returns whether to keep the connection."""
        method, target, headers = await read_head(reader)
        path = unquote(urlsplit(target).path)
        self.seen[path] += 1
        nth, script = self.seen[path], script_of(path)
        if applies(script, "drop-request", nth):
            self.log(Request(method, target, headers, b"", nth), connection, "dropped")
            return False
        body = await read_body(reader, writer, headers)
        request = Request(method, target, headers, body, nth)
        answer = await self.perform(request, script, connection)
        keep = await deliver(reader, writer, request, script, answer)
        return keep and "close" not in script and (request.header("connection") or "").lower() != "close"

    async def perform(self, request: Request, script: Script, connection: int) -> Answer:
        """Do the effect (that is: write it down) unless a key says it was done; wait where the script is slow."""
        if applies(script, "refuse", request.nth):  # as a rate limiter in front of the idempotency layer
            answer = error(script["refuse"][0], "api_error", "Nothing was done.", kind="refused")
            self.log(request, connection, answer.kind)
            return answer
        entry, known = self.claim_key(request) if script.keys() & {"keyed", "conflict"} else (None, None)
        if known and known.kind == "replayed" and "conflict" in script:
            known = conflict(known)
        looked_up = self.found(request) if "lookup" in script else None
        answer = known or looked_up or self.provider.answer(request) or plain_answer(request, script)
        if answer.kind == "effect":
            self.happened.append(request.body)
        self.log(request, connection, answer.kind)
        if "slow" in script and not known:
            await asyncio.sleep(script["slow"][0] / 1000)
        if entry is not None:
            entry.answer = answer
        return answer

    def found(self, request: Request) -> Answer:
        """What a provider's list endpoint says."""
        text = request.path.rpartition("/")[2].encode()
        data = [{"object": "charge", "sha256": hashlib.sha256(b).hexdigest()} for b in self.happened if text in b]
        return Answer(200, json.dumps({"data": data}).encode(), [("Content-Type", "application/json")], "read")

    def claim_key(self, request: Request) -> tuple[KeyEntry | None, Answer | None]:
        """A fresh entry to fill, or the answer that an Idempotency-Key seen before calls for, or neither."""
        key = request.header("idempotency-key")
        if key is None or request.method != "POST":
            return None, None
        scope = (request.header("authorization") or "", key)
        digest = hashlib.sha256(request.target.encode() + b"\0" + request.body).hexdigest()
        if scope in self.keys:
            return None, remembered(self.keys[scope], digest, key)
        entry = self.keys[scope] = KeyEntry(digest)
        return entry, None


def remembered(entry: KeyEntry, digest: str, key: str) -> Answer:
    """Stripe's documented idempotency: same parameters get the first answer, others are refused."""
    if entry.digest != digest:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request."
        )
        return error(400, "idempotency_error", message, kind="mismatch")
    if entry.answer is None:
        message = "There is currently another in-progress request using this idempotency key."
        return error(409, "idempotency_key_in_use", message, kind="in-use")
    first = entry.answer
    return Answer(first.status, first.body, [*first.headers, ("Idempotent-Replayed", "true")], "replayed")


def conflict(first: Answer) -> Answer:
    """GoCardless's documented answer to a repeat of what was created."""
    links = {"conflicting_resource_id": json.loads(first.body)["id"]}
    reason = {"reason": "idempotent_creation_conflict", "message": "already created", "links": links}
    body = {"error": {"type": "invalid_state", "code": 409, "errors": [reason]}}
    return Answer(409, json.dumps(body).encode(), [("Content-Type", "application/json")], "replayed")


async def deliver(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: Request,
    script: Script,
    answer: Answer,
) -> bool:
    """Send the answer, or whatever misfortune the script has for it. Returns whether the connection lives on."""
    if await misfortune(reader, writer, request, script, answer):
        return False
    if "hints" in script:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    if "stream" in script:
        await stream(writer, answer, *script["stream"])
        return True
    writer.write(head(answer, len(answer.body)) + (b"" if request.method == "HEAD" else answer.body))
    await writer.drain()
    return True


async def misfortune(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: Request,
    script: Script,
    answer: Answer,
) -> bool:
    """Lose the answer in the way the script asks for. Returns False when there is nothing to lose."""
    name = next((name for name in LOSSES if applies(script, name, request.nth)), None)
    match name:
        case None:
            return answer.lost
        case "hang":
            await reader.read()  # until the client gives up
        case "reset-response":
            linger_zero = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger_zero)
            writer.transport.abort()
        case "half-body":
            half = answer.body[: len(answer.body) // 2]
            writer.write(head(answer, len(answer.body)) + half)
            await writer.drain()
        case "half-chunk":
            writer.write(head(answer, None) + f"{len(answer.body):x}\r\n".encode() + answer.body[:8])
            await writer.drain()
        case "garbage":
            writer.write(b"\x00\xff this is not HTTP\r\n\r\n")
            await writer.drain()
    return True


LOSSES = ("lose-response", "reset-response", "half-body", "half-chunk", "garbage", "hang")


async def main(arguments: argparse.Namespace) -> None:
    """Listen until SIGTERM or SIGINT."""
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
    oracle = Oracle(arguments.file, Provider(arguments.answers))
    server = await asyncio.start_server(
        oracle.serve, arguments.host or "127.0.0.1", arguments.port, ssl=context, backlog=1024, reuse_address=True
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    if hasattr(server, "close_clients"):  # Python 3.13
        server.close_clients()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An upstream that counts effects and misbehaves on request.")
    parser.add_argument("--host", action="append", help="where to listen, once for each address")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--file", type=Path, required=True, help="where effects are appended, one JSON a line")
    parser.add_argument("--answers", type=Path, help="what providers answer, see providers.py")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(parse()))
