"""Recorded text on a screen: harmless, short, unambiguous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_console.text import age, pairs, short_ids, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zürich – 東京 🎉", "Zürich – 東京 🎉"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd\0", "a\\x0ab\\x09c\\x0dd\\x00"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("safe\u202etxt.exe", "safe\\u202etxt.exe"),
        ("\u2028\ud800\U000e0041", "\\u2028\\ud800\\U000e0041"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_visible_moves_a_cursor_or_breaks_a_line(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize(("seconds", "said"), [(-3, "0s"), (59.9, "59s"), (60, "1m"), (7200, "2h"), (90000, "1d")])
def test_age(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_short_ids_stay_apart() -> None:
    alike = ["a" * 20 + "1", "a" * 20 + "2", "b" * 30]
    short = short_ids(alike)
    assert len(set(short.values())) == 3
    assert all(id.startswith(short[id]) for id in alike)
    assert short_ids(["c" * 64]) == {"c" * 64: "c" * 12}


def test_pairs_can_be_told_apart() -> None:
    assert pairs({"epoch": 1, "why": "in flight", "note": None, "x": "a=b"}) == 'epoch=1 why="in flight" x="a=b"'
