"""The processes of an app: web and a worker from a Procfile, kept running in a real microVM."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from pandastack import Client

from conftest import BIN, KEY
from test_apps import live, page

# What a shell, a quoting mistake or a line-wise reader would change.
VALUES = {
    "PLAIN": "word", "EMPTY": "", "BLANKS": "  two  words  ", "SHELL": "$HOME `id` \"quoted\" 'single' \\n",
    "LINES": "first\nsecond\n", "LETTERS": "näh €", "EQUALS": "a=b=c",
}
WEB = """\
const http = require('http');
const show = (name) => console.log(`${name} up ${JSON.stringify(process.env)}`);
show('web');
http.createServer((asked, answer) => {
  console.log(`asked for ${asked.url}`);
  answer.end(JSON.stringify(process.env));
}).listen(process.env.PORT, process.env.HOST);
"""
WORKER = """\
console.log(`worker up ${JSON.stringify(process.env)}`);
require('fs').writeFileSync('/tmp/worker.json', JSON.stringify(process.env));
let ticks = 0;
setInterval(() => console.error(`tick ${++ticks}`), 1000);
process.on('SIGTERM', () => { console.log('worker down'); process.exit(0); });
"""
FILES = {
    "package.json": '{"name": "processes", "private": true}\n',
    "Procfile": "web: node web.js\nworker: node worker.js\n",
    "web.js": WEB, "worker.js": WORKER,
}
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def app(server, forge):
    apps = Client().apps
    forge.push("processes", FILES)
    app = apps.create(name="processes", git_url=forge.url, git_branch="processes", framework="node", env=VALUES)
    lines = live(apps, app, apps.deployments(app["id"])[0])
    assert any("worker: $ node worker.js" in line for line in lines), lines
    yield apps.get(app["id"])
    apps.delete(app["id"])


def ask(server, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{server}/v1{path}", data=data, headers=headers)
    return urllib.request.urlopen(request, timeout=60)


def processes(server, app):
    items = json.load(ask(server, f"/apps/{app['id']}/processes"))["items"]
    return {process["name"]: process for process in items}


def logs(server, app, query=""):
    return json.load(ask(server, f"/apps/{app['id']}/logs{query}"))["lines"]


def live_sandbox(server, app):
    return json.load(ask(server, f"/apps/{app['id']}"))["sandbox_id"]


def until(what, look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"never came: {what}")


def pando(server, *arguments):
    env = {**os.environ, "PANDO_API_URL": f"http://127.0.0.1:{server}", "PANDO_API_KEY": KEY}
    return subprocess.run([BIN / "pando", *arguments], env=env, capture_output=True, text=True, timeout=300)


def test_web_and_worker_run_and_are_told_apart(server, app):
    found = processes(server, app)
    assert set(found) == {"web", "worker"}
    for process in found.values():
        assert process["state"] == "running" and process["restarts"] == 0, found
        assert process["pid"] > 1 and process["running_since"], found
    ticks = until("ticks", lambda: [line for line in logs(server, app) if line["text"].startswith("tick ")])
    assert {(line["process"], line["stream"]) for line in ticks} == {("worker", "stderr")}
    web = logs(server, app, "?process=web")
    assert {line["process"] for line in web} == {"web"} and any("web up" in line["text"] for line in web)
    times = [line["at_ms"] for line in logs(server, app)]
    assert times == sorted(times) and abs(times[-1] / 1000 - time.time()) < 60
    assert len(logs(server, app, "?tail=1")) == 1


def test_every_process_and_command_has_the_environment_byte_by_byte(server, app):
    def once(*command):
        ran = pando(server, "run", "processes", "--", *command)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    seen = {"web": json.loads(page(server, app)), "worker": once("cat", "/tmp/worker.json"),
            "run": once("node", "-e", "console.log(JSON.stringify(process.env))")}
    for who, environment in seen.items():
        assert {name: environment.get(name) for name in VALUES} == VALUES, who
        assert environment["PANDO_URL"].rstrip("/") == app["url"].rstrip("/"), who
        assert environment["PANDO_APP_ID"] == app["id"], who
        assert environment["PANDO_GIT_BRANCH"] == "processes", who
        assert len(environment["PANDO_GIT_COMMIT"]) == 40 and environment["PANDO_ENV"] == "production", who
        assert "CI" not in environment and "PANDO_PR_NUMBER" not in environment, who
        assert ("PORT" in environment) == (who == "web"), who
    assert seen["web"]["PORT"] == str(app["port"])


def test_a_log_hides_the_secrets_of_the_environment(server, app):
    for process in ("web", "worker"):
        text = next(line["text"] for line in logs(server, app, f"?process={process}") if " up " in line["text"])
        environment = json.loads(text.split(" up ", 1)[1])
        assert {name: environment[name] for name in VALUES} == {
            "PLAIN": "word", "EMPTY": "", "BLANKS": "[hidden]", "SHELL": "[hidden]", "LINES": "[hidden]",
            "LETTERS": "[hidden]", "EQUALS": "a=b=c",
        }
        assert environment["PANDO_APP_ID"] == app["id"]


def test_a_worker_that_is_killed_comes_back(server, app):
    before = processes(server, app)
    pid = before["worker"]["pid"]
    killed = pando(server, "run", "processes", "--", f"kill -9 {pid}; echo killed; exit 3")
    assert (killed.returncode, killed.stdout) == (3, "killed\n"), killed.stderr

    def is_back():
        worker = processes(server, app)["worker"]
        return worker if worker["state"] == "running" and worker["restarts"] == 1 else None

    worker = until("the worker is back", is_back)
    assert worker["pid"] != pid and worker["last_exit_code"] == 137
    assert processes(server, app)["web"]["pid"] == before["web"]["pid"]
    texts = [line["text"] for line in logs(server, app, "?process=worker")]
    assert "[it ended with exit code 137, and starts again in 1 s]" in texts
    until("it ticks again", lambda: [line["text"] for line in logs(server, app, "?process=worker")].count("tick 1") == 2)


def test_a_log_is_followed(server, app):
    with ask(server, f"/apps/{app['id']}/logs?follow=1&tail=0") as stream:
        page(server, app, "/heard")
        heard = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not {"web", "worker"} <= set(heard) and time.monotonic() < deadline:
            line = stream.readline().decode()
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                heard.setdefault(event["process"], []).append(event["line"])
    assert "asked for /heard" in heard["web"] and heard["worker"][0].startswith("tick "), heard
    shown = pando(server, "logs", "processes", "--process", "web", "--tail", "1")
    assert shown.stdout == "web | asked for /heard\n", shown


def test_a_sleeping_app_goes_on_where_it_was(server, app):
    sandbox = app["sandbox_id"]
    before = processes(server, app)
    ask(server, f"/sandboxes/{sandbox}/hibernate", {})
    said = len(logs(server, app, "?process=worker"))
    after = processes(server, app)
    assert {name: it["pid"] for name, it in after.items()} == {name: it["pid"] for name, it in before.items()}
    until("it ticks on", lambda: len(logs(server, app, "?process=worker")) > said + 1)


def test_a_process_that_there_is_not_is_refused_and_wakes_nothing(server, app):
    sandbox = live_sandbox(server, app)
    ask(server, f"/sandboxes/{sandbox}/hibernate", {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, f"/apps/{app['id']}/logs?process=nope")
    refusal = json.load(refused.value)
    assert (refused.value.code, refusal["field"]) == (404, "process"), refusal
    assert refusal["error"] == "no process `nope`: what is live has `web`, `worker`", refusal
    assert json.load(ask(server, f"/sandboxes/{sandbox}"))["status"] == "hibernated"


def test_who_follows_goes_on_with_the_next_deployment(server, app):
    env = {**os.environ, "PANDO_API_URL": f"http://127.0.0.1:{server}", "PANDO_API_KEY": KEY}
    before = live_sandbox(server, app)
    following = subprocess.Popen([BIN / "pando", "logs", "processes", "-f", "--tail", "0"], env=env,
                                 stdout=subprocess.PIPE, text=True)
    try:
        seen = []

        def until_said(what):
            # The worker of whatever is live says something each second.
            for line in following.stdout:
                seen.append(line)
                if what(line):
                    return
            pytest.fail(f"it ended: {seen}")

        until_said(lambda line: " | tick " in line)
        ask(server, f"/apps/{app['id']}/restart", {})
        until_said(lambda line: " is live now, commit " in line)
        until_said(lambda line: line == "worker | tick 3\n")
        for said in ("web | web up ", "worker | worker up ", "worker | tick 1\n", "worker | tick 2\n"):
            assert sum(line.startswith(said) for line in seen) == 1, (said, seen)
        # The former one's last words, too.
        if "worker | worker down\n" not in seen:
            until_said(lambda line: line == "worker | worker down\n")
        assert live_sandbox(server, app) != before
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=30) == 0
    finally:
        following.kill()
        following.wait()


def test_what_is_not_live_says_so(server, forge):
    apps = Client().apps
    forge.push("broken-processes", {**FILES, "web.js": "console.error('no such thing'); process.exit(4);\n"})
    app = apps.create(name="broken", git_url=forge.url, git_branch="broken-processes", framework="node")
    try:
        deployment = apps.deployments(app["id"])[0]
        lines = list(apps.deploy_logs(app["id"], deployment["id"]))
        failed = apps.deployment(app["id"], deployment["id"])
        assert failed["error"].startswith("the app ended before it answered, with exit code 4"), failed
        assert "no such thing" in lines, lines
        for path, body in (("logs", None), ("processes", None), ("run", {"command": "true"})):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(server, f"/apps/{app['id']}/{path}", body)
            assert refused.value.code == 409 and json.load(refused.value)["hint"]
    finally:
        apps.delete(app["id"])
