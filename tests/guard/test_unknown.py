"""Outcomes that stay open: recorded as unknown, held, never guessed."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error

import aiohttp
import httpx
import openai
import pytest
import requests
import stripe
import urllib3

from ledger import Guard, OutcomeUnknown, Status
from ledger.effects import leaves_open
from tests.guard.conftest import Tool


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("read timed out"),
        ConnectionResetError("reset by peer"),
        BrokenPipeError(),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(3),
        httpx.ReadTimeout("slow"),
        requests.exceptions.ConnectionError("aborted"),
        ExceptionGroup("several", [ValueError(), TimeoutError()]),
    ],
    ids=lambda e: type(e).__name__,
)
def test_the_next_call_is_held(guard: Guard, tool: Tool, error: BaseException) -> None:
    tool.raises = [error]
    with pytest.raises(type(error)) as caught:
        guard(tool.charge, "a", 1)
    assert caught.value is error
    record = guard._engine.store.all()[0]
    assert record.status is Status.UNKNOWN
    assert any(f"ledger resolve {record.id} --done" in note for note in error.__notes__)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match=f"ledger resolve {record.id} --done") as held:
            guard(tool.charge, "a", 1)
        assert type(error).__name__ in str(held.value)
    assert len(tool.effects) == 1
    told = guard.stats()
    assert (told["attempts"], told["unknown"], told["held"], told["executed"]) == (3, 1, 2, 0)


def test_the_seeds_way_runs_it_again(guard: Guard, tool: Tool) -> None:
    guard.policy(tool.charge, on_unknown="retry")
    tool.raises = [TimeoutError()]
    with pytest.raises(TimeoutError):
        guard(tool.charge, "a")
    assert guard(tool.charge, "a") == {"id": "ch_2"}
    assert guard(tool.charge, "a") is None


def _raised(
    error: BaseException, *, cause: BaseException | None = None, during: BaseException | None = None
) -> BaseException:
    try:
        if during is not None:
            try:
                raise during
            except BaseException:
                raise error  # noqa: B904 (its context is what is tested)
        raise error from cause
    except BaseException as caught:
        return caught


POOL = urllib3.HTTPConnectionPool("localhost")
NEVER_SENT = urllib3.exceptions.NewConnectionError(POOL, "refused")  # type: ignore[arg-type]
GAVE_UP = urllib3.exceptions.MaxRetryError(POOL, "/", NEVER_SENT)
REQUEST = httpx.Request("GET", "http://x")


@pytest.mark.parametrize(
    ("error", "is_open"),
    [
        (ValueError("declined"), False),
        (OSError("no such file"), False),
        (ConnectionRefusedError("refused"), False),
        (urllib.error.HTTPError("http://x", 402, "declined", http.client.HTTPMessage(), None), False),
        (urllib.error.URLError(TimeoutError()), True),
        (urllib.error.URLError(ConnectionRefusedError()), False),
        (http.client.RemoteDisconnected(), True),
        (httpx.ConnectError("refused"), False),
        (httpx.RemoteProtocolError("closed"), True),
        (aiohttp.ServerDisconnectedError(), True),
        (requests.exceptions.HTTPError("402"), False),
        (requests.exceptions.ConnectionError(), True),
        (_raised(requests.exceptions.ConnectionError(), during=GAVE_UP), False),
        (stripe.APIConnectionError("lost"), True),
        (stripe.CardError("declined", None, "card_declined"), False),
        (_raised(openai.APIConnectionError(request=REQUEST), cause=httpx.ReadError("x")), True),
        (_raised(openai.APIConnectionError(request=REQUEST), cause=httpx.ConnectError("x")), False),
        (_raised(RuntimeError("tool failed"), cause=TimeoutError()), True),
        (_raised(RuntimeError("tool failed"), during=TimeoutError()), True),
        (_raised(ConnectionRefusedError(), during=TimeoutError("the first try")), True),
        (_raised(TimeoutError("the second try"), during=ConnectionRefusedError("the first")), True),
    ],
)  # fmt: skip
def test_what_an_exception_says_of_the_effect(error: BaseException, is_open: bool) -> None:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
    assert leaves_open(error) is is_open


def test_exceptions_that_hold_each_other_end() -> None:
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert not leaves_open(one)
