"""An encoded body is what comes out of it, unless something is wrong with it: then it is its bytes."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.bodies import Digest, read
from ledger_rules.encodings import FREE, Undecodable, decoded

JSON = "application/json"
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
BODY = b'{"amount": 5, "note": "' + b"thank you " * 50 + b'"}'
OTHER = BODY.replace(b"5", b"6")
every_encoding = pytest.mark.parametrize("encoding", ENCODERS)


def zeros(encoding: str, mebibytes: int) -> bytes:
    """A bomb."""
    if encoding == "br":
        return brotli.compress(bytes(mebibytes << 20), quality=2)
    return ENCODERS[encoding](bytes(mebibytes << 20))


@every_encoding
class TestDecoded:
    def test_an_encoded_body_is_what_comes_out_of_it(self, encoding):
        encode = ENCODERS[encoding]
        assert read(encode(BODY), JSON, encoding).meaning == read(BODY, JSON).meaning
        assert read(encode(BODY), JSON, encoding).meaning != read(encode(OTHER), JSON, encoding).meaning

    def test_also_where_the_format_is_not_read(self, encoding):
        assert read(ENCODERS[encoding](BODY), "text/plain", encoding).meaning == read(BODY, "text/plain").meaning

    def test_it_says_so(self, encoding):
        sent = ENCODERS[encoding](BODY)
        found = read(sent, JSON, encoding.upper())
        assert found.notes == (f"{encoding} decoded: {len(sent)} bytes became {len(BODY)}",)
        assert found.size == len(sent)

    @given(st.binary(max_size=2000), st.integers(1, 400))
    def test_nothing_is_lost(self, encoding, body, times):
        assert decoded(ENCODERS[encoding](body * times), encoding) == body * times

    def test_the_bytes_that_were_sent_are_still_told_apart(self, encoding):
        assert read(ENCODERS[encoding](BODY), JSON, encoding).sent != read(BODY, JSON).sent


def test_the_time_in_a_gzip_header_does_not_matter():
    def at(time: int) -> bytes:
        return gzip.compress(BODY, mtime=time)

    assert at(1) != at(2)
    assert read(at(1), JSON, "gzip").meaning == read(at(2), JSON, "gzip").meaning


def test_several_codings_are_undone_last_first():
    twice = brotli.compress(gzip.compress(BODY))
    assert read(twice, JSON, "gzip, br").meaning == read(BODY, JSON).meaning
    assert read(twice, JSON, "br, gzip").format == "raw"
    assert read(BODY, JSON, "identity").meaning == read(BODY, JSON, "").meaning == read(BODY, JSON).meaning


def test_several_members_and_frames_are_one_body():
    assert decoded(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip") == b"one two"
    frame = zstandard.ZstdCompressor().compress
    assert decoded(frame(b"one ") + frame(b"two"), "zstd") == b"one two"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_thousand_members_are_one_body_and_more_are_not(encoding):
    member = ENCODERS[encoding](b"x")
    assert decoded(member * 1000, encoding) == b"x" * 1000
    with pytest.raises(Undecodable):
        decoded(member * 1001, encoding)


@every_encoding
class TestBroken:
    """What cannot be decoded to the last byte is compared as it was sent."""

    def broken(self, encoding: str) -> dict[str, bytes]:
        whole = ENCODERS[encoding](BODY)
        return {"cut short": whole[:-1], "more after it": whole + b"x", "not encoded": BODY, "empty": b""}

    @pytest.mark.parametrize("case", ["cut short", "more after it", "not encoded", "empty"])
    def test_it_is_compared_byte_by_byte_and_says_so(self, encoding, case):
        found = read(self.broken(encoding)[case], JSON, encoding)
        assert found.format == "raw"
        assert found.notes[0].startswith(f"compared byte by byte: Content-Encoding {encoding}: ")

    def test_it_is_never_the_same_as_the_whole_or_as_plain_bytes(self, encoding):
        found = [read(body, JSON, encoding).meaning for body in self.broken(encoding).values()]
        found += [read(body, JSON).meaning for body in self.broken(encoding).values()]
        assert len(set(found)) == len(found)

    @given(st.data())
    def test_a_changed_byte_never_says_the_same_unless_it_decodes_to_the_same(self, encoding, data):
        whole = bytearray(ENCODERS[encoding](BODY))
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] ^= data.draw(st.integers(1, 255))
        try:
            said = decoded(bytes(whole), encoding)
        except Undecodable:
            said = None
        assert (read(bytes(whole), JSON, encoding).meaning == read(BODY, JSON).meaning) == (said == BODY)

    def test_a_bomb_is_not_blown_up(self, encoding):
        bomb = zeros(encoding, 128)
        tracemalloc.start()
        found = read(bomb, "text/plain", encoding)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.format == "raw"
        assert "bytes come out of the first" in found.notes[0]
        assert peak < 64 << 20


def test_a_bomb_within_that_comes_to_nothing_is_not_blown_up():
    """A gzip header may hold a name of any length: nothing of it comes out."""
    named = b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * (64 << 20) + b"\0" + gzip.compress(b"{}")[10:]
    assert decoded(named[:1000] + named[64 << 20 :], "gzip") == b"{}"
    found = read(gzip.compress(named), JSON, "gzip, gzip")
    assert "bytes come out of the first" in found.notes[0]


def test_what_compresses_well_and_is_small_is_no_bomb():
    assert read(gzip.compress(b'{"a":"' + b"x" * (FREE - 100) + b'"}'), JSON, "gzip").format == "json"


def test_unknown_and_endless_codings():
    assert read(BODY, JSON, "compress").notes == (
        "compared byte by byte: the Content-Encoding compress is not known here",
    )
    assert read(BODY, JSON, "gzip, gzip, gzip, gzip").format == "raw"


@every_encoding
def test_where_a_bound_is_met_does_not_depend_on_how_the_bytes_arrive(encoding):
    noise = bytes(range(256)) * 4
    for body in (zeros(encoding, 9), ENCODERS[encoding](noise * 400), zeros(encoding, 9)[:-5]):
        whole, file = read(body, None, encoding), io.BytesIO(body)
        digest = Digest(None, encoding)
        while piece := file.read(977):
            digest.feed(piece)
        assert digest.finish() == whole
