"""A duplicate under a fresh key, which is not gone by, is told from the SDK's own retry, and its remedy is named."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from tests.upstream import Upstream
from tests.wire.sidecars import RULES, ledger, running

ONE, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


def test_a_fresh_key_is_remarked_on_and_the_same_one_is_not(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        for key in (ONE, ONE, OTHER):
            assert sidecar.post("/ok/payments", {"amount": 5}, Idempotency_Key=key).status_code == 200
        same, fresh = sidecar.events("replayed")
    assert "remark" not in same["detail"]
    assert "merged with an identical earlier request" in fresh["detail"]["remark"]
    assert "Ledger-Operation-Id" in fresh["detail"]["remark"]
    assert len(upstream.effects()) == 1


def test_a_run_ends_with_how_many_there_were(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "ledger.yaml").write_text(RULES)
    send = f"""
import httpx
for key in {[ONE, ONE, OTHER]!r}:
    httpx.post("https://api.stripe.com/ok/payments", json={{}}, headers={{"Idempotency-Key": key}})
"""
    trust = ["--resolve", upstream.resolve("api.stripe.com"), "--upstream-ca", upstream.ca_file]
    where = ["--rules", tmp_path / "ledger.yaml", "--db", tmp_path / "ledger.db"]
    said = ledger("run", *where, *trust, "--", sys.executable, "-c", send).stderr
    assert "1 operation, 1 executed, 2 duplicates prevented, 0 unknown" in said
    assert "1 duplicate came under a fresh key and was merged by content" in said
    assert len(upstream.effects()) == 1
