"""The server and the git host that the SDK's tests run against: both real."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pandastack
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("PANDO_BIN_DIR", ROOT / "target/release"))
DATA = Path(os.environ.get("PANDO_TEST_DATA", "/var/tmp/pando-test"))
KEY = "pds_0123456789abcdef0123456789abcdef"
# What tells this server's links and namespaces from another's.
PREFIX = os.environ.get("PANDO_TEST_PREFIX", "pt")
POOL = os.environ.get("PANDO_TEST_POOL", "10.214.0.0")
READY_LIMIT_SECONDS = 900
# Addresses of documentation (RFC 5737): public in form, and nobody's.
GIT_HOST, GIT_GATEWAY, GIT_NAMESPACE, GIT_LINK = "198.51.100.10", "198.51.100.9", "ptgit", "ptgit0"
# The git host is next to this one, where sandboxes reach nothing unless it is allowed.
HOST = ["--data", str(DATA), "--network-prefix", PREFIX, "--network-pool", POOL, "--network-allow", GIT_HOST]


FORGE_TOKEN = "forge-token"
WEBHOOK_SECRET = "secret"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# The forge's, which the server must be told of before it is there; and the name server's.
FORGE_PORT, DNS_PORT = free_port(), free_port()


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


@pytest.fixture(scope="session")
def server():
    """`pando serve`, stopped and torn down at the end; nothing of it may be left."""
    DATA.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = open(DATA / "sdk-serve.log", "w")
    process = subprocess.Popen(
        [BIN / "pando", "serve", *HOST, "--listen", f"127.0.0.1:{port}",
         "--suffix", f"preview.localhost:{port}", "--allow-git-host", f"127.0.0.1:{FORGE_PORT}",
         "--dns-server", f"127.0.0.1:{DNS_PORT}"],
        env={**os.environ, "PANDO_API_KEY": KEY, "PANDO_GITHUB_WEBHOOK_SECRET": WEBHOOK_SECRET}, stdout=log, stderr=log,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY_LIMIT_SECONDS
        while True:
            assert process.poll() is None, (DATA / "sdk-serve.log").read_text()[-3000:]
            assert time.monotonic() < deadline, "the server is not ready"
            try:
                urllib.request.urlopen(url + "/healthz", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        os.environ["PANDASTACK_API"] = url
        os.environ["PANDASTACK_API_KEY"] = KEY
        # Volumes of earlier runs outlive their sandboxes, and a teardown.
        volumes = pandastack.Client().volumes
        for volume in volumes.list():
            volumes.delete(volume["name"])
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        run(BIN / "pando", "teardown", *HOST)
    namespaces = run("ip", "netns", "list")
    assert not [line for line in namespaces.splitlines() if line.startswith(f"{PREFIX}-")], namespaces
    assert str(DATA) not in Path("/proc/mounts").read_text()


@pytest.fixture(scope="session")
def git_host(tmp_path_factory):
    """A host of its own, in a network namespace, that serves git over HTTP."""
    folder = tmp_path_factory.mktemp("git")
    work, bare = folder / "work", folder / "served" / "site.git"
    work.mkdir()
    (work / "package.json").write_text(
        '{"name": "site", "version": "1.0.0", "scripts": {"build": "node build.js", '
        '"start": "node server.js"}, "dependencies": {"ms": "2.1.3"}}\n'
    )
    (work / "build.js").write_text(
        "const fs = require('fs');\nfs.mkdirSync('dist', { recursive: true });\n"
        "fs.writeFileSync('dist/index.html', `<h1>built: ${require('ms')('2 days')}</h1>`);\n"
    )
    (work / "server.js").write_text(
        "const page = require('fs').readFileSync('dist/index.html');\n"
        "require('http').createServer((q, r) => r.end(page)).listen(3000, '127.0.0.1');\n"
    )
    me = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    run("git", "init", "-q", "-b", "main", cwd=work)
    run("git", "add", "-A", cwd=work)
    run("git", *me, "commit", "-q", "-m", "site", cwd=work)
    run("git", "clone", "-q", "--bare", str(work), str(bare))
    run("git", "update-server-info", cwd=bare)
    remove_git_host()
    run("ip", "netns", "add", GIT_NAMESPACE)
    web = None
    try:
        run("ip", "link", "add", GIT_LINK, "type", "veth", "peer", "name", "eth0", "netns", GIT_NAMESPACE)
        run("ip", "address", "add", f"{GIT_GATEWAY}/30", "dev", GIT_LINK)
        run("ip", "link", "set", GIT_LINK, "up")
        for command in (f"address add {GIT_HOST}/30 dev eth0", "link set eth0 up", "link set lo up",
                        f"route add default via {GIT_GATEWAY}"):
            run("ip", "-n", GIT_NAMESPACE, *command.split())
        web = subprocess.Popen(
            ["ip", "netns", "exec", GIT_NAMESPACE, "python3", "-m", "http.server", "80",
             "--bind", GIT_HOST, "--directory", str(bare.parent)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        yield f"http://{GIT_HOST}/site.git"
    finally:
        if web:
            web.terminate()
            web.wait(10)
        remove_git_host()


def remove_git_host():
    subprocess.run(["ip", "link", "delete", GIT_LINK], capture_output=True)
    subprocess.run(["ip", "netns", "delete", GIT_NAMESPACE], capture_output=True)


class Forge:
    """A repository that branches are pushed to."""

    def __init__(self, url, folder):
        self.url, self.folder = url, folder

    def push(self, branch, files):
        """A commit with these files and no others; a new branch has no past. Its id."""
        work = self.folder / branch
        if work.exists():
            run("git", "rm", "-rq", ".", cwd=work)
        work.mkdir(exist_ok=True)
        for name, text in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        me = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        run("git", "init", "-q", "-b", branch, cwd=work)
        run("git", "add", "-A", cwd=work)
        run("git", *me, "commit", "-q", "-m", branch, cwd=work)
        run("git", "push", "-q", self.url, branch, cwd=work)
        return run("git", "rev-parse", "HEAD", cwd=work).strip()


@pytest.fixture(scope="session")
def forge(tmp_path_factory):
    """A stand-in for GitHub, with a repository."""
    folder = tmp_path_factory.mktemp("forge")
    url = f"http://127.0.0.1:{FORGE_PORT}"
    log = open(DATA / "sdk-forge.log", "w")
    process = subprocess.Popen(
        [BIN / "pando-forge", "serve", "--listen", f"127.0.0.1:{FORGE_PORT}", "--root", folder / "root",
         "--webhook-url", "http://127.0.0.1:9/nobody"],
        env={**os.environ, "PANDO_GITHUB_WEBHOOK_SECRET": WEBHOOK_SECRET, "PANDO_GITHUB_TOKEN": FORGE_TOKEN},
        stdout=log, stderr=log,
    )
    try:
        for _ in range(100):
            made = subprocess.run([BIN / "pando-forge", "demo-repo", "--forge", url], capture_output=True, text=True)
            if made.returncode == 0:
                break
            time.sleep(0.1)
        assert made.returncode == 0, made.stderr
        yield Forge(made.stdout.split("git clone ")[1].strip(), folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# Of an app beside those that mean harm.
NEIGHBOUR, NEIGHBOURS_SECRET = {"index.html": "still here\n"}, "the-neighbours-secret"


@pytest.fixture(scope="session")
def neighbour(server, forge):
    """A live app of the same org, which has a secret."""
    apps = pandastack.Client().apps
    forge.push("neighbour", NEIGHBOUR)
    app = apps.create(name="neighbour", git_url=forge.url, git_branch="neighbour", env={"SECRET": NEIGHBOURS_SECRET})
    list(apps.deploy_logs(app["id"], apps.deployments(app["id"])[0]["id"]))
    yield apps.get(app["id"])
    apps.delete(app["id"])
