"""What is worked out before anything is drawn: the axis, executions from a journal, bodies, a safe curl command."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Event, EventType, Record
from ledger_console.dashboard import bodies, drawing
from ledger_console.dashboard.axis import Axis
from ledger_console.dashboard.curl import curl, quoted
from ledger_console.dashboard.drawing import Span

MOMENTS = st.lists(st.floats(1e9, 2e9), min_size=1, max_size=60)


@given(MOMENTS)
def test_the_axis_keeps_the_order_and_stays_inside(moments: list[float]) -> None:
    axis = Axis(moments)
    places = [axis.place(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert min(places) == 0
    assert max(places) <= 100


@given(MOMENTS)
def test_labels_on_the_axis_do_not_touch(moments: list[float]) -> None:
    at = [tick.at for tick in Axis(moments).ticks(apart=18)]
    assert at[0] == 0
    assert all(after - before >= 17.9 for before, after in itertools.pairwise(at))


def test_milliseconds_and_hours_are_both_seen() -> None:
    axis = Axis([0, 0.04, 10_800])
    assert 10 < axis.place(0.04) < 90


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ("claimed@0 succeeded@2", [Span(0, 2, "success")]),
        ("claimed@0", [Span(0, 9, "running")]),
        ("claimed@0 unknown@1", [Span(0, 1, "unknown"), Span(1, 9, "open")]),
        ("claimed@0 unknown@1 held@2 resolved@3", [Span(0, 1, "unknown"), Span(1, 3, "open")]),
        (
            "claimed@0 unknown@1 claimed@4 settled@5 replayed@6",
            [Span(0, 1, "unknown"), Span(1, 4, "open"), Span(4, 5, "success")],
        ),
        ("claimed@0 unknown@1 succeeded@3", [Span(0, 1, "unknown"), Span(1, 3, "open")]),
        ("claimed@0 failed@1 claimed@2 succeeded@3", [Span(0, 1, "failed"), Span(2, 3, "success")]),
        ("replayed@1 cleared@2", []),
    ],
)
def test_executions_read_from_a_journal(journal: str, expected: list[Span]) -> None:
    events = [Event(EventType(name), "ab", "tool", "wf", float(at)) for name, at in re.findall(r"(\w+)@(\d+)", journal)]
    assert list(drawing.spans(events, now=9)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_pretty_json_says_the_same(value: Any) -> None:
    assert json.loads(bodies.pretty(json.dumps(value))) == value


@pytest.mark.parametrize("text", ["1.10", "1e400", '{"a": 1, "a": 2}', "12345678901234567890.123456789"])
def test_pretty_json_changes_no_digit(text: str) -> None:
    assert re.sub(r"\s", "", bodies.pretty(text)) == re.sub(r"\s", "", text)


HOSTILE = (
    "'; rm -rf / #",
    "$(id)",
    "`id`",
    "a\nb",
    "\x1b]0;x\x07",
    "\u202egnp",
    "\\'",
    "!!",
    "a\rb",
    "-o/etc/passwd",
    "é",
    "\x00"[:0],
)


@given(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)))
def test_a_quoted_word_is_one_line_that_bash_reads_back(text: str) -> None:
    word = quoted(text)
    assert word.isascii()
    assert word.isprintable()
    script = f"printf %s {word}"
    # An environment of its own: no start-up file of the developer's is read.
    read = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, check=True, env={}, timeout=30).stdout
    assert read == text.encode()


def test_curl_carries_what_makes_it_the_same_operation() -> None:
    about = {
        "method": "POST",
        "url": "https://api.x.example/v1?a=1&b='",
        "media_type": "text/plain",
        "request_bytes": 3,
    }
    text = curl(Record(id="ab", tool="t", wf="order 1", about=about))
    assert text is not None
    printed = subprocess.run(["bash", "--norc", "-c", text.replace("curl", "printf '%s\\n'", 1)], capture_output=True,
                             text=True, check=True, timeout=30).stdout.splitlines()  # fmt: skip
    assert printed == ["--globoff", "--request", "POST", "--url", about["url"], "--header", "Ledger-Workflow: order 1",
                       "--header", "Content-Type: text/plain", "--data-binary", "@body"]  # fmt: skip


@pytest.mark.parametrize(
    "about",
    [{}, {"method": "POST"}, {"method": "PO ST", "url": "https://x"}, {"method": "GET", "url": "file:///etc/passwd"},
     {"method": "-o", "url": "-K/etc"}],
)  # fmt: skip
def test_what_is_no_request_gets_no_curl(about: dict[str, Any]) -> None:
    assert curl(Record(id="ab", tool="t", about=about)) is None
