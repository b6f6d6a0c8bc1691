"""The cron of an app: run by the platform's clock in a real microVM, asleep or not, or when wanted."""

import datetime
import json
import time
import urllib.error

import pytest
from pandastack import Client

from test_apps import live
from test_processes import ask, logs, pando, until

MANIFEST = """\
[cron.hello]
schedule = "0 0 29 2 *"
command = "echo to stdout; echo to stderr >&2; echo $TOKEN; pwd; exit 3"

[cron.long]
schedule = "0 0 29 2 *"
command = "echo begun; sleep 600"
timeout_seconds = 2

[cron.tick]
schedule = "* * * * *"
command = "date -u +%FT%H:%M:%SZ"
"""
FILES = {"index.html": "cron\n", "pando.toml": MANIFEST}


@pytest.fixture(scope="module")
def app(server, forge):
    apps = Client().apps
    forge.push("cron", FILES)
    app = apps.create(name="cron", git_url=forge.url, git_branch="cron", env={"TOKEN": "very-secret"})
    live(apps, app, apps.deployments(app["id"])[0])
    yield apps.get(app["id"])
    apps.delete(app["id"])


def crons(server, app):
    items = json.load(ask(server, f"/apps/{app['id']}/cron"))["items"]
    return {cron["name"]: cron for cron in items}


def test_they_are_listed_with_their_next_time(server, app):
    found = crons(server, app)
    assert list(found) == ["hello", "long", "tick"]
    assert all(cron["enabled"] for cron in found.values()), found
    assert (found["long"]["timeout_seconds"], found["hello"]["timeout_seconds"]) == (2, 600)
    assert "-02-29T00:00:00" in found["hello"]["next_due_at"]
    listed = pando(server, "app", "cron", "ls", "cron")
    assert listed.returncode == 0 and "* * * * *" in listed.stdout, listed


def test_one_runs_when_it_is_wanted(server, app):
    ran = pando(server, "app", "cron", "run", "cron", "hello")
    assert ran.returncode == 3, ran
    assert sorted(ran.stdout.splitlines()) == ["/app", "[hidden]", "to stderr", "to stdout"]
    last = crons(server, app)["hello"]["last_run"]
    assert (last["exit_code"], last["error"]) == (3, None) and last["due_at"] <= last["started_at"]
    # Whole in the log of the app's machine, under its name.
    said = logs(server, app, "?process=hello")
    assert {line["process"] for line in said} == {"hello"}
    assert {("stdout", "to stdout"), ("stderr", "to stderr")} <= {(line["stream"], line["text"]) for line in said}


def test_one_runs_once_at_a_time_and_no_longer_than_it_may(server, app):
    path = f"/apps/{app['id']}/cron/long/run"
    asked = json.load(ask(server, path, {}))["asked_at"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, path, {})
    assert refused.value.code == 409, refused.value.read()
    ended = until("it is ended", lambda: (crons(server, app)["long"]["last_run"] or {}).get("due_at") == asked
                  and crons(server, app)["long"]["last_run"])
    assert ended["exit_code"] is None and "2 s" in ended["error"] and ended["output"] == "begun\n"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, f"/apps/{app['id']}/cron/nobody/run", {})
    assert refused.value.code == 404


def test_a_sleeping_app_is_woken_when_it_is_due(server, app):
    sandbox = app["sandbox_id"]
    # Not where the next minute begins while it falls asleep.
    while time.time() % 60 > 30:
        time.sleep(1)
    ask(server, f"/sandboxes/{sandbox}/hibernate", {})
    due = crons(server, app)["tick"]["next_due_at"]
    last = until("it ran in its minute", lambda: (crons(server, app)["tick"]["last_run"] or {}).get("due_at") == due
                 and crons(server, app)["tick"]["last_run"])
    assert last["exit_code"] == 0, last
    # By the guest's clock, which was set when it woke.
    said = datetime.datetime.fromisoformat(last["output"].strip())
    late = said - datetime.datetime.fromisoformat(due)
    assert datetime.timedelta(seconds=-1) <= late < datetime.timedelta(minutes=5), last
