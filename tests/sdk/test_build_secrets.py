"""A build's secret is there while an app is installed and built, and afterwards nowhere: not on a
disk, not in a memory that is kept, not in a log, not in the rows."""

import base64
import errno
import hashlib
import json
import os
import secrets
import stat
import urllib.parse

import pytest
from pandastack import Client

from conftest import DATA
from test_apps import live, page

# With characters that base64 and URLs spell in several ways.
TOKEN = f"build/{secrets.token_hex(16)}+of=it"
# What shows that a secret would be found: on disks and in logs, and in memories.
SAID, MARK = f"said-{secrets.token_hex(16)}", f"mark-{secrets.token_hex(16)}"

# It writes the secret to files, too, as tools do, and removes them when they are on the disk.
USE = f"""\
set -e
test "$(printf %s "$TOKEN" | sha256sum)" = '{hashlib.sha256(TOKEN.encode()).hexdigest()}  -'
echo "{SAID}: as it is $TOKEN, in base64 $(printf %s "$TOKEN" | base64 -w 0)"
for file in token /root/.token /tmp/token; do
    printf %s "$TOKEN" >$file
done
sync
rm token /root/.token /tmp/token
"""
SERVER = """\
require('http').createServer((asked, answer) => answer.end(JSON.stringify(process.env))).listen(process.env.PORT);
"""
MANIFEST = '[build]\nsecrets = ["TOKEN"]\n'
# The files, and where what they were installed to is kept for the next. An image is minutes.
NPM = {
    "npm": ({
        "package.json": '{"name": "private", "private": true, "scripts": {"postinstall": "sh use.sh"}}\n',
        ".npmrc": "//registry.invalid/:_authToken=${TOKEN}\n",
        "pando.toml": MANIFEST + 'install = "npm install --foreground-scripts"\ncommand = "sh use.sh"\n\n'
        '[web]\ncommand = "node server.js"\n',
        "use.sh": USE, "server.js": SERVER,
    }, "pool/disks/layer-"),
}
IMAGE = {
    "image": ({
        "Dockerfile": "FROM pando/base\nWORKDIR /site\nCOPY use.sh ./\n"
        "RUN --mount=type=secret,id=TOKEN TOKEN=$(cat /run/secrets/TOKEN) sh use.sh\n"
        'COPY server.js ./\nCMD ["node", "server.js"]\n',
        "pando.toml": MANIFEST, "use.sh": USE, "server.js": SERVER,
    }, "pool/layers/"),
}
APPS = NPM | IMAGE if os.environ.get("PANDO_SLOW_APPS") else NPM
PIECE_BYTES = 8 << 20


def spellings(text):
    """As it is, in URLs, and in base64 wherever it stands in what was encoded."""
    found = {text, urllib.parse.quote(text), urllib.parse.quote(text, safe="")}
    for before in range(3):
        encoded = base64.b64encode(b"." * before + text.encode()).decode()
        # The characters at both ends are made of its neighbours, too.
        whole = encoded[(before * 8 + 5) // 6:(before + len(text)) * 8 // 6]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return {spelling.encode() for spelling in found}


def pieces(path):
    """What is written of a file, in pieces that overlap: holes are not read."""
    with open(path, "rb", buffering=0) as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            rest = b""
            while at < end:
                piece = os.pread(file.fileno(), min(PIECE_BYTES, end - at), at)
                if not piece:
                    return
                yield rest + piece
                at, rest = at + len(piece), piece[-256:]


def places(wanted):
    """Of each text, the files below the data folder that hold any of its spellings."""
    found, looked = {text: set() for text in wanted}, {}
    for folder, _, names in os.walk(DATA):
        for name in names:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            # What is in the pool's image is in the pool.
            if not stat.S_ISREG(about.st_mode) or name == "pool.xfs":
                continue
            file = (about.st_dev, about.st_ino)
            if file not in looked:
                looked[file] = held = set()
                for piece in pieces(path):
                    held |= {text for text, needles in wanted.items() if any(it in piece for it in needles)}
            for text in looked[file]:
                found[text].add(os.path.relpath(path, DATA))
    return found


def test_a_secret_is_found_in_what_holds_it():
    for held in (b"%s:" + TOKEN.encode(), base64.b64encode(b"u:" + TOKEN.encode()),
                 base64.b64encode(b"user:" + TOKEN.encode() + b"\n"), base64.b64encode(b"key:" + TOKEN.encode()),
                 base64.urlsafe_b64encode(TOKEN.encode()), urllib.parse.quote_plus(TOKEN).encode()):
        assert any(spelling in held for spelling in spellings(TOKEN)), held


@pytest.mark.parametrize("name", APPS)
def test_no_build_secret_stays(server, forge, name):
    files, kept = APPS[name]
    client, branch = Client(), f"secret-{name}"
    apps = client.apps
    forge.push(branch, files)
    app = apps.create(name=branch, git_url=forge.url, git_branch=branch, env={"TOKEN": TOKEN, "MARK": MARK})
    try:
        lines = live(apps, app, apps.deployments(app["id"])[0])
        assert any(f"{SAID}: as it is [hidden], in base64 [hidden]" in line for line in lines), lines
        forge.push(branch, files | {"server.js": SERVER + "// again\n"})
        live(apps, app, apps.deploy(app["id"]))
        live(apps, app, apps.rollback(app["id"]))

        shown = json.loads(page(server, app))
        assert shown["MARK"] == MARK and "TOKEN" not in shown, shown
        sandbox = client.sandboxes.get(apps.get(app["id"])["sandbox_id"])
        environments = sandbox.exec("cat /proc/[0-9]*/environ").stdout
        assert MARK in environments and TOKEN not in environments, environments
        snapshot = sandbox.snapshot()
        sandbox.hibernate()

        found = places({TOKEN: spellings(TOKEN), SAID: [SAID.encode()], MARK: [MARK.encode()]})
        asleep = f"pool/sandboxes/{sandbox.id}/asleep/"
        for kind in (kept, "pool/disks/built-", "pool/snapshots/", asleep, "pando.db"):
            assert any(path.startswith(kind) for path in found[SAID]), (kind, found[SAID])
        for kind in ("pool/snapshots/", asleep):
            assert any(path.startswith(kind) and "/memory" in path for path in found[MARK]), (kind, found[MARK])
        assert not found[TOKEN], found[TOKEN]
        # It is not its sandbox's, and would stay.
        client.snapshots.delete(snapshot)
    finally:
        apps.delete(app["id"])
