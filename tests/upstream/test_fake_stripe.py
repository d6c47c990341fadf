"""The demo's Stripe: real charges in localstripe, Stripe's idempotency rules in front, and bad weather on request."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

pytest.importorskip("localstripe", reason="localstripe, the stateful fake of Stripe, is not installed")

SCRIPT = Path(__file__).parents[2] / "examples" / "fake_stripe.py"
CHARGE = {"amount": 4900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}


@dataclass
class Fake:
    process: subprocess.Popen[str]
    api: httpx.Client
    control: httpx.Client
    localstripe: httpx.Client

    def pay(self, key: str | None = None, **changed: object) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.api.post("/v1/payment_intents", data={**CHARGE, **changed}, headers=headers)

    def charges(self) -> int:
        return len(self.api.get("/v1/charges", params={"limit": 100}).json()["data"])

    def weather(self, answers: str, **more: float) -> httpx.Response:
        return self.control.post("/weather", json={"answers": answers, **more})

    def wait_until_held(self) -> None:
        deadline = time.monotonic() + 5
        while not self.control.get("/weather").json()["held"]:
            assert time.monotonic() < deadline, "no answer was held"
            time.sleep(0.01)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Fake]:
    command = [sys.executable, str(SCRIPT), "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            context = ssl.create_default_context(cafile=ready["ca"])
            context.check_hostname = False  # the name in the certificate is Stripe's; the address is ours
            base = f"https://127.0.0.1:{ready['port']}"
            with (
                httpx.Client(base_url=base, verify=context, trust_env=False, auth=("sk_test_x", "")) as api,
                httpx.Client(base_url=ready["control"], trust_env=False) as control,
                httpx.Client(base_url=ready["localstripe"], trust_env=False) as localstripe,
            ):
                yield Fake(process, api, control, localstripe)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    with running(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
def fake(shared: Fake) -> Fake:
    """One process for all stories (it takes a second to start); each begins with no charges and fine weather."""
    shared.weather("fine")
    shared.localstripe.delete("/_config/data").raise_for_status()
    return shared


@pytest.fixture
def k() -> str:
    """A fresh Idempotency-Key."""
    return str(uuid.uuid4())


def test_a_repeated_key_gets_the_first_answer(fake: Fake, k: str) -> None:
    first, again = fake.pay(k), fake.pay(k)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert fake.charges() == 1


def test_fresh_keys_and_no_keys_charge_again(fake: Fake, k: str) -> None:
    for key in (k, f"{k}-2", None, None):
        assert fake.pay(key).status_code == 200
    assert fake.charges() == 4


def test_other_parameters_under_a_key_are_an_idempotency_error(fake: Fake, k: str) -> None:
    fake.pay(k)
    other = fake.pay(k, amount=1)
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    assert fake.charges() == 1


def test_a_request_that_failed_validation_leaves_its_key_free(fake: Fake, k: str) -> None:
    assert fake.pay(k, amount="nonsense").status_code == 400
    assert fake.pay(k).status_code == 200


def test_a_decline_is_kept(fake: Fake, k: str) -> None:
    declined = [fake.pay(k, payment_method="pm_card_chargeCustomerFail") for _ in range(2)]
    assert [answer.status_code for answer in declined] == [402, 402]
    assert declined[1].headers["idempotent-replayed"] == "true"


def test_a_lost_answer_is_a_charge_and_its_key_recovers_it(fake: Fake, k: str) -> None:
    fake.weather("lost")
    with pytest.raises(httpx.TransportError):
        fake.pay(k)
    fake.weather("fine")
    assert fake.charges() == 1
    assert fake.pay(k).headers["idempotent-replayed"] == "true"
    assert fake.charges() == 1


def test_a_late_answer_is_a_charge_whose_key_is_in_use(fake: Fake, k: str) -> None:
    fake.weather("late")
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(fake.pay(k)))
    waiting.start()
    fake.wait_until_held()
    in_use = fake.pay(k)
    assert in_use.status_code == 409
    assert in_use.json()["error"]["code"] == "idempotency_key_in_use"
    assert fake.charges() == 1
    fake.weather("fine")
    waiting.join(5)
    assert [answer.status_code for answer in answers] == [200]


def test_late_may_be_so_many_seconds(fake: Fake, k: str) -> None:
    fake.weather("late", seconds=0.2)
    started = time.monotonic()
    assert fake.pay(k).status_code == 200
    assert time.monotonic() - started >= 0.2


def test_unknown_weather_is_refused(fake: Fake) -> None:
    answer = fake.weather("sunny")
    assert (answer.status_code, answer.text) == (400, "answers: expected one of fine, late, lost\n")


def test_nothing_is_left_behind_even_after_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as fake:
        [backend] = psutil.Process(fake.process.pid).children()
        fake.process.kill()
        backend.wait(5)
        assert not backend.is_running()
