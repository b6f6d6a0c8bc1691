"""Repositories that mean harm, or listen where nobody looks: each fails alone, and says why."""

import os
import subprocess
import time
import urllib.error

import pytest

from conftest import NEIGHBOUR as SITE, NEIGHBOURS_SECRET as SECRET
from pandastack import Client
from test_apps import page

SLOW = bool(os.environ.get("PANDO_SLOW_APPS"))

# What is run as the install command, what its log must say, and how the deployment ends.
HOSTILE = {
    "fills the disk": (
        "fallocate -l 15G /app/big; dd if=/dev/zero of=/app/more bs=1M; exit 3", "No space left on device", "exit code 3"),
    "talks": ("head -c 60000000 /dev/zero | tr '\\0' x | fold -w 200; exit 4", "the end is kept", "exit code 4"),
    "looks around": (
        "{ env; cat /proc/*/environ; cat /run/pando-app/app/* /opt/pando/* /var/log/pando/*; "
        "curl -m 3 http://169.254.169.254/; ls -R /run /root /home; dmesg; } 2>&1 | tr '\\0' '\\n' | head -c 2000000; exit 5",
        "HOME=/root", "exit code 5"),
}
if SLOW:
    HOSTILE |= {
        "forks": ("b() { b | b & }; b; sleep 60", "$ b()", "exit code"),
        "talks for ever": ("head -c 10000000000 /dev/zero | tr '\\0' x | fold -w 200", "the end is kept", "minutes"),
    }

# A server, and what comes of it: its page, or what its failure says.
SERVER = "require('http').createServer((q, r) => r.end('heard')).listen(%s);\n"
LISTENING = {
    "on 127.0.0.1": (SERVER % "process.env.PORT, '127.0.0.1'", "heard"),
    "on ::1": (SERVER % "process.env.PORT, '::1'", "heard"),
    "on another port": (SERVER % "4567, '0.0.0.0'", "0.0.0.0:4567 (node): it must use the port in the variable PORT"),
    "by another protocol": ("require('net').createServer(s => s.end()).listen(process.env.PORT);\n",
                            "what listens on port 3000 did not answer within 10 s"),
    "nowhere": ("console.log('up to nothing'); setTimeout(() => 0, 1e9);\n", "did not answer on port 3000 within 10 s"),
    "late": ("setTimeout(() => { %s }, %d);\n" % (SERVER % "process.env.PORT", 65000 if SLOW else 8000), "heard"),
}


def ended(apps, app):
    deployment = apps.deployments(app["id"])[0]
    for _ in apps.deploy_logs(app["id"], deployment["id"]):
        pass
    return apps.deployment(app["id"], deployment["id"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_build_fails_alone(server, forge, neighbour, name):
    command, said, why = HOSTILE[name]
    apps, branch = Client().apps, "hostile-" + name.replace(" ", "-")
    forge.push(branch, SITE)
    app = apps.create(
        name=branch, git_url=forge.url, git_branch=branch, framework="static", install_command=command,
        memory_mb=1024,
    )
    try:
        begun = time.monotonic()
        seen = ended(apps, app)
        print(f"{name}: {time.monotonic() - begun:.0f} s, {len(seen['build_logs'])} bytes of log")
        if name == "talks for ever" and seen["status"] == "live":
            why = ""  # A fast host is done in time: it is no more than much.
        else:
            assert seen["status"] == "failed", seen["build_logs"][-2000:]
        assert why in (seen["error"] or ""), seen["error"]
        assert said in seen["build_logs"], seen["build_logs"][-2000:]
        assert SECRET not in seen["build_logs"]
        assert len(seen["build_logs"]) < 10_000_000
        assert page(server, neighbour) == SITE["index.html"]
    finally:
        apps.delete(app["id"])


@pytest.mark.parametrize("name", LISTENING)
def test_an_app_is_found_or_told_where_to_listen(server, forge, name):
    program, expected = LISTENING[name]
    grace = 90 if name == "late" else 10
    apps, branch = Client().apps, "listens-" + name.replace(" ", "-").replace(":", "x").replace(".", "-")
    forge.push(branch, {
        "server.js": program,
        "pando.toml": f"[web]\ncommand = 'node server.js'\nhealth = {{ grace_seconds = {grace} }}\n",
    })
    app = apps.create(name=branch, git_url=forge.url, git_branch=branch)
    try:
        seen = ended(apps, app)
        if expected == "heard":
            assert seen["status"] == "live", seen["build_logs"][-2000:]
            assert page(server, apps.get(app["id"])) == expected
        else:
            assert seen["status"] == "failed" and expected in seen["error"], seen["build_logs"][-2000:]
        if name == "nowhere":
            assert "up to nothing" in seen["build_logs"]
    finally:
        apps.delete(app["id"])


def test_names_that_no_file_should_have_arrive_or_are_refused(server, forge):
    apps = Client().apps
    forge.push("names", SITE)
    work = forge.folder / "names"
    odd = [b"a\nline", b"bad \xff utf-8", b"-rf", b"$(touch pwned)", "blank \u00e9".encode()]
    for name in odd:
        with open(os.path.join(os.fsencode(work), name), "w") as file:
            file.write("odd\n")
    os.symlink("/etc/shadow", work / "link")
    me = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "add", "-A"], cwd=work, check=True)
    subprocess.run([*me, "commit", "-qm", "odd"], cwd=work, check=True)
    subprocess.run(["git", "push", "-q", forge.url, "names"], cwd=work, check=True)
    count = "find . -path ./.git -prune -o -type f -print0 | tr -cd '\\0' | wc -c"
    app = apps.create(
        name="names", git_url=forge.url, git_branch="names", framework="static",
        build_command=f"echo FILES $({count}); git status --porcelain | wc -l; test ! -e pwned; readlink link",
    )
    try:
        seen = ended(apps, app)
        lines = seen["build_logs"].splitlines()
        assert seen["status"] == "live", seen["build_logs"]
        assert f"FILES {len(odd) + 1}" in lines and "0" in lines and "/etc/shadow" in lines, lines
        # The page's server does not lead out of its folder.
        with pytest.raises(urllib.error.HTTPError):
            page(server, apps.get(app["id"]), "/link")

        # A tree with a name that leads out of it is no tree for git.
        blob = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], cwd=work, input=b"x", capture_output=True, check=True
        ).stdout.strip()
        tree = b"100644 ../../pwned\0" + bytes.fromhex(blob.decode())
        tree = subprocess.run(
            ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"], cwd=work, input=tree,
            capture_output=True, check=True,
        ).stdout.strip().decode()
        commit = subprocess.run(
            [*me, "commit-tree", tree, "-m", "out"], cwd=work, capture_output=True, check=True, text=True
        ).stdout.strip()
        pushed = subprocess.run(["git", "push", "-qf", forge.url, f"{commit}:refs/heads/names"], cwd=work, capture_output=True)
        if pushed.returncode == 0:
            deployment = apps.deploy(app["id"])
            list(apps.deploy_logs(app["id"], deployment["id"]))
            seen = apps.deployment(app["id"], deployment["id"])
            assert seen["status"] == "failed", seen["build_logs"]
            print(seen["error"])
        assert page(server, apps.get(app["id"])) == SITE["index.html"]
    finally:
        apps.delete(app["id"])
