"""XML: what the standard calls one document is one; anything that could mean something else is not."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger_rules.bodies import read

XML = "application/xml"
ORDER = '<order id="7" cur="EUR"><amount>5.00</amount><note/></order>'


def said(text: str | bytes, kind: str = XML) -> bytes:
    found = read(text.encode() if isinstance(text, str) else text, kind)
    assert found.format == "xml", found.notes
    return found.meaning


@pytest.mark.parametrize(
    "other",
    [
        '<order cur="EUR" id="7"><amount>5.00</amount><note/></order>',
        "<order  id='7'\n cur='EUR' ><amount >5.00</amount ><note></note></order>",
        '<?xml version="1.0" encoding="UTF-8"?>' + ORDER,
        "\ufeff" + ORDER,
        ORDER.replace("5.00", "&#53;.<![CDATA[00]]>"),
    ],
)
def test_one_document(other):
    assert said(ORDER) == said(other)


def test_kinds_of_xml():
    assert said("<a></a>", "text/xml; charset=utf-8") == said("<a/>", "text/xml")
    assert said("<a></a>", "application/soap+xml") == said("<a/>", "application/soap+xml")
    assert said("<a/>", "application/soap+xml") != said("<a/>")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ORDER, ORDER.replace("5.00", "5.0")),
        (ORDER, ORDER.replace("5.00", " 5.00")),
        (ORDER, ORDER.replace("<note/>", "")),
        (ORDER, ORDER.replace("<note/>", "\n<note/>")),
        (ORDER, ORDER.replace('id="7"', 'id="7 "')),
        (ORDER, ORDER.replace("id=", "ID=")),
        ("<a><b/><c/></a>", "<a><c/><b/></a>"),
        ("<a>&lt;b/&gt;</a>", "<a><b/></a>"),
        ("<a><!-- 1 --></a>", "<a><!-- 2 --></a>"),
        ("<a><?p 1?></a>", "<a><?p 2?></a>"),
        ('<a b="&#10;"/>', '<a b=" "/>'),
        ("<a>&#13;</a>", "<a>\n</a>"),
        ('<x:a xmlns:x="u:1"/>', '<x:a xmlns:x="u:2"/>'),
        # Exclusive canonicalization would drop the declaration: nothing but a text uses it.
        ('<a xmlns:x="u:1" t="x:Refund"/>', '<a xmlns:x="u:2" t="x:Refund"/>'),
        ('<a xmlns="u:1"/>', "<a/>"),
    ],
)
def test_what_could_be_two_payments_is_two(one, other):
    assert said(one) != said(other)


NESTED = st.recursive(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(
        st.tuples(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xy"), st.text("é<&\"' z")), inner)
    ),
    max_leaves=6,
)


def escaped(text: str) -> str:
    return "".join(f"&#{ord(c)};" if c in "<>&\"'" else c for c in text)


def spelled(inner, spell) -> str:
    if isinstance(inner, str):
        return "".join(f"&#{ord(c)};" for c in inner) if spell else escaped(inner)
    parts = []
    for name, attributes, content in inner:
        items = sorted(attributes.items(), reverse=bool(spell))
        quote = "'" if spell else '"'
        written = "".join(f" {key}={quote}{escaped(value)}{quote}" for key, value in items)
        text = spelled(content, spell)
        parts.append(f"<{name}{written}/>" if spell and not text else f"<{name}{written}>{text}</{name}>")
    return "".join(parts)


@given(NESTED)
def test_two_spellings_of_any_document(inner):
    assert said(f"<r>{spelled(inner, 0)}</r>") == said(f"<r>{spelled(inner, 1)}</r>")


@given(NESTED, NESTED)
def test_two_documents(one, other):
    assume(spelled(one, 0) != spelled(other, 0))
    assert said(f"<r>{spelled(one, 0)}</r>") != said(f"<r>{spelled(other, 0)}</r>")


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><b>&b;</b>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BOMB, "document type declaration"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration"),
        ('<?xml version="1.0" encoding="latin-1"?><a/>', "in latin-1"),
        ('<?xml version="1.1"?><a/>', "XML 1.1"),
        ("<a>", "not well-formed"),
        ("<a/><b/>", "not well-formed"),
        ("<a>&nbsp;</a>", "not well-formed"),
        ("", "not well-formed"),
        ("<a b='1' b='1'/>", "not well-formed"),
        ("plain text", "not well-formed"),
    ],
)
def test_what_is_not_read_is_compared_byte_by_byte_and_says_why(body, why):
    found = read(body.encode(), XML)
    assert found.format == "raw"
    assert why in found.notes[0]


def test_other_encodings_than_the_bytes_are_in():
    assert read("<a>é</a>".encode("utf-16"), XML).format == "raw"
    assert read("<a>é</a>".encode("latin-1"), XML).format == "raw"
    assert read(b"<a/>", "application/xml; charset=utf-16").format == "raw"


def test_any_depth():
    assert said("<a>" * 50_000 + "</a>" * 50_000) == said("<a >" * 50_000 + "</a>" * 50_000)
