"""Which fields travel end to end, and how bytes become text."""

from __future__ import annotations

import pytest

from ledger_proxy.headers import end_to_end, to_bytes, to_text


def test_what_belongs_to_one_connection_stays_behind():
    hop = ["Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade"]
    proxy = ["Proxy-Authorization", "Proxy-Authenticate", "proxy-connection"]
    fields = [("Accept", "*/*"), *((name, "x") for name in hop + proxy), ("X-Kept", "1")]
    assert end_to_end(fields) == (("Accept", "*/*"), ("X-Kept", "1"))


def test_what_connection_names_stays_behind_too_in_any_case_and_however_often_it_comes():
    fields = [("X-Hop", "1"), ("connection", "close, x-HOP"), ("X-Other", "2"), ("CONNECTION", "X-Other"), ("A", "3")]
    assert end_to_end(fields) == (("A", "3"),)


def test_repeated_fields_keep_their_order_their_case_and_their_number():
    fields = ((b"set-cookie", b"a=1"), (b"Vary", b"x"), (b"Set-Cookie", b"b=2"), (b"Transfer-Encoding", b"chunked"))
    assert end_to_end(fields) == fields[:3]


def test_a_name_is_not_taken_for_another_that_begins_or_ends_alike():
    fields = [("Connection", "close, keep"), ("Keep", "dropped"), ("Keeper", "1"), ("X-Upgrade", "2"), ("Proxy", "3")]
    assert end_to_end(fields) == (("Keeper", "1"), ("X-Upgrade", "2"), ("Proxy", "3"))


@pytest.mark.parametrize("raw", [b"plain", "café".encode(), b"caf\xe9", bytes(range(256))])
def test_any_bytes_survive_being_text(raw):
    assert to_bytes(to_text(raw)) == raw
    assert to_bytes(raw.decode("ascii", "surrogateescape")) == raw
