#!/usr/bin/env python3
"""Every route of the API document, every field wrong in type and range, against a real server.

No answer may be a 5xx or one that the document does not know, and nothing may be left
half-made: at the end there is what was answered with success, and no more.

    run.py                 a run of a new seed, which it prints
    run.py --seed N        the same run again

The last line counts the operations that passed and failed; what is left half-made is one more.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(os.environ.get("PANDO_BIN_DIR", ROOT / "target/release"))
DATA = Path(os.environ.get("PANDO_TEST_DATA", "/var/tmp/pando-test"))
PREFIX = os.environ.get("PANDO_TEST_PREFIX", "pt")
POOL = os.environ.get("PANDO_TEST_POOL", "10.214.0.0")
HOST = ["--data", str(DATA), "--network-prefix", PREFIX, "--network-pool", POOL]
KEY = "pds_0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = "of a test"
# A host that is never there (RFC 2606), so what deploys from it fails.
REPOSITORY = "https://forge.invalid/owner/repo"
LINE_CHARS = 400
READY_LIMIT_SECONDS = 900
# Room for two sandboxes that are there and two more, so that most creates are refused by
# quota, and few sizes are baked; no volume is larger than the disk.
QUOTA = {"sandboxes": 4, "vcpus": 8, "memory-mb": 8192, "volumes": 8, "volume-mb": 2048}


class Server:
    """`pando serve`, torn down at the end; nothing of it may be left."""

    def __enter__(self):
        DATA.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = DATA / "api-serve.log"
        self.process = subprocess.Popen(
            [BIN / "pando", "serve", *HOST, "--listen", f"127.0.0.1:{port}",
             "--suffix", f"preview.localhost:{port}",
             # Nobody is there: no name that the driver thinks of is looked up anywhere.
             "--dns-server", "127.0.0.1:9"],
            env={**os.environ, "PANDO_API_KEY": KEY, "PANDO_GITHUB_WEBHOOK_SECRET": WEBHOOK_SECRET},
            stdout=self.log.open("w"), stderr=subprocess.STDOUT,
        )
        try:
            self.wait_until_ready()
            self.set_quota(**QUOTA)
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_LIMIT_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, "the server is not ready"
            try:
                urllib.request.urlopen(self.url + "/healthz", timeout=5)
                return
            except OSError:
                time.sleep(0.2)

    def set_quota(self, **quota):
        flags = [word for name, most in quota.items() for word in (f"--{name}", str(most))]
        subprocess.run([BIN / "pando", "org", "quota", "--data", DATA, *flags], check=True,
                       stdout=subprocess.DEVNULL)

    def ask(self, method, path, body=None):
        """The status and what the body holds."""
        request = urllib.request.Request(
            f"{self.url}/v1{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read() or b"null")

    def list(self, path):
        status, answer = self.ask("GET", path)
        assert status == 200 and answer["next_cursor"] is None, answer
        return answer["items"]

    def make(self, path, body):
        """The id of what a create made."""
        status, made = self.ask("POST", path, body)
        assert status == 201, made
        return made["id"]

    def machines(self):
        """The VMMs of this data folder: each bears its node's name."""
        name = "pando:" + json.loads((DATA / "node.json").read_text())["id"]
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        return sum("qemu-system" in line and name in line for line in processes.stdout.splitlines())

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.set_quota(**{name: "default" for name in QUOTA})
        subprocess.run([BIN / "pando", "teardown", *HOST], check=True, stdout=subprocess.DEVNULL)


def settled(what, wanted, look):
    """Waits for what follows from an answer: sandboxes of deployments that ended, mostly."""
    deadline = time.monotonic() + 120
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{what}: {seen} instead of {wanted}"
        time.sleep(0.5)


def prepare(server):
    """What there is before the driver comes: things that it may find, and its key."""
    status, key = server.ask("POST", "/me/tokens", {"label": "driver"})
    assert status == 201, key
    tokens = server.list("/me/tokens")
    sandbox, gone = server.make("/sandboxes", {"persistent": True}), server.make("/sandboxes", {})
    assert server.ask("DELETE", f"/sandboxes/{gone}")[0] == 204
    server.make("/volumes", {"name": "found", "size_mb": 64})
    app = server.make("/apps", {"name": "found", "git_url": REPOSITORY})
    status, domain = server.ask("POST", f"/apps/{app}/domains", {"domain": "found.example.com"})
    assert status == 201, domain
    number = {"github_repo_id": 4711, "repo_full_name": "owner/repo"}
    status, known = server.ask("POST", "/preview-repos", number)
    assert status == 200, known
    return key["token"], {
        "keys": [token[name] for token in tokens for name in ("id", "prefix")],
        "sandbox": sandbox,
        "snapshot": server.make(f"/sandboxes/{sandbox}/snapshots", {}),
        "victim": server.make("/sandboxes", {"persistent": True}),
        "gone": gone,
        "session": server.make(f"/sandboxes/{sandbox}/repl/sessions", {}),
        "schedule": server.make(
            f"/sandboxes/{sandbox}/schedules", {"cron": "0 0 29 2 *", "command": "true"}
        ),
        "app": app,
        "volume": "found",
        "domain": domain["domain"],
        "deployment": server.list(f"/apps/{app}/deploys")[0]["id"],
        "repository": REPOSITORY,
        "repository_number": known["github_repo_id"],
        "webhook_secret": WEBHOOK_SECRET,
    }


def drive(server, seed, examples):
    """Lets the driver loose: what was there, what it made, and how many operations passed and failed."""
    token, known = prepare(server)
    made, report = DATA / "api-made.jsonl", DATA / "api-report.xml"
    made.write_text("")
    report.unlink(missing_ok=True)
    command = [
        Path(sys.executable).with_name("st"), "--config-file", "schemathesis.toml",
        "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token}",
        "--checks", "all", "--phases", "coverage,fuzzing,stateful", "--max-examples", str(examples),
        "--seed", str(seed), "--warnings", "off", "--no-color", "--no-shrink",
        "--report", "junit", "--report-junit-path", str(report),
    ]
    environment = {
        **os.environ, "PANDO_FUZZ_KNOWN": json.dumps(known), "PANDO_FUZZ_MADE": str(made),
    }
    driver = subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
    for line in driver.stdout:
        # A failed request may be thousands of characters long; its seed makes it again.
        line = line.rstrip()
        print(line if len(line) <= LINE_CHARS else line[:LINE_CHARS] + " …", flush=True)
    outcome = driver.wait()
    # Without it, every answer since would have been a mere 401.
    kept = [token["label"] for token in server.list("/me/tokens")]
    assert "driver" in kept, "the driver deleted its own key"
    passed, failed = tally(report)
    assert (outcome == 0) == (failed == 0), f"the driver ended with {outcome}"
    return known, [json.loads(line) for line in made.open()], passed, failed


def tally(report):
    """How many operations passed and failed."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    wrong = ("failure", "error")
    failed = sum(any(case.find(what) is not None for what in wrong) for case in cases)
    return len(cases) - failed, failed


def check_nothing_is_half_made(server, known, made):
    earlier = {known["sandbox"], known["victim"], *known["keys"]}
    makes = {"sandbox_create", "sandbox_fork"}
    answered = {thing["id"] for operation, thing in made if operation in makes}
    trees = [thing["children"] for operation, thing in made if operation == "sandbox_fork_tree"]
    answered |= {child["id"] for tree in trees for child in tree}
    for app in server.list("/apps"):
        status, _ = server.ask("DELETE", f"/apps/{app['id']}")
        assert status == 204, status
    settled("apps", [], lambda: server.list("/apps"))
    settled("previews", [], lambda: server.list("/previews"))
    sandboxes = server.list("/sandboxes")
    there = {sandbox["id"] for sandbox in sandboxes}
    assert there <= earlier | answered, f"made and never answered: {there - earlier - answered}"
    awake = sum(sandbox["status"] != "hibernated" for sandbox in sandboxes)
    settled("machines", awake, server.machines)
    taken = {thing["id"] for operation, thing in made if operation == "snapshot_create"}
    for snapshot in server.ask("GET", "/snapshots")[1]["snapshots"]:
        assert snapshot["id"] in taken | {known["snapshot"]}, f"taken and never answered: {snapshot}"
        assert server.ask("DELETE", f"/snapshots/{snapshot['id']}")[0] == 204
    added = {thing["id"] for operation, thing in made if operation == "schedule_create"}
    for sandbox in there:
        for schedule in server.list(f"/sandboxes/{sandbox}/schedules"):
            whose = added | {known["schedule"]}
            assert schedule["id"] in whose, f"made and never answered: {schedule}"
    asked = {thing["name"] for operation, thing in made if operation == "volume_create"}
    volumes = [volume["name"] for volume in server.list("/volumes")]
    assert set(volumes) <= asked | {known["volume"]}, f"made and never answered: {volumes}"
    shown = {thing["id"] for operation, thing in made if operation == "token_create"}
    for token in server.list("/me/tokens"):
        if token["label"] == "preset":
            continue
        assert token["id"] in earlier | shown, f"a key that nobody was shown: {token}"
        assert server.ask("DELETE", f"/me/tokens/{token['id']}")[0] == 204
    for sandbox in there:
        assert server.ask("DELETE", f"/sandboxes/{sandbox}")[0] == 204
    for volume in volumes:
        assert server.ask("DELETE", f"/volumes/{volume}")[0] == 204
    assert not list((DATA / "pool/volumes").iterdir())
    settled("machines after deletion", 0, server.machines)
    assert server.process.poll() is None, "the server ended"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments.add_argument("--examples", type=int, default=60)
    arguments = arguments.parse_args()
    print(f"seed {arguments.seed}: scripts/test-api --seed {arguments.seed} runs it again", flush=True)
    with Server() as server:
        known, made, passed, failed = drive(server, arguments.seed, arguments.examples)
        try:
            check_nothing_is_half_made(server, known, made)
            passed += 1
        except AssertionError as error:
            print(f"something is half-made: {str(error)[:LINE_CHARS]}")
            failed += 1
    print(f"api: {passed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
