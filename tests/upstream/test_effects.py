"""The oracle itself: what it counts, and that it misbehaves exactly as asked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.upstream import Upstream


@pytest.fixture
def client(upstream: Upstream) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(upstream.ca_file))
    with httpx.Client(base_url=upstream.url, verify=context, trust_env=False, timeout=5) as client:
        yield client


def test_every_write_is_one_effect_with_what_identifies_it(upstream: Upstream, client: httpx.Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        client.request(method, "/ok/charges?x=1", content=b"amount=1", headers={"Idempotency-Key": method})
    assert [line["method"] for line in upstream.effects()] == ["POST", "PUT", "PATCH", "DELETE"]
    [post] = upstream.effects(key="POST")
    assert post["path"] == "/ok/charges"
    assert post["target"] == "/ok/charges?x=1"
    assert post["sha256"] == hashlib.sha256(b"amount=1").hexdigest()
    assert ["Host", f"localhost:{upstream.port}"] in post["headers"]
    assert {line["connection"] for line in upstream.effects()} == {1}, "one kept-alive connection"
    assert upstream.count_by("path") == {"/ok/charges": 4}
    assert upstream.doubles("path") == {"/ok/charges": 4}
    assert upstream.doubles("key") == {}


def test_two_charges_have_two_ids_and_cookies(client: httpx.Client) -> None:
    first, second = (client.post("/ok/charges", json={"amount": 1}) for _ in range(2))
    assert first.json()["id"] != second.json()["id"]
    assert first.headers.get_list("set-cookie")[0].startswith(f"session={first.json()['id']}")


def test_reading_is_no_effect(upstream: Upstream, client: httpx.Client) -> None:
    assert client.get("/plain").status_code == 200
    assert client.head("/plain").content == b""
    assert upstream.effects() == []
    assert [line["kind"] for line in upstream.lines()] == ["read", "read"]


def test_a_body_cut_short_is_no_effect(upstream: Upstream) -> None:
    context = ssl.create_default_context(cafile=str(upstream.ca_file))
    with (
        socket.create_connection(("127.0.0.1", upstream.port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"POST /ok/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
    time.sleep(0.05)
    assert upstream.lines() == []


def test_chunked_bodies_and_100_continue_are_read_whole(plain_upstream: Upstream) -> None:
    request = (
        b"POST /close/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", plain_upstream.port), timeout=5) as raw:
        raw.sendall(request)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    [effect] = plain_upstream.effects()
    assert effect["sha256"] == hashlib.sha256(b"abcde").hexdigest()


@pytest.mark.parametrize("loss", ["lose-response", "reset-response", "half-body", "half-chunk", "garbage"])
def test_a_lost_response_is_an_effect_all_the_same(upstream: Upstream, client: httpx.Client, loss: str) -> None:
    with pytest.raises(httpx.TransportError):
        client.post(f"/{loss}/1/charges")
    assert client.post(f"/{loss}/1/charges").status_code == 200, "only the first is lost"
    assert len(upstream.effects()) == 2


def test_a_dropped_request_is_no_effect(upstream: Upstream, client: httpx.Client) -> None:
    with pytest.raises(httpx.TransportError):
        client.post("/drop-request/1/charges", content=b"x")
    assert upstream.effects() == []
    client.post("/drop-request/1/charges", content=b"x")
    assert len(upstream.effects()) == 1


def test_hanging_lasts_until_the_client_leaves(upstream: Upstream, client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/hang/charges", timeout=0.2)
    assert len(upstream.effects()) == 1


def test_a_slow_answer_comes_after_the_effect(upstream: Upstream, client: httpx.Client) -> None:
    started = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/slow/400/charges", timeout=0.1)
    assert len(upstream.effects()) == 1, "the effect is there while the answer is not"
    assert client.post("/slow/400/charges").status_code == 200
    assert time.monotonic() - started >= 0.5


def test_statuses_with_and_without_an_effect(upstream: Upstream, client: httpx.Client) -> None:
    assert client.post("/status/503/1/a").status_code == 503
    assert client.post("/status/503/1/a").status_code == 200
    assert client.post("/refuse/429/1/b").status_code == 429
    assert client.post("/refuse/429/1/b").status_code == 200
    assert client.post("/decline-then-ok/c").status_code == 402
    assert client.post("/decline-then-ok/c").status_code == 200
    assert upstream.count_by("path") == {"/status/503/1/a": 2, "/refuse/429/1/b": 1, "/decline-then-ok/c": 1}


def test_a_repeated_key_gets_the_first_answer_and_no_effect(upstream: Upstream, client: httpx.Client) -> None:
    def post(**fields: int) -> httpx.Response:
        return client.post("/keyed/charges", json=fields, headers={"Idempotency-Key": "k"})

    first, again, other = post(amount=1), post(amount=1), post(amount=2)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    assert len(upstream.effects()) == 1


def test_a_key_survives_a_lost_response(upstream: Upstream, client: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    with pytest.raises(httpx.TransportError):
        client.post("/keyed/lose-response/1/charges", headers=key)
    answer = client.post("/keyed/lose-response/1/charges", headers=key)
    assert answer.headers["idempotent-replayed"] == "true"
    assert len(upstream.effects(key="k")) == 1


def test_a_decline_is_kept_under_its_key_and_a_refusal_is_not(client: httpx.Client) -> None:
    declined = [client.post("/keyed/decline-then-ok/x", headers={"Idempotency-Key": "d"}) for _ in range(2)]
    assert [answer.status_code for answer in declined] == [402, 402]
    refused = [client.post("/keyed/refuse/429/1/x", headers={"Idempotency-Key": "r"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [429, 200]


def test_a_key_in_use_is_a_conflict(upstream: Upstream, client: httpx.Client) -> None:
    def slow() -> None:
        with contextlib.suppress(httpx.TransportError):
            client.post("/keyed/slow/300/charges", headers={"Idempotency-Key": "k"})

    first = threading.Thread(target=slow)
    first.start()
    upstream.wait_for(lambda seen: seen.effects())
    assert client.post("/keyed/slow/300/charges", headers={"Idempotency-Key": "k"}).status_code == 409
    first.join()
    assert len(upstream.effects()) == 1


def test_shapes_of_answers(client: httpx.Client) -> None:
    assert json.loads(client.post("/gzip/x").content)["object"] == "charge"
    assert client.get("/stream/3/10/x").text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert len(client.get("/bytes/70000/x").content) == 70000
    assert client.post("/hints/x").status_code == 200
    assert client.post("/redirect/303/x").headers["location"] == "/plain"


def test_it_starts_again_on_its_port_and_keeps_its_count(upstream: Upstream, client: httpx.Client) -> None:
    client.post("/ok/charges")
    upstream.stop()
    upstream.stop()
    assert upstream.process.returncode == 0
    assert len(upstream.effects()) == 1
