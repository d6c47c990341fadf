"""How somebody is told of one unknown outcome: a POST, or a command without a shell. Claims and records nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ledger.records import Record, Status
from ledger.steps import Outcome
from ledger_proxy.upstream import MaybeSent, NotSent, Streamed, Upstream
from ledger_rules.notify import Missing, Notify
from ledger_rules.request import DEFAULT_PORTS, Request

SECONDS = 10.0
"""For an answer, or a command's end."""
MAX_ERROR = 300
"""Characters that are kept of what a command says on stderr."""


class Teller:
    """Tells through an upstream that is made when it is needed: most sidecars never tell of anything.

    environment: where `${VARIABLE}`s are from. db: which ledger it is about.
    """

    def __init__(self, upstream: Callable[[], Upstream], db: str, environment: Mapping[str, str] = os.environ) -> None:
        self._make, self._db, self._environment = upstream, db, environment
        self._upstream: Upstream | None = None

    async def close(self) -> None:
        """Close its connections; what is being told breaks off."""
        if self._upstream is not None:
            await self._upstream.close()

    async def tell(self, notify: Notify, record: Record) -> Outcome:
        """Tell once. `failed` where it is certain that nothing was told. Raises nothing but when it is cancelled."""
        news = json.dumps(_news(record, self._db)).encode()
        try:
            return await (self._post(notify, news) if notify.webhook else _run(notify, news))
        except (Missing, NotSent) as error:
            return Outcome(Status.FAILED, error=str(error))
        except TimeoutError:
            return Outcome(Status.UNKNOWN, error=f"no end within {SECONDS:g} s")
        except MaybeSent as error:
            return Outcome(Status.UNKNOWN, error=str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return Outcome(Status.UNKNOWN, error=f"{type(error).__name__} while it was told")

    async def _post(self, notify: Notify, news: bytes) -> Outcome:
        url, given = notify.filled(self._environment)
        headers = [("Content-Type", "application/json"), ("User-Agent", "ledger-sidecar"), *given]
        self._upstream = self._upstream or self._make()
        async with asyncio.timeout(SECONDS):
            answer = await self._upstream.send(_request(url, headers, news), headers=headers, resendable=False)
        if isinstance(answer, Streamed):
            answer.body.close()
        about: dict[str, object] = {"response_status": answer.status}
        if 200 <= answer.status < 300:
            return Outcome(Status.SUCCESS, about=about)
        # A receiver that breaks may have told somebody before; one that refuses has not.
        status = Status.UNKNOWN if answer.status >= 500 or answer.status == 408 else Status.FAILED
        return Outcome(status, error=f"the webhook answered {answer.status}", about=about)


def _request(url: str, headers: list[tuple[str, str]], body: bytes) -> Request:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return Request("POST", parts.scheme, parts.hostname or "", port, target, tuple(headers), body)


async def _run(notify: Notify, news: bytes) -> Outcome:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        # A group of its own: Ctrl-C at the sidecar's terminal is not meant for it, and what it starts ends with it.
        child = await asyncio.create_subprocess_exec(
            *notify.command, stdin=pipe, stdout=null, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        return Outcome(Status.FAILED, error=f"{notify.command[0]} cannot be run: {error.strerror or error}")
    try:
        async with asyncio.timeout(SECONDS):
            said = await _spoken(child, news)
    finally:
        await _end(child)
    if child.returncode == 0:
        return Outcome(Status.SUCCESS)
    last = said.decode(errors="replace").strip()[-MAX_ERROR:]
    # It ran, so it may have told somebody before it failed.
    return Outcome(Status.UNKNOWN, error=f"{notify.command[0]} ended with {child.returncode}{last and f': {last}'}")


async def _spoken(child: asyncio.subprocess.Process, news: bytes) -> bytes:
    """Give it the news and read what it says until it ends; of much, the end."""
    if child.stdin is None or child.stderr is None:
        raise RuntimeError("a command was started without its pipes")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(news)
        await child.stdin.drain()
    child.stdin.close()
    said = b""
    while piece := await child.stderr.read(65_536):
        said = (said + piece)[-4 * MAX_ERROR :]
    await child.wait()
    return said


async def _end(child: asyncio.subprocess.Process) -> None:
    """With all that it began. What left its group may still hold its pipe, so the wait is bounded."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await child.wait()


def _news(record: Record, db: str) -> dict[str, Any]:
    """What the receiver gets. text: what chat services show."""
    what = " ".join(str(record.about[part]) for part in ("method", "url") if record.about.get(part)) or record.tool
    settle = [f"ledger resolve {record.id[:12]} --{word}" for word in ("done", "not-done")]
    told = (
        f"Ledger: {what} may have happened ({record.error or 'no answer came back'}). Ask the provider, then settle it"
    )
    text = f"{told}: {settle[0]}, or --not-done"
    return {"event": "unknown", "text": text, "settle": settle, "ledger": db, "record": record.as_dict()}
