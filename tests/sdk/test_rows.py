"""What lives in rows: metadata, pages, keys, repeats, quotas and events. With the SDK where
it has a method, else with plain requests."""

import concurrent.futures
import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid

import pytest

import pandastack
from conftest import BIN, DATA
from pandastack import Client, Sandbox


class Api:
    """The API without the SDK."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/v1"

    def ask(self, method, path, body=None, **headers):
        """The status, the headers, and what the body holds."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {os.environ['PANDASTACK_API_KEY']}",
                     **{name.replace("_", "-"): value for name, value in headers.items()}},
        )
        try:
            answer = urllib.request.urlopen(request, timeout=300)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None

    def get(self, path):
        status, _, body = self.ask("GET", path)
        assert status == 200, body
        return body


@pytest.fixture
def api(server):
    return Api(server)


@pytest.fixture
def quota(server):
    """Sets the org's quota for one test."""
    set_to = []

    def change(**most):
        set_to.extend(most)
        flags = [word for name, n in most.items() for word in (f"--{name.replace('_', '-')}", str(n))]
        subprocess.run([BIN / "pando", "org", "quota", "--data", DATA, *flags], check=True,
                       capture_output=True)

    yield change
    change(**{name: "default" for name in list(set_to)})


def test_metadata_is_kept_and_found(api):
    run = uuid.uuid4().hex
    made = [Sandbox.create(ttl_seconds=600, metadata={"run": run, "task": task, "näme": "ä b&c=d"})
            for task in ("one", "two")]
    try:
        assert Sandbox.get(made[0].id).metadata == {"run": run, "task": "one", "näme": "ä b&c=d"}
        found = api.get(f"/sandboxes?metadata.run={run}")["items"]
        assert [item["id"] for item in found] == [sandbox.id for sandbox in made]
        found = api.get(f"/sandboxes?metadata.run={run}&metadata.task=two")["items"]
        assert [item["id"] for item in found] == [made[1].id]
        assert api.get(f"/sandboxes?metadata.run={run}&metadata.task=three")["items"] == []
        assert len(api.get("/sandboxes?metadata.n%C3%A4me=%C3%A4+b%26c%3Dd")["items"]) == 2
        first = api.get(f"/sandboxes?metadata.run={run}&limit=1")
        assert [item["id"] for item in first["items"]] == [made[0].id]
        rest = api.get(f"/sandboxes?metadata.run={run}&limit=1&cursor={first['next_cursor']}")
        assert [item["id"] for item in rest["items"]] == [made[1].id]
        assert rest["next_cursor"] is None
        assert {sandbox.id for sandbox in Sandbox.list()} >= {sandbox.id for sandbox in made}
    finally:
        for sandbox in made:
            sandbox.kill()
    assert api.get(f"/sandboxes?metadata.run={run}")["items"] == []
    for path in ("/sandboxes?limit=0", "/sandboxes?cursor=x", "/apps?limit=x", "/me/tokens?limit=1001"):
        status, _, body = api.ask("GET", path)
        assert (status, body["code"]) == (400, "invalid_request")
    with pytest.raises(pandastack.BadRequestError, match="metadata"):
        Sandbox.create(metadata={"key": "v" * 513})


def test_tokens(api):
    client = Client()
    made = client.tokens.create("of a test", expires_in_days=1)
    assert made.token.startswith(made.prefix)
    assert Client(api_key=made.token).me()["label"] == "of a test"
    shown = {token["prefix"]: token for token in api.get("/me/tokens")["items"]}[made.prefix]
    assert made.token not in json.dumps(shown)
    assert shown["expires_at"] > shown["created_at"]
    assert shown["last_used_at"] is not None
    assert made.prefix in [token.prefix for token in client.tokens.list()]
    client.tokens.revoke(made.prefix)
    with pytest.raises(pandastack.AuthError):
        Client(api_key=made.token).me()
    with pytest.raises(pandastack.NotFoundError):
        client.tokens.revoke(made.prefix)
    with pytest.raises(pandastack.BadRequestError, match="expires_in_days"):
        client.tokens.create("forever", expires_in_days=0)


def test_a_repeat_makes_nothing_twice(api):
    key, body = uuid.uuid4().hex, {"ttl_seconds": 600, "metadata": {"repeat": uuid.uuid4().hex}}

    def create(body=body):
        return api.ask("POST", "/sandboxes", body, Idempotency_Key=key)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(), range(8)))
    made = {body["id"] for status, _, body in answers if status == 201}
    busy = [headers["Retry-After"] for status, headers, _ in answers if status == 409]
    assert len(made) == 1 and len(busy) + sum(status == 201 for status, _, _ in answers) == 8
    assert all(busy)
    status, headers, again = create()
    assert (status, headers["Idempotency-Replayed"], {again["id"]}) == (201, "true", made)
    pairs = "&".join(f"metadata.{name}={value}" for name, value in body["metadata"].items())
    assert len(api.get(f"/sandboxes?{pairs}")["items"]) == 1
    status, _, refusal = create({**body, "ttl_seconds": 700})
    assert (status, refusal["code"]) == (422, "idempotency_key_reused")
    Sandbox.get(again["id"]).kill()
    # The answer is what was answered, whatever became of the sandbox since.
    assert create()[2] == again

    key = uuid.uuid4().hex
    first = api.ask("POST", "/me/tokens", {"label": "repeated"}, Idempotency_Key=key)
    second = api.ask("POST", "/me/tokens", {"label": "repeated"}, Idempotency_Key=key)
    assert first[2] == second[2]
    assert api.ask("DELETE", f"/me/tokens/{first[2]['id']}")[0] == 204


def test_many_creates_at_once_do_not_pass_the_quota(api, quota):
    before = len(api.get("/sandboxes")["items"])
    quota(sandboxes=before + 2)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.ask("POST", "/sandboxes", {"ttl_seconds": 600}), range(20)))
    made = [body["id"] for status, _, body in answers if status == 201]
    try:
        refused = [(headers, body) for status, headers, body in answers if status == 429]
        assert (len(made), len(refused)) == (2, 18)
        for headers, body in refused:
            assert int(headers["Retry-After"]) > 0
            assert body["code"] == "over_quota" and "quota" in body["error"]
        assert len(api.get("/sandboxes")["items"]) == before + 2
    finally:
        for sandbox in made:
            Sandbox.get(sandbox).kill()


def test_events_tell_why_it_is_gone(api):
    sandbox = Sandbox.create(ttl_seconds=600)
    sandbox.pause()
    sandbox.resume()
    sandbox.set_ttl(900)
    events = api.get(f"/sandboxes/{sandbox.id}/events")["events"]
    kinds = [event["kind"] for event in events]
    assert kinds == ["created", "running", "paused", "resumed", "lifecycle_set"]
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert [e["seq"] for e in api.get(f"/sandboxes/{sandbox.id}/events?tail=2")["events"]] == [4, 5]
    assert [e["seq"] for e in api.get(f"/sandboxes/{sandbox.id}/events?after=4")["events"]] == [5]

    request = urllib.request.Request(
        f"{api.url}/sandboxes/{sandbox.id}/events?follow=1&tail=1",
        headers={"Authorization": f"Bearer {os.environ['PANDASTACK_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        seen = [next(stream) for _ in range(4)]
        assert seen[0] == b"event: event\n" and b"lifecycle_set" in b"".join(seen)
        sandbox.kill()
        # It ends with the sandbox.
        rest = stream.read().decode()
    assert '"kind":"deleted"' in rest and "on request" in rest

    last = api.get(f"/sandboxes/{sandbox.id}/events")["events"][-1]
    assert (last["kind"], last["detail"]) == ("deleted", "it was deleted on request")
    status, _, refusal = api.ask("GET", f"/sandboxes/{sandbox.id}")
    assert status == 404 and "on request" in refusal["hint"]
    assert api.ask("GET", f"/sandboxes/{uuid.uuid4()}/events")[0] == 404
