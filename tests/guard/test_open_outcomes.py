"""Exceptions of everyday tools that leave open whether the effect happened: the next call is held, not run."""

from __future__ import annotations

import http.client
import smtplib
import ssl
import subprocess
import urllib.error
from email.message import Message

import pytest

from ledger import Guard, OutcomeUnknown
from ledger.stores.memory import MemoryStore


def answered(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://mail.example.com", code, "no", Message(), None)


OPEN = [
    subprocess.TimeoutExpired("sendmail", 5),
    smtplib.SMTPServerDisconnected("Connection unexpectedly closed"),
    ssl.SSLEOFError("EOF occurred in violation of protocol"),
    http.client.BadStatusLine("garbage"),
    answered(504),
    answered(408),
]


@pytest.mark.parametrize("error", OPEN, ids=lambda e: type(e).__name__)
def test_is_held_and_not_run_again(error: Exception) -> None:
    ran: list[int] = []

    def send(order: int) -> None:
        ran.append(order)
        raise error

    guard = Guard(store=MemoryStore())
    with pytest.raises(type(error)):
        guard(send, 1)
    with pytest.raises(OutcomeUnknown):
        guard(send, 1)
    assert ran == [1]


def test_a_refusal_that_was_answered_may_be_tried_again() -> None:
    ran: list[int] = []

    def send(order: int) -> None:
        ran.append(order)
        raise answered(422)

    guard = Guard(store=MemoryStore())
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError):
            guard(send, 1)
    assert ran == [1, 1]


def test_a_timeout_hidden_by_from_none_still_leaves_it_open() -> None:
    def send(order: int) -> None:
        try:
            raise TimeoutError("no answer")
        except TimeoutError:
            raise ValueError("could not send") from None

    guard = Guard(store=MemoryStore())
    with pytest.raises(ValueError, match="could not send"):
        guard(send, 1)
    with pytest.raises(OutcomeUnknown):
        guard(send, 1)
