"""What a file may say of who is told of an unknown outcome, and what it may not."""

from __future__ import annotations

import pytest

from ledger_rules import RulesError, loads
from ledger_rules.notify import Missing, Notify

HEAD = "packs: [stripe]\nnotify:\n"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{name: a}", "expected either 'webhook' or 'command'"),
        ("{name: a, webhook: 'https://x.com', command: [page]}", "expected either 'webhook' or 'command'"),
        ("{name: a, command: [page], headers: {X: y}}", "expected 'headers' with a 'webhook' only"),
        ("{name: a, command: page --now}", "expected a list"),
        ("{name: a, command: []}", "at least 1"),
        ("{name: a, webhook: 'ftp://x.com'}", "expected an http(s) URL"),
        ("{name: a b, webhook: 'https://x.com'}", "expected a name"),
        ("{name: a, webhok: 'https://x.com'}", "did you mean 'webhook'"),
    ],
)
def test_a_wrong_entry_is_one_line_that_says_what_was_expected(entry: str, said: str) -> None:
    with pytest.raises(RulesError) as raised:
        loads(f"{HEAD}  - {entry}\n")
    assert str(raised.value).startswith("ledger.yaml:3:")
    assert said in str(raised.value)


def test_two_of_one_name_would_be_one() -> None:
    with pytest.raises(RulesError, match=r"ledger.yaml:4:\d+: name: 'a' is already the name of another"):
        loads(f"{HEAD}  - {{name: a, command: [x]}}\n  - {{name: a, command: [y]}}\n")


def test_variables_are_filled_in_when_it_is_sent_and_a_missing_one_is_named() -> None:
    notify = Notify("ops", "${HOOK}", (("Authorization", "Bearer ${TOKEN}"),))
    assert notify.filled({"HOOK": "https://x.com/s3", "TOKEN": "t"}) == (
        "https://x.com/s3",
        [("Authorization", "Bearer t")],
    )
    with pytest.raises(Missing, match="TOKEN"):
        notify.filled({"HOOK": "https://x.com"})
    for bad in ("x.com/hook", "file:///etc/passwd", "https://"):
        with pytest.raises(Missing, match=r"is not an http\(s\) URL"):
            notify.filled({"HOOK": bad, "TOKEN": "t"})
    with pytest.raises(Missing, match="line break"):
        notify.filled({"HOOK": "https://x.com", "TOKEN": "t\r\nX: y"})
