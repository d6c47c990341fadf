"""A multipart body is its parts in order; the boundary, made up for every request, is noise."""

from __future__ import annotations

import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger_rules.bodies import BodyView, Reading, read
from ledger_rules.jsonpaths import Path
from ledger_rules.multipart import MAX_PARTS, MAX_TEXT

type Part = tuple[str, bytes]

FILE = 'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf'


def field(name: str, value: str | bytes) -> Part:
    return f'Content-Disposition: form-data; name="{name}"', value.encode() if isinstance(value, str) else value


def written(*parts: Part, boundary: str = "b-1") -> bytes:
    lines = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), data) for head, data in parts)
    return lines + b"--%s--\r\n" % boundary.encode()


def reading(body: bytes, boundary: str = "b-1", **view: list[str]) -> Reading:
    paths = {name: tuple(Path.parse(text) for text in texts) for name, texts in view.items()}
    return read(body, f"multipart/form-data; boundary={boundary}", None, BodyView(**paths))


def said(*parts: Part, boundary: str = "b-1", **view: list[str]) -> bytes:
    found = reading(written(*parts, boundary=boundary), boundary, **view)
    assert found.format == "multipart", found.notes
    return found.meaning


NAMES = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=5)
PARTS = st.lists(st.tuples(NAMES, st.binary(max_size=60)).map(lambda pair: field(*pair)), max_size=4)
BOUNDARIES = st.from_regex(r"[0-9a-zA-Z]{8,32}", fullmatch=True)


class TestParts:
    @given(PARTS, BOUNDARIES, BOUNDARIES)
    def test_the_boundary_does_not_matter(self, parts, one, other):
        for boundary in (one, other):
            assume(not any(boundary.encode() in data for _, data in parts))
        assert said(*parts, boundary=one) == said(*parts, boundary=other)

    @given(PARTS, PARTS)
    def test_different_parts_differ(self, one, other):
        assume(one != other)
        assert said(*one) != said(*other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([field("a", "1"), field("b", "2")], [field("b", "2"), field("a", "1")]),
            ([field("a", "12")], [field("a", "1"), field("a", "2")]),
            ([field("a", "1")], [field("b", "1")]),
            ([(FILE, b"x")], [(FILE.replace("a.pdf", "b.pdf"), b"x")]),
            ([(FILE, b"x")], [(FILE.replace("application/pdf", "text/plain"), b"x")]),
            ([(FILE, b"x")], [(FILE, b"x ")]),
            ([(FILE, b"x")], [(FILE, b"x\r\n")]),
            ([(FILE, b"x")], [(FILE, b"x"), (FILE, b"x")]),
            ([field("a", "")], []),
        ],
    )
    def test_what_could_be_two_payments_is_two(self, one, other):
        assert said(*one) != said(*other)

    def test_data_that_looks_like_a_boundary(self):
        data = b"\r\n--b-\r\n--b-1x\r\n\r\n--b"
        assert said(field("a", data)) != said(field("a", data + b"-"))

    def test_what_requests_sends_twice_is_one(self):
        def prepared(content: bytes) -> bytes:
            files = {"file": ("a.pdf", content, "application/pdf")}
            sent = requests.Request("POST", "https://a.example/", data={"order": "7"}, files=files).prepare()
            assert isinstance(sent.body, bytes)
            found = read(sent.body, str(sent.headers["Content-Type"]))
            assert found.format == "multipart"
            return found.meaning

        assert prepared(b"x" * 100_000) == prepared(b"x" * 100_000) != prepared(b"x" * 100_001)


class TestNotToTheLetter:
    """Parsers differ in what they forgive; what needs forgiving is compared byte by byte."""

    GOOD = written(field("a", "1"), field("b", "2"))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"--b-1",
            GOOD[:-4],
            GOOD[:20],
            b"preamble\r\n" + GOOD,
            b"\r\n" + GOOD,
            b"\r\n" + GOOD[:-2],
            GOOD + b"epilogue",
            GOOD[:-2] + b"xx",
            GOOD + b"\r\n",
            GOOD.replace(b"--b-1\r\n", b"--b-1 \r\n"),
            GOOD.replace(b"\r\n", b"\n"),
            GOOD.replace(b"name=", b"\r\n name="),
            GOOD.replace(b"Disposition: ", b"Disposition:"),
            GOOD.replace(b"Content-Disposition", b"Content Disposition"),
            GOOD.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 10_000 + b"\r\n\r\n"),
            b"".join(b"--b-1\r\n\r\n\r\n" for _ in range(MAX_PARTS + 1)) + b"--b-1--",
        ],
    )
    def test_it_is_compared_byte_by_byte(self, body, capfd):
        assert reading(body).format == "raw"
        assert capfd.readouterr() == ("", "")

    def test_the_line_may_end_after_the_last_boundary(self):
        assert reading(self.GOOD[:-2]).meaning == reading(self.GOOD).meaning

    @pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; x"])
    def test_without_a_boundary(self, kind):
        assert read(self.GOOD, kind).format == "raw"

    def test_another_boundary_than_the_body_has(self):
        assert reading(self.GOOD, "b-2").format == "raw"

    @given(st.data())
    def test_a_changed_byte_is_another_body(self, data):
        body = bytearray(self.GOOD)
        place = data.draw(st.integers(0, len(body) - 3))
        body[place] ^= data.draw(st.integers(1, 255))
        # Header names are the one thing in it that has two spellings.
        assume(bytes(body).lower() != self.GOOD.lower())
        assert reading(bytes(body)).meaning != reading(self.GOOD).meaning


class TestViews:
    def test_a_field_can_be_ignored(self):
        view = {"ignore": ["$.ts"]}
        one = said(field("ts", "1"), field("a", "1"), (FILE, b"x"), **view)
        assert one == said(field("ts", "2"), field("a", "1"), (FILE, b"x"), **view)
        assert one != said(field("ts", "1"), field("a", "2"), (FILE, b"x"), **view)
        assert one != said(field("ts", "1"), field("a", "1"), (FILE, b"y"), **view)

    def test_paths_that_would_leave_nothing_are_not_followed(self):
        assert said(field("a", "1"), ignore=["$.*"]) != said(field("a", "2"), ignore=["$.*"])
        assert said(field("a", "1"), ignore=["$.a[0]"]) != said(field("a", "2"), field("a", "1"), ignore=["$.a[0]"])

    def test_a_field_can_be_the_business_key(self):
        view = {"only": ["$.order"]}
        assert said(field("order", "7"), (FILE, b"x"), **view) == said((FILE, b"y"), field("order", "7"), **view)
        assert said(field("order", "7"), **view) != said(field("order", "8"), **view)
        assert said((FILE, b"x"), **view) != said((FILE, b"y"), **view)

    def test_a_file_can_be_the_business_key_by_its_hash(self):
        view = {"only": ["$.file[0].sha256"]}
        assert said((FILE, b"x"), field("ts", "1"), **view) == said((FILE, b"x"), field("ts", "2"), **view)
        assert said((FILE, b"x"), **view) != said((FILE, b"y"), **view)

    def test_a_long_field_and_one_that_is_no_text_count_by_their_hash(self):
        for one, other in ((b"x" * MAX_TEXT + b"1", b"x" * MAX_TEXT + b"2"), (b"\xff", b"\xfe")):
            assert said(field("a", one), only=["$.a"]) != said(field("a", other), only=["$.a"])
