"""Whether the stories would notice: each bug planted in a copy of Ledger must make the story that is about it fail.

A plant whose place is no longer in the source fails too: then it is to be planted anew, or the story has gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("ledger_core", "rules", "proxy", "console")
CORE, WIRE = "tests/core/test_steps.py", "tests/wire/test_exactly_once.py"


@dataclass(frozen=True)
class Bug:
    """One change of one place, and the story that must not survive it."""

    file: str
    right: str
    wrong: str
    story: str


BUGS = {
    "the effect comes before its claim": Bug(
        "ledger_core/ledger/steps.py",
        "return Claim(attempt, lifecycle.first_claim(attempt.draft, attempt.by, now, about))",
        "return Execute(attempt, lifecycle.first_claim(attempt.draft, attempt.by, now, about).record)",
        f"{WIRE}::test_a_retry_gets_the_recorded_answer",
    ),
    "no compare-and-swap": Bug(
        "ledger_core/ledger/stores/schema.py",
        "WHERE id = ? AND owner = ? AND epoch = ? AND status = ? AND touched = ? AND released = ?",
        "WHERE id = ? OR owner = ? AND epoch = ? AND status = ? AND touched = ? AND released = ?",
        "tests/core/test_stores.py -k test_one_of_many_reclaims",
    ),
    "an outcome is written over a successor's": Bug(
        "ledger_core/ledger/stores/schema.py",
        'WHERE id = ? AND owner = ? AND epoch = ? AND status = ?"',
        'WHERE id = ? AND (owner = ? OR epoch = ? OR status = ? OR 1)"',
        "tests/core/test_stores.py -k test_an_owner_taken_over_cannot_finish",
    ),
    "a heartbeat is overlooked": Bug(
        "ledger_core/ledger/stores/schema.py",
        "AND touched = ? AND released = ?",
        "AND (touched = ? OR released = ? OR 1)",
        "tests/core/test_stores.py -k test_who_swaps_from_what_it_saw_loses_to_a_heartbeat",
    ),
    "an unknown is sent again": Bug(
        "ledger_core/ledger/steps.py",
        "        return Verify(attempt, record)\n    return _held(attempt, record, now)",
        "        return Verify(attempt, record)\n    return _swap(attempt, record, Trigger.RERUN, now)",
        f"{WIRE}::test_a_lost_answer_is_held_and_never_sent_again",
    ),
    "the claim of a dead owner is run again": Bug(
        "ledger_core/ledger/steps.py",
        "        return Swap(attempt, lifecycle.abandon(record, now, why))",
        "        return _swap(attempt, record, Trigger.TAKE_OVER, now)",
        f"{CORE} -k test_it_is_marked_unknown_and_held_never_run",
    ),
    "a lost answer counts as not sent": Bug(
        "proxy/ledger_proxy/upstream.py",
        "            if progress.sent:\n",
        "            if progress.head:\n",
        f"{WIRE}::test_a_lost_answer_is_held_and_never_sent_again",
    ),
    "a 503 is taken for proof that nothing happened": Bug(
        "rules/ledger_rules/outcome.py",
        "if 400 <= status < 500 and status != 408:",
        "if 400 <= status < 600 and status != 408:",
        "tests/rules/test_outcomes.py",
    ),
    "whose request it is does not count": Bug(
        "rules/ledger_rules/operation.py",
        "    whose = account(request, rule.account, secret)",
        '    whose = ""',
        f"{WIRE}::test_another_tenants_token_is_another_operation",
    ),
    "the body does not count": Bug(
        "rules/ledger_rules/operation.py",
        "    payload_id = keyed(secret, _MEANING, where, named or several(_PAYLOAD, text(payload)))",
        "    payload_id = keyed(secret, _MEANING, where, named or several(_PAYLOAD))",
        f"{WIRE}::test_another_amount_is_another_operation",
    ),
    "a resend mints a new key": Bug(
        "ledger_core/ledger/lifecycle.py",
        "    if row.new_generation:\n",
        "    if True:\n",
        f"{WIRE}::test_a_lost_answer_is_fetched_again_under_the_same_upstream_key",
    ),
    "a new intent goes out under the old key": Bug(
        "ledger_core/ledger/lifecycle.py",
        "    if row.new_generation:\n",
        "    if record.generation == 0:\n",
        f"{WIRE}::test_a_declined_payment_may_be_tried_again_under_a_new_key",
    ),
    "a refused resend settles an unknown": Bug(
        "proxy/ledger_proxy/sending.py",
        "if record.resent and not settles(",
        "if record.resent and not by_status(answer.status) and not settles(",
        f"{WIRE}::test_a_declined_recovery_send_is_not_shown_as_declined",
    ),
    "a window is always over": Bug(
        "ledger_core/ledger/steps.py",
        "    return window is not None and now.since(record.touched) > window",
        "    return window is not None",
        f"{WIRE}::test_a_retry_gets_the_recorded_answer",
    ),
    "the Host header is believed": Bug(
        "proxy/ledger_proxy/reception.py",
        "        if agrees(request, None if self._origin else client.sni, target):\n",
        "        if True:\n",
        "tests/wire/test_refusals.py::test_a_host_header_that_names_another_host_is_refused",
    ),
    "a key that the provider never sees counts": Bug(
        "proxy/ledger_proxy/addon.py",
        "    headers = said_to_origin((to_text(n), to_text(v)) for n, v in r.headers.fields)",
        "    headers = tuple((to_text(n), to_text(v)) for n, v in r.headers.fields)",
        "tests/wire/test_resend.py -k keeps_from_the_provider",
    ),
    "a handshake that fails counts as sent": Bug(
        "proxy/ledger_proxy/upstream.py",
        "            if progress.sent:\n",
        "            if True:\n",
        "tests/wire/test_upstream_faults.py -k before_a_byte_of_the_request",
    ),
    "a control character in a head is read": Bug(
        "proxy/ledger_proxy/http1.py",
        "    if _BAD_IN_HEAD.search(head):\n",
        "    if False:\n",
        "tests/wire/test_smuggling.py -k in_two_ways",
    ),
    "where a name leads is not asked": Bug(
        "proxy/ledger_proxy/destinations.py",
        "            if why:\n",
        "            if False:\n",
        "tests/wire/test_resolved_destinations.py -k what_a_name_leads_to",
    ),
    "who asks for an address is not listened to": Bug(
        "proxy/ledger_proxy/connecting.py",
        "        told_inside = is_address(",
        "        told_inside = False and is_address(",
        "tests/wire/test_by_address.py -k says_a_ruled_name_inside",
    ),
    "a request that nobody judged is let through": Bug(
        "proxy/ledger_proxy/addon.py",
        "        if not candidates and not _settled(flow):",
        "        if False:",
        "tests/wire/test_no_way_around.py::test_a_request_whose_head_was_never_judged_is_not_sent_on",
    ),
}


WITHOUT_A_SIDECAR = {name: bug for name, bug in BUGS.items() if not bug.story.startswith("tests/wire")}
CHOSEN = BUGS if os.environ.get("LEDGER_CAMPAIGN") == "1" else WITHOUT_A_SIDECAR
"""All of them in the campaign, which has the time to start a sidecar for each."""


def planted(folder: Path, bug: Bug | None) -> dict[str, str]:
    """A copy of Ledger with the bug in it; the environment in which Python takes that one."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    if bug is not None:
        place = folder / bug.file
        place.write_text(place.read_text().replace(bug.right, bug.wrong))
    path = os.pathsep.join(str(folder / room) for room in ROOMS)
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def told(story: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *story.split()]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 10


def test_each_has_its_place() -> None:
    """The campaign is rare: said here, as soon as the place changes."""
    gone = [name for name, bug in BUGS.items() if (ROOT / bug.file).read_text().count(bug.right) != 1]
    assert gone == []


def test_without_a_bug_the_same_copy_passes(tmp_path: Path) -> None:
    env = planted(tmp_path, None)
    found = subprocess.run(
        [sys.executable, "-c", "import ledger, ledger_proxy; print(ledger.__file__, ledger_proxy.__file__)"],
        env=env, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert found.count(str(tmp_path)) == 2, "the copy is what is tested"
    ended = told(CORE, env)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_a_planted_bug_is_caught(tmp_path: Path, name: str) -> None:
    bug = BUGS[name]
    ended = told(bug.story, planted(tmp_path, bug))
    assert ended.returncode == 1, f"{bug.story} did not notice that {name}:\n{ended.stdout[-2000:]}"
