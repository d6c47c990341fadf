"""However a body arrives, in one piece, in many or from a file, it is read as the same; and nothing makes it raise."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.bodies import BodyView, Digest, read, read_file
from ledger_rules.jsonpaths import Path

MULTIPART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b-\r\n--b--\r\n'
BODIES = {
    "application/json": '{"a": [1, 2.50, "é"], "b": null}'.encode(),
    "application/x-www-form-urlencoded": b"a=1&b=%20&a=2",
    "multipart/form-data; boundary=b": MULTIPART,
    "application/xml": '<a x="1">text &amp; é<!-- c --></a>'.encode(),
    "application/graphql": b"mutation { pay(n: 1) }",
    "application/octet-stream": bytes(range(256)),
}
VIEW = BodyView(ignore=(Path.parse("$.b"),))


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(
    st.sampled_from(list(BODIES)),
    st.binary(max_size=300) | st.none(),
    st.sampled_from(["", "gzip", "gzip bytes", "br"]),
    st.lists(st.integers(0, 400)),
)
def test_pieces_are_the_whole(kind, body, encoding, cuts):
    sent = BODIES[kind] if body is None else body
    sent = gzip.compress(sent) if encoding == "gzip" else sent
    whole = read(sent, kind, encoding.split(" ")[0], VIEW)
    digest = Digest(kind, encoding.split(" ")[0], VIEW)
    for piece in pieces(sent, cuts):
        digest.feed(piece)
    assert digest.finish() == whole
    assert read_file(io.BytesIO(sent), kind, encoding.split(" ")[0], VIEW) == whole


def test_the_samples_are_what_they_say():
    formats = ["json", "form", "multipart", "xml", "graphql", "raw"]
    assert [read(body, kind).format for kind, body in BODIES.items()] == formats


@pytest.mark.parametrize("kind", BODIES)
def test_byte_by_byte(kind):
    digest = Digest(kind)
    for byte in BODIES[kind]:
        digest.feed(bytes((byte,)))
    assert digest.finish() == read(BODIES[kind], kind)


@given(
    st.binary(max_size=200) | st.sampled_from(list(BODIES.values())),
    st.text(max_size=30) | st.sampled_from(list(BODIES)) | st.none(),
    st.text(max_size=10) | st.sampled_from(["gzip", "br", "zstd", "deflate"]),
)
def test_nothing_is_too_strange(body, kind, encoding):
    view = BodyView(ignore=(Path.parse("$..a"),), only=())
    assert read(body, kind, encoding, view) == read(body, kind, encoding, view)


@given(st.sampled_from(list(BODIES)), st.sampled_from(list(BODIES)), st.data())
def test_two_media_types_are_never_one(one, other, data):
    body = data.draw(st.sampled_from(list(BODIES.values())))
    assert (read(body, one).meaning == read(body, other).meaning) == (one == other)


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", "multipart/form-data; boundary=b"])
def test_a_body_larger_than_memory_may_be_is_read_in_pieces(kind):
    piece = b"x" * (1 << 20)
    head, tail = MULTIPART.split(b"1\r\n")
    digest = Digest(kind)
    tracemalloc.start()
    digest.feed(head)
    for _ in range(100):
        digest.feed(piece)
    digest.feed(b"\r\n" + tail)
    found = digest.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert found.format == ("multipart" if kind.startswith("multipart") else "raw")
    assert found.size == len(MULTIPART) - 1 + (100 << 20)


@pytest.mark.parametrize(
    ("kind", "many"),
    [
        ("application/json", b"[" + b"0," * 500_000 + b"0]"),
        ("application/json", b"[" + b"[]," * 250_000 + b"0]"),
        ("application/x-www-form-urlencoded", b"a&" * 100_000),
        ("application/xml", b"<r>" + b"<a/>" * 250_000 + b"</r>"),
    ],
)
def test_a_body_of_very_many_small_things_is_not_taken_apart(kind, many):
    found = read(many, kind)
    assert found.format == "raw"
    assert found.notes[0].startswith("compared byte by byte: more than ")


class TestMediaTypes:
    @pytest.mark.parametrize(
        "kind", ["application/json; charset", "application/json; a=1; a=2", "json", 'application/json; a="', "a/b/c"]
    )
    def test_a_header_that_breaks_its_grammar_is_compared_whole_and_the_body_byte_by_byte(self, kind):
        assert read(b"{}", kind).format == "raw"
        assert read(b"{}", kind).meaning != read(b"{}", kind + " ").meaning

    def test_the_charset_of_raw_bytes_counts(self):
        assert read(b"\xe9", "text/plain; charset=latin-1").meaning != read(b"\xe9", "text/plain").meaning

    def test_bodies_that_lie_about_their_type(self):
        for kind in ("application/json", "application/xml", "multipart/form-data; boundary=b"):
            found = read(b"amount=5", kind)
            assert found.format == "raw"
            assert found.meaning != read(b"amount=5", "application/x-www-form-urlencoded").meaning

    @pytest.mark.parametrize("length", ["1", "8", "", "-7", "seven", "7, 7"])
    def test_a_length_that_is_not_the_bodys(self, length):
        found = read(b'{"a":1}', "application/json", length=length)
        assert found.format == "raw"
        assert found.notes == (f"compared byte by byte: Content-Length is {length}, but 7 bytes came",)
        assert read(b'{"a":1}', "application/json", length=" 7 ").format == "json"

    def test_json_that_says_it_is_a_form_is_a_form_with_a_strange_name(self):
        kind = "application/x-www-form-urlencoded"
        one, other = (json.dumps({"a": n}).encode() for n in (1, 2))
        assert read(one, kind).meaning != read(other, kind).meaning
