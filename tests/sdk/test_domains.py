"""Domains of an app's own through the public SDK, unmodified, and a name server of our own."""

import time
import urllib.error
import urllib.request
import uuid

import pytest

import pandastack
from conftest import DNS_PORT
from dns import NameServer
from pandastack import Client

PAGE = "<h1>by any name</h1>"


@pytest.fixture(scope="module")
def names():
    server = NameServer(DNS_PORT)
    yield server
    server.close()


@pytest.fixture
def make_app(server):
    """Makes apps of a repository that is not there (RFC 2606), if no other is named."""
    apps, made = Client().apps, []

    def make(git_url="https://forge.invalid/owner/repo", **more):
        made.append(apps.create(f"domains-{uuid.uuid4().hex[:8]}", git_url, **more)["id"])
        return made[-1]

    yield make
    for app in made:
        apps.delete(app)


def domain():
    return f"{uuid.uuid4().hex[:8]}.example.com"


def until(app, name, status):
    deadline = time.monotonic() + 120
    while True:
        seen = Client().apps.get_domain(app, name)
        if seen["status"] == status:
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.3)


def get(port, host):
    """The status and the text of the page at a host."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def asked(port, name):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/domains/ask?domain={name}", timeout=10).status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_a_domain_leads_to_its_app_once_dns_says_so(server, forge, names, make_app):
    apps, name, branch = Client().apps, domain(), f"domains-{uuid.uuid4().hex[:8]}"
    forge.push(branch, {"index.html": PAGE})
    app = make_app(forge.url, git_branch=branch)
    added = apps.add_domain(app, name.upper())
    assert (added["domain"], added["status"]) == (name, "pending")
    assert added["dns_note"] and {record["type"] for record in added["records"]} == {"CNAME", "TXT"}
    assert [it["domain"] for it in apps.domains(app)] == [name]
    assert asked(server, name) == 404 and get(server, name)[0] != 200
    names.set(next(record for record in added["records"] if record["type"] == "CNAME"))
    assert until(app, name, "active")["reason"] is None
    assert asked(server, name) == 200
    deadline = time.monotonic() + 600
    while apps.get(app)["status"] != "running":
        assert time.monotonic() < deadline and apps.get(app)["status"] != "error", apps.deployments(app)
        time.sleep(0.5)
    for host in (name, f"{name}:{server}", name.upper() + "."):
        assert get(server, host) == (200, PAGE)
    assert apps.remove_domain(app, name) is None
    assert asked(server, name) == 404 and get(server, name)[0] != 200
    with pytest.raises(pandastack.NotFoundError):
        apps.get_domain(app, name)
    assert apps.domains(app) == []


def test_a_claim_without_a_record_stands_in_nobodys_way(server, names, make_app):
    apps, name = Client().apps, domain()
    squatter, owner = make_app(), make_app()
    apps.add_domain(squatter, name)
    added = apps.add_domain(owner, name)
    names.set(next(record for record in added["records"] if record["type"] == "TXT"))
    until(owner, name, "active")
    assert "another value" in until(squatter, name, "error")["reason"]
    # It goes with its app.
    apps.delete(owner)
    assert asked(server, name) == 404


def test_what_cannot_be_a_domain_is_refused(make_app):
    apps, app = Client().apps, make_app()
    for name, why in (
        ("x.preview.localhost", "localhost"), ("127.0.0.1", "address"), ("*.example.com", "wildcard"),
        ("example", "two labels"), ("a b.example.com", "labels"),
    ):
        with pytest.raises(pandastack.BadRequestError, match=why):
            apps.add_domain(app, name)
    assert apps.domains(app) == []
    with pytest.raises(pandastack.NotFoundError):
        apps.add_domain(str(uuid.uuid4()), domain())
