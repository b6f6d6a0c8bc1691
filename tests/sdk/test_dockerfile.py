"""An app of a Dockerfile: built, put on a disk and run as its image says, in real microVMs."""

import json
import os
import subprocess
import uuid

import pytest
from pandastack import Client

from conftest import BIN, KEY
from test_apps import live, page

SECRET = "a-secret-of-the-build"
# A step that an earlier run of the suite left a layer of says nothing: each run has another word.
DOCKERFILE = f"""\
# A comment, so that lines and steps differ.
FROM pando/base
ENV COLOUR=green WORD=image NODE_ENV=test
RUN useradd --create-home web && mkdir -p /srv/site && chown web /srv/site
WORKDIR /srv/site
COPY server.js ./
RUN --mount=type=secret,id=TOKEN wc -c </run/secrets/TOKEN >bytes && cat /run/secrets/TOKEN && echo # {uuid.uuid4()}
RUN test -z "$TOKEN" && ln -s /srv/site/server.js /opt/server.js && touch /tmp/of-the-image
USER web:games
EXPOSE 8000
CMD ["node", "/opt/server.js", "two words"]
"""
SERVER = """\
const { execSync } = require('child_process');
const { existsSync, readFileSync } = require('fs');
const said = (command) => execSync(command, { encoding: 'utf8' }).trim();
require('http').createServer((asked, answer) => answer.end(JSON.stringify({
  user: said('id -un'), group: said('id -gn'), cwd: process.cwd(), env: process.env,
  words: process.argv.slice(2), bytes: readFileSync('bytes', 'utf8').trim(),
  released: existsSync('/tmp/released') && readFileSync('/tmp/released', 'utf8').trim(),
  temporary: existsSync('/tmp/of-the-image'), app: existsSync('/app'),
  mounts: ['/proc/self/status', '/sys/kernel', '/dev/null', '/dev/pts', '/etc/resolv.conf'].filter(existsSync),
  hosts: readFileSync('/etc/hosts', 'utf8'), name: said('hostname'),
}))).listen(process.env.PORT);
"""
FILES = {
    "web/Dockerfile": DOCKERFILE, "web/server.js": SERVER,
    "web/pando.toml": '[build]\nsecrets = ["TOKEN"]\n\n[release]\n'
    'command = "echo $(id -un) $PWD $WORD >/tmp/released"\n\n[workers.ticker]\n'
    'command = "echo up in $PWD as $(id -un); exec sleep 10000"\n',
}


@pytest.fixture(scope="module")
def app(server, forge):
    apps = Client().apps
    forge.push("dockerfile", FILES)
    app = apps.create(name="dockerfile", git_url=forge.url, git_branch="dockerfile", root_directory="web",
                      env={"WORD": "own", "TOKEN": SECRET})
    lines = live(apps, app, apps.deployments(app["id"])[0])
    yield apps.get(app["id"]), lines
    apps.delete(app["id"])


def pando(server, *arguments):
    env = {**os.environ, "PANDO_API_URL": f"http://127.0.0.1:{server}", "PANDO_API_KEY": KEY}
    return subprocess.run([BIN / "pando", *arguments], env=env, capture_output=True, text=True, timeout=600)


def test_the_log_tells_what_is_built_and_no_secret(app):
    lines = app[1]
    for said in ("Docker image, because Dockerfile is there.", "Port 8000, because the image exposes it.",
                 "$ node /opt/server.js 'two words'", "[hidden]"):
        assert said in lines, lines
    assert any("COPY server.js" in line for line in lines), lines
    assert not any(SECRET in line for line in lines), lines


def test_it_runs_as_its_image_says(server, app):
    app = app[0]
    seen = json.loads(page(server, app))
    assert (seen["user"], seen["group"], seen["cwd"]) == ("web", "games", "/srv/site"), seen
    assert seen["words"] == ["two words"] and seen["bytes"] == str(len(SECRET)), seen
    env = seen["env"]
    assert env["COLOUR"] == "green" and env["WORD"] == "own" and env["NODE_ENV"] == "test", env
    assert env["PORT"] == "8000" and env["PANDO_APP_ID"] == app["id"] and env["HOME"] == "/home/web", env
    assert "TOKEN" not in env and SECRET not in json.dumps(seen), env
    assert len(seen["mounts"]) == 5 and seen["name"] in seen["hosts"], seen
    assert seen["released"] == "web /srv/site own" and seen["temporary"], seen
    # The sources are not in there.
    assert not seen["app"], seen


def test_processes_and_commands_run_in_the_image(server, app):
    shown = pando(server, "logs", "dockerfile", "--process", "ticker", "--tail", "1")
    assert shown.stdout == "ticker | up in /srv/site as web\n", shown
    once = pando(server, "run", "dockerfile", "--", "sh", "-c", "id -un; pwd; cat bytes; exit 3")
    assert (once.returncode, once.stdout) == (3, f"web\n/srv/site\n{len(SECRET)}\n"), once


def test_a_restart_begins_with_the_same_image(server, app):
    restarted = pando(server, "app", "restart", "dockerfile")
    assert restarted.returncode == 0, restarted
    apps, app = Client().apps, app[0]
    live(apps, app, apps.deployments(app["id"])[0])
    seen = json.loads(page(server, app))
    # The disk is as the build left it, and was released anew.
    assert (seen["user"], seen["released"], seen["temporary"]) == ("web", "web /srv/site own", True), seen


def test_a_step_that_fails_is_named_and_the_rest_is_kept(server, forge, app):
    apps, app = Client().apps, app[0]
    forge.push("dockerfile", {**FILES, "web/Dockerfile": DOCKERFILE + "\nRUN echo so far; exit 7\n"})
    failed = apps.deploy(app["id"])
    lines = list(apps.deploy_logs(app["id"], failed["id"]))
    failed = apps.deployment(app["id"], failed["id"])
    assert failed["status"] == "failed" and failed["error"].startswith("Dockerfile:13: RUN echo so far; exit 7: "), failed
    assert "so far" in lines and any("Using cache" in line for line in lines), lines
    assert json.loads(page(server, app))["user"] == "web"
