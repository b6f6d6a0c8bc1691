"""Ten deployments under load: no request fails, and none is served by a version that is broken."""

import http.client
import threading
import time

from pandastack import Client

RATE = 50  # requests each second
VERSIONS = [
    "works", "works", "fails to build", "works", "answers 500", "works", "crashes after its start",
    "works", "fails to build", "works",
]
SERVER = """\
const [version, fate] = ['%(version)s', '%(fate)s'];
const answer = (question, reply) => {
  reply.statusCode = fate === 'answers 500' ? 500 : 200;
  // Some take a while, across a flip.
  setTimeout(() => reply.end(version + ' ' + fate), question.url === '/slow' ? 1500 : 0);
};
require('http').createServer(answer).listen(process.env.PORT, '0.0.0.0');
if (fate === 'crashes after its start') setTimeout(() => process.exit(1), 3000);
"""


def files(version, fate):
    build = "exit 1\n" if fate == "fails to build" else "echo built >built\n"
    return {
        "pando.toml": "[web]\ncommand = 'node server.js'\nhealth = { grace_seconds = 15 }\n", "build.sh": build,
        "server.js": SERVER % {"version": version, "fate": fate},
    }


class Load:
    """Visitors that come at a fixed rate, each on a connection of its own, and what they saw."""

    def __init__(self, port, host):
        self.port, self.host = port, host
        self.seen, self.failed = {}, []
        self.lock, self.done = threading.Lock(), threading.Event()
        self.visitors = []
        self.clock = threading.Thread(target=self.run)

    def run(self):
        next_visit, number = time.monotonic(), 0
        while not self.done.is_set():
            number += 1
            path = "/slow" if number % 25 == 0 else "/"
            visitor = threading.Thread(target=self.visit, args=(path,))
            visitor.start()
            self.visitors.append(visitor)
            next_visit += 1 / RATE
            time.sleep(max(0, next_visit - time.monotonic()))

    def visit(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("GET", path, headers={"Host": self.host})
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, f"{answer.status} {text[:80]}"
            connection.close()
        except Exception as error:  # Whatever it is, the visitor saw it.
            with self.lock:
                self.failed.append(f"{path}: {error!r}")
            return
        with self.lock:
            self.seen[text] = self.seen.get(text, 0) + 1

    def __enter__(self):
        self.clock.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.clock.join()
        for visitor in self.visitors:
            visitor.join()


def test_no_request_fails_through_ten_deployments(server, forge):
    apps = Client().apps
    forge.push("load", files("0", "works"))
    app = apps.create(name="load", git_url=forge.url, git_branch="load", build_command="sh build.sh")
    try:
        list(apps.deploy_logs(app["id"], apps.deployments(app["id"])[0]["id"]))
        app = apps.get(app["id"])
        assert app["status"] == "running", apps.deployments(app["id"])
        host = app["url"].split("//")[1].rstrip("/")
        with Load(server, host) as load:
            for number, fate in enumerate(VERSIONS, 1):
                forge.push("load", files(str(number), fate))
                deployment = apps.deploy(app["id"])
                list(apps.deploy_logs(app["id"], deployment["id"]))
                seen = apps.deployment(app["id"], deployment["id"])
                assert (seen["status"] == "live") == (fate == "works"), (fate, seen["error"], seen["build_logs"][-2000:])
                time.sleep(1)
        print(sum(load.seen.values()), "requests", load.seen, load.failed[:5])
        assert load.failed == [], load.failed[:10]
        assert set(load.seen) == {f"{number} works" for number, fate in [(0, "works"), *enumerate(VERSIONS, 1)] if fate == "works"}
    finally:
        apps.delete(app["id"])
