"""Running a guarded function, once, and what its end says of its effect. Decides nothing about the record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from ledger import codec
from ledger.notices import tell
from ledger.records import Result, Status
from ledger.steps import Outcome


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# All by name, so that no library is imported for it. `docs/guard.md` has the same table; a test compares them.
NOT_SENT = _names("""
    builtins.ConnectionRefusedError socket.gaierror
    urllib3.exceptions.NewConnectionError urllib3.exceptions.NameResolutionError
    urllib3.exceptions.ConnectTimeoutError requests.exceptions.ConnectTimeout
    httpx.ConnectError httpx.ConnectTimeout httpx.PoolTimeout httpcore.ConnectError httpcore.ConnectTimeout
    aiohttp.client_exceptions.ClientConnectorError aiohttp.client_exceptions.ConnectionTimeoutError
    botocore.exceptions.EndpointConnectionError botocore.exceptions.ConnectTimeoutError
""")
"""The effect's request never left: an ordinary failure."""
MAYBE_SENT = _names("""
    builtins.TimeoutError builtins.ConnectionError asyncio.exceptions.IncompleteReadError
    requests.exceptions.Timeout requests.exceptions.ChunkedEncodingError
    httpx.TimeoutException httpx.NetworkError httpx.RemoteProtocolError
    httpcore.TimeoutException httpcore.NetworkError httpcore.RemoteProtocolError
    aiohttp.client_exceptions.ClientOSError aiohttp.client_exceptions.ServerDisconnectedError
    aiohttp.client_exceptions.ClientPayloadError
    urllib3.exceptions.ReadTimeoutError urllib3.exceptions.ProtocolError
    botocore.exceptions.ReadTimeoutError botocore.exceptions.ConnectionClosedError
    http.client.IncompleteRead http.client.BadStatusLine
    ssl.SSLEOFError ssl.SSLZeroReturnError
    smtplib.SMTPServerDisconnected subprocess.TimeoutExpired
""")
"""The effect may have happened although the function did not come to its end. So it may with whatever is no
Exception: CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit."""
WRAPPERS = _names("""
    requests.exceptions.ConnectionError urllib3.exceptions.MaxRetryError urllib.error.URLError
    stripe._error.APIConnectionError stripe.error.APIConnectionError
    openai.APIConnectionError anthropic.APIConnectionError
    botocore.exceptions.ConnectionError botocore.exceptions.HTTPClientError
""")
"""Lost connections of unknown phase: open, unless what they wrap says that nothing was sent."""
ANSWERED = {
    "urllib.error.HTTPError": "code",
    "requests.exceptions.HTTPError": "response.status_code",
    "httpx.HTTPStatusError": "response.status_code",
    "aiohttp.client_exceptions.ClientResponseError": "status",
    "openai.APIStatusError": "status_code",
    "anthropic.APIStatusError": "status_code",
    "botocore.exceptions.ClientError": "response.ResponseMetadata.HTTPStatusCode",
    "stripe._error.StripeError": "http_status",
    "stripe.error.StripeError": "http_status",
}
"""The other side answered, and where the exception has its status: an ordinary failure, unless the status follows an
effect as often as not: 408 and 5xx."""


class StillToAwait(Exception):
    """The function was a plain one, and what it returned is to be awaited: the effect is only beginning."""

    def __init__(self, value: Awaitable[Any]) -> None:
        super().__init__(value)
        self.value = value


def perform(fn: Callable[[], Any], keep: bool) -> Outcome:
    """Call it. keep: warn when the result cannot be kept, because replays will want it. Raises StillToAwait."""
    try:
        value = fn()
    except BaseException as error:
        return failure(error)
    if hasattr(type(value), "__await__"):
        raise StillToAwait(value)
    return success(value, keep)


async def aperform(fn: Callable[[], Awaitable[Any]], keep: bool) -> Outcome:
    """As `perform`, awaiting."""
    try:
        value = await fn()
    except BaseException as error:
        return failure(error)
    return success(value, keep)


def success(value: object, keep: bool) -> Outcome:
    """It came to its end. A result that cannot be kept changes nothing about that."""
    kept: Result | None
    try:
        kept = codec.encode(value)
    except Exception as error:  # whatever a value does when it is looked at, its effect has happened
        _tell_why(value, error, keep)
        kept = None
    return Outcome(Status.SUCCESS, value, kept)


def failure(error: BaseException) -> Outcome:
    """An ordinary exception says that it failed; one that leaves the outcome open says nothing."""
    status = Status.UNKNOWN if leaves_open(error) else Status.FAILED
    return Outcome(status, error, error=f"{type(error).__name__}: {_text(error)}".removesuffix(": "))


def leaves_open(error: BaseException) -> bool:
    """Whether the effect may have happened, by the exception and by what it was raised from."""
    phases = {_phase(e) for e in _chain(error, set())}
    return "maybe" in phases or ("wrapper" in phases and "not" not in phases)


def _phase(error: BaseException) -> str | None:
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in NOT_SENT:
            return "not"
        if name in MAYBE_SENT:
            return "maybe"
        if name in WRAPPERS:
            return "wrapper"
        if name in ANSWERED:
            return "maybe" if _leaves_open(_status(error, ANSWERED[name])) else None
    # What is no Exception broke the function off from outside: Ctrl-C, a cancellation, a signal handler.
    return None if isinstance(error, Exception) else "maybe"


def _status(error: BaseException, path: str) -> object:
    found: object = error
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return found


def _leaves_open(status: object) -> bool:
    return isinstance(status, int) and (status == 408 or status >= 500)


def _chain(error: BaseException, met: set[int]) -> Iterator[BaseException]:
    if id(error) in met:
        return
    met.add(id(error))
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _chain(inner, met)
    # Also where `from None` hides it: what is not shown may have happened all the same.
    before = error.__cause__ if error.__cause__ is not None else error.__context__
    reason = getattr(error, "reason", None)
    for earlier in (before, reason):
        if isinstance(earlier, BaseException):
            yield from _chain(earlier, met)


def _tell_why(value: object, error: Exception, keep: bool) -> None:
    if type(value) in (GeneratorType, AsyncGeneratorType):  # not isinstance, which asks the value itself
        tell("⚠  it returned a generator: what that does is not guarded; guard what runs it to its end")
    if keep:
        tell(f"⚠  the result cannot be kept, so it cannot be replayed: {_text(error)}")


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except Exception:
        return ""
