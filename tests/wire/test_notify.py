"""`notify:` tells people of unknown outcomes: once each, whatever is restarted, and nothing waits for it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.upstream import Upstream, running_upstream
from tests.wire.sidecars import RULES, Sidecar, ledger, running, start

WEBHOOK = """
notify:
  - {name: ops, webhook: "http://localhost:PORT/PATH", headers: {X-Token: "${OPS_TOKEN}"}}
"""
PATIENCE = 30


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Upstream]:
    with running_upstream(tmp_path / "receiver", tls=False) as made:
        yield made


def webhook(receiver: Upstream, path: str = "ok/hook") -> str:
    return RULES + WEBHOOK.replace("PORT", str(receiver.port)).replace("PATH", path)


def tellings(sidecar: Sidecar) -> list[dict[str, Any]]:
    return [r for r in sidecar.records() if r["tool"].startswith("notify/")]


def until(seen: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


def ended(sidecar: Sidecar) -> bool:
    return any(r["status"] != "running" for r in tellings(sidecar))


def test_a_webhook_is_told_once_of_an_unknown_and_the_secret_is_nowhere(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    with running(tmp_path / "sidecar", upstream, webhook(receiver), OPS_TOKEN="s3cret") as sidecar:
        sidecar.post("/lose-response/1/charges")
        until(lambda: ended(sidecar))
        for _ in range(2):
            sidecar.post("/lose-response/1/charges")
        sidecar.stop()
    with running(tmp_path / "sidecar", upstream, webhook(receiver), OPS_TOKEN="s3cret") as again:
        again.post("/lose-response/2/charges")
        until(lambda: len(tellings(again)) == 2 and all(r["status"] == "success" for r in tellings(again)))
        again.stop()
        assert len(receiver.effects()) == 2, "one for each unknown, none for a held attempt or a restart"
        (one,) = [r for r in again.records() if r["url"] and r["url"].endswith("/lose-response/1/charges")]
        assert one["status"] == "unknown"
    for file in (tmp_path / "sidecar").glob("ledger.db*"):
        assert b"s3cret" not in file.read_bytes()


def test_a_receiver_that_fails_is_seen_and_hinders_nobody(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    rules = webhook(receiver, "hang/hook")
    with running(tmp_path / "sidecar", upstream, rules, OPS_TOKEN="t") as sidecar:
        sidecar.post("/lose-response/1/charges")
        until(lambda: tellings(sidecar))
        assert sidecar.post("/ok/charges").status_code == 200, "while the receiver hangs"
        until(lambda: ended(sidecar))
        (told,) = tellings(sidecar)
        assert (told["status"], told["error"]) == ("unknown", "no end within 10 s")
        assert told["id"][:12] in ledger("unknown", "--db", sidecar.db).stdout


def test_a_command_gets_the_record_as_json_and_no_shell_reads_its_words(tmp_path: Path, upstream: Upstream) -> None:
    script, out = tmp_path / "page", tmp_path / "out"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" > {out}.word\ncat > {out}\n')
    script.chmod(0o755)
    words = json.dumps([str(script), "$(touch pwned); *"])
    with running(tmp_path / "sidecar", upstream, f"{RULES}notify:\n  - {{name: pager, command: {words}}}\n") as sidecar:
        sidecar.post("/lose-response/1/charges")
        until(lambda: any(r["status"] == "success" for r in tellings(sidecar)))
        (charge,) = [r for r in sidecar.records() if r["status"] == "unknown"]
    news = json.loads(out.read_text())
    assert news["event"] == "unknown"
    assert news["record"]["id"] == charge["id"]
    assert news["settle"][0] == f"ledger resolve {charge['id'][:12]} --done"
    assert Path(f"{out}.word").read_text() == "$(touch pwned); *\n"
    assert not (tmp_path / "sidecar" / "pwned").exists()
    assert not Path("pwned").exists()


def test_a_command_that_is_not_there_failed_and_one_that_breaks_may_have_told_somebody(
    tmp_path: Path, upstream: Upstream
) -> None:
    entries = """
  - {name: gone, command: [/nowhere/page]}
  - {name: broken, command: [sh, -c, 'echo no line >&2; exit 3']}
"""
    with running(tmp_path / "sidecar", upstream, f"{RULES}notify:{entries}") as sidecar:
        sidecar.post("/lose-response/1/charges")
        until(lambda: len([r for r in tellings(sidecar) if r["status"] != "running"]) == 2)
        told = {r["tool"]: (r["status"], r["error"]) for r in tellings(sidecar)}
    assert told["notify/gone"] == ("failed", "/nowhere/page cannot be run: No such file or directory")
    assert told["notify/broken"] == ("unknown", "sh ended with 3: no line")


def test_what_a_killed_sidecar_left_is_told_by_the_next_one(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    first = start(tmp_path / "sidecar", upstream, webhook(receiver), {"OPS_TOKEN": "t"})
    asking = threading.Thread(target=first.try_post, args=("/hang/charges",))
    asking.start()
    upstream.wait_for(lambda u: u.effects(path="/hang/charges"))
    first.kill()
    asking.join()
    with running(tmp_path / "sidecar", upstream, webhook(receiver), OPS_TOKEN="t") as second:
        until(lambda: any(r["status"] == "success" for r in tellings(second)))
    assert len(receiver.effects()) == 1
    assert len(upstream.effects()) == 1


def test_a_sidecar_that_is_killed_between_telling_and_noting_it_does_not_tell_again(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    first = start(tmp_path / "sidecar", upstream, webhook(receiver, "hang/hook"), {"OPS_TOKEN": "t"})
    first.post("/lose-response/1/charges")
    receiver.wait_for(lambda r: r.effects(path="/hang/hook"))
    first.kill()
    with running(tmp_path / "sidecar", upstream, webhook(receiver), OPS_TOKEN="t") as second:
        until(lambda: [r["status"] for r in tellings(second)] == ["unknown"])
        second.post("/lose-response/2/charges")
        until(lambda: [r["status"] for r in tellings(second)] == ["success", "unknown"])
    assert len(receiver.effects(path="/hang/hook")) == 1
    assert len(receiver.effects(path="/ok/hook")) == 1, "of the second one only"


def test_a_variable_that_is_not_set_is_said_before_anything_listens(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    os.environ.pop("OPS_TOKEN", None)
    with pytest.raises(AssertionError, match="OPS_TOKEN, which notify: needs, is not set"):
        start(tmp_path / "sidecar", upstream, webhook(receiver))


def test_whom_to_tell_changes_with_the_rules_while_it_runs(
    tmp_path: Path, upstream: Upstream, receiver: Upstream
) -> None:
    """Added, pointed elsewhere and removed; a change that cannot be told by is refused, and the others go on."""

    def named(*receivers: tuple[str, str]) -> str:
        lines = (f'  - {{name: {name}, webhook: "{url}"}}\n' for name, url in receivers)
        return f"{RULES}notify:\n{''.join(lines)}" if receivers else RULES

    def hook(path: str) -> str:
        return f"http://localhost:{receiver.port}/ok/{path}"

    def told(path: str) -> int:
        return len(receiver.effects(path=f"/ok/{path}"))

    with running(tmp_path / "sidecar", upstream) as sidecar:

        def rules(text: str, said: str = "rules reloaded") -> None:
            (tmp_path / "sidecar" / "ledger.yaml").write_text(text)
            sidecar.process.send_signal(signal.SIGHUP)
            assert any(said in line for line in sidecar.process.stderr or ())

        rules(named(("ops", hook("first"))))
        sidecar.post("/lose-response/1/charges")
        until(lambda: told("first") == 1)
        rules(named(("ops", hook("second")), ("boss", hook("boss"))))
        until(lambda: told("boss") == 1)
        sidecar.post("/lose-response/2/charges")
        until(lambda: told("second") == 1 and told("boss") == 2)
        rules(named(("ops", "${NOWHERE_SET}")), "NOWHERE_SET, which notify: needs, is not set")
        sidecar.post("/lose-response/3/charges")
        until(lambda: told("second") == 2 and told("boss") == 3)
        rules(named(("boss", hook("boss"))))
        sidecar.post("/lose-response/4/charges")
        until(lambda: told("boss") == 4)
        rules(named())
    assert (told("first"), told("second"), told("boss")) == (1, 2, 4), "nobody twice, and ops once under either address"
