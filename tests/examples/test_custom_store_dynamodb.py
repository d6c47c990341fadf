"""The DynamoDB example against moto, as a user runs it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from moto import mock_aws

from ledger import Guard, Record

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_store_dynamodb.py"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    told = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
    for name, value in {**told, "LEDGER_QUIET": "1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("custom_store_dynamodb", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("dynamodb")
class TestDynamoStore:
    def test_the_example_charges_once(self, example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        example.main()
        told = capsys.readouterr().out
        charged = "{'order': 'A-7', 'charged': 49.0}"
        assert [line for line in told.splitlines() if "A-7" in line] == ["charging A-7: 49.0", *[charged] * 3]
        assert "'executed': 1" in told
        example.main()
        again = capsys.readouterr().out.splitlines()
        assert again[:3] == [charged] * 3, "a second run finds the table and the record"

    def test_many_threads_with_clients_of_their_own_run_it_once(self, example: ModuleType) -> None:
        example.create("ledger")
        ran: list[str] = []
        ready = threading.Barrier(6)

        def work() -> None:
            guard = Guard(store=example.DynamoStore("ledger"))
            ready.wait()
            guard(ran.append, "A-7", key="A-7")
            guard.close()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ran == ["A-7"]

    def test_the_six_methods(self, example: ModuleType) -> None:
        example.create("ledger")
        store = example.DynamoStore("ledger")
        record = Record(id="a1", tool="charge", args={"n": 1}, wf="one", created=datetime.now(UTC))
        assert (store.claim(record), store.claim(record)) == (True, False)
        assert store.get("a1") == record
        store.put(replace(record, id="b2", wf="two"))
        assert [r.id for r in store.all("two")] == ["b2"]
        store.clear("two")
        store.delete("a1")
        assert store.all() == []
