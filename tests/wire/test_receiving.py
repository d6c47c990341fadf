"""What a large body says is read apart, so that one request cannot make all others wait."""

from __future__ import annotations

import json
from threading import get_ident

from ledger_proxy.receiving import LARGE, chosen, read, spooled
from ledger_proxy.spool import IN_MEMORY, Spool
from ledger_rules import identify, loads
from ledger_rules.request import Request

RULE = """
rules:
  - name: a
    match: {url: "https://api.example.com/**", body: $.pay}
    fingerprint: {body: {only: [$.pay]}}
"""


async def test_a_small_body_is_read_at_once_and_a_large_one_in_a_thread() -> None:
    assert await read(LARGE, get_ident) == get_ident()
    assert await read(LARGE + 1, get_ident) != get_ident()


async def test_a_spooled_body_says_what_it_says_in_memory() -> None:
    rule = loads(RULE).rules[0]
    body = json.dumps({"pay": 5, "rest": "x" * IN_MEMORY}).encode()
    head = Request("POST", "https", "api.example.com", 443, "/", (("Content-Type", "application/json"),), b"")
    spool = Spool()
    spool.write(body)
    try:
        assert await read(spool.size, chosen, (rule,), head, spool) is rule
        whole = await spooled(rule, head, spool)
        assert whole is not None
        apart = identify(rule, head, b"s" * 32, body=whole.reading)
    finally:
        spool.close()
    here = Request("POST", "https", "api.example.com", 443, "/", head.headers, body)
    assert apart.id == identify(rule, here, b"s" * 32).id
