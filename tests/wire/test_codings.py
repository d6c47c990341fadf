"""A recorded answer is given to every reader in a coding that it can take."""

from __future__ import annotations

import gzip

import pytest

from ledger_proxy.codings import readable

PLAIN = b'{"id": "ch_1"}'
HEADERS = [(b"Content-Type", b"application/json"), (b"Content-Encoding", b"gzip"), (b"Content-Length", b"34")]


@pytest.mark.parametrize("accepts", ["gzip", "br, GZIP;q=0.5", "x-gzip", "*", "gzip;q=nonsense"])
def test_who_asks_for_the_coding_gets_the_recorded_bytes(accepts: str) -> None:
    packed = gzip.compress(PLAIN)
    assert readable(HEADERS, packed, accepts) == (HEADERS, packed)


@pytest.mark.parametrize("accepts", [None, "", "identity", "br", "gzip;q=0", "*;q=0.0", "*, gzip;q=0"])
def test_who_does_not_gets_it_plain(accepts: str | None) -> None:
    assert readable(HEADERS, gzip.compress(PLAIN), accepts) == ([HEADERS[0]], PLAIN)


def test_what_cannot_be_decoded_is_given_as_it_is() -> None:
    assert readable(HEADERS, b"not gzip", None) == (HEADERS, b"not gzip")


def test_plain_answers_are_left_alone() -> None:
    assert readable(HEADERS[:1], PLAIN, None) == (HEADERS[:1], PLAIN)
