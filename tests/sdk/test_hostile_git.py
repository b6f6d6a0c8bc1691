"""Repositories whose submodules, files in LFS and branches want the host to run or ask something."""

import hashlib
import hmac
import json
import os
import socket
import subprocess
import threading
import urllib.request

import pandastack
import pytest

from conftest import NEIGHBOUR as SITE, WEBHOOK_SECRET, run
from pandastack import Client
from test_apps import page
from test_hostile_repos import ended

ME = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
ID = hashlib.sha256(b"not there").hexdigest()
LFS = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}

# What `.gitmodules` says of the folder `sub`, and what the failure must say.
# MARK is the file that a command would make, TRAP an address that must not be asked.
SUBMODULES = {
    "a transport that is a command": ("url = ext::sh -c 'touch MARK'", "submodule"),
    "an option": ("url = --upload-pack=touch MARK", "submodule"),
    "an option of ssh": ("url = ssh://-oProxyCommand=touch${IFS}MARK/a/b", "submodule"),
    "a folder of the host": ("url = file:///etc", "submodule `sub` (file:///etc): a repository is named as https"),
    "a path of the host": ("url = /etc", "submodule `sub` (/etc)"),
    "above the forge": ("url = ../../../x", "submodule `sub` (../../../x)"),
    "the cloud's metadata": ("url = http://169.254.169.254/x", "may only be reached over https"),
    "a private address": ("url = https://TRAP/x", "is not a public address"),
    "a private address by name": ("url = https://localhost:443/x", "is not a public address"),
    "an update that is a command": ("url = ../hello.git\n\tupdate = !touch MARK", "disallowed submodule update"),
}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n"
# Files, and what the failure must say.
IN_LFS = {
    "from a private address": (
        {".lfsconfig": "[lfs]\n\turl = http://TRAP/lfs\n", "a.bin": POINTER % (ID, 9)}, "for the files in LFS"),
    "by a command": (
        {".lfsconfig": "[lfs]\n\tstandalonetransferagent = evil\n[lfs \"customtransfer.evil\"]\n\tpath = touch\n"
                       "\targs = MARK\n[core]\n\tfsmonitor = touch MARK\n\tsshCommand = touch MARK\n",
         "a.bin": POINTER % (ID, 9)}, "for the files in LFS"),
    "of a size that no disk has": ({"a.bin": POINTER % (ID, 1 << 62)}, "larger than 2048 MiB"),
}
# Branches that git takes, and a shell would run.
BRANCHES = ["$(touch${IFS}MARK)", "';touch${IFS}MARK;'\";touch${IFS}MARK;\"", "`touch${IFS}MARK`|%2e%2e/<b>&\u00fc"]
REFUSED = ["--upload-pack=touch MARK", "-c", "refs/heads/../x", "a\nb", "a b", "x.lock", "@{-1}"]


@pytest.fixture(scope="module")
def mark(tmp_path_factory):
    return tmp_path_factory.mktemp("mark") / "pando-pwned"


@pytest.fixture(scope="module")
def trap():
    """An address on this host, and who has asked there."""
    heard, listener = [], socket.create_server(("127.0.0.1", 0))

    def listen():
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            heard.append(caller.recv(1000))
            caller.close()

    thread = threading.Thread(target=listen)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def unharmed(server, neighbour, mark, trap):
    """Whatever a test does, nothing was run or asked on the host, and others' pages are there."""
    yield lambda text: text.replace("MARK", str(mark)).replace("TRAP", trap[0])
    assert not mark.exists()
    assert not trap[1]
    assert page(server, neighbour) == SITE["index.html"]


def committed(forge, name, branch):
    """Pushes what was added to the folder's last commit. The new commit's id."""
    work = forge.folder / name
    run("git", *ME, "commit", "-q", "--allow-empty", "-m", "more", cwd=work)
    run("git", "push", "-q", forge.url, f"HEAD:refs/heads/{branch}", cwd=work)
    return run("git", "rev-parse", "HEAD", cwd=work).strip()


def deployed(forge, branch):
    apps = Client().apps
    app = apps.create(
        name="hostile-git", git_url=forge.url, git_branch=branch, build_command="git status --porcelain; cat a.bin"
    )
    try:
        return ended(apps, app)
    finally:
        apps.delete(app["id"])


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_from_nowhere_good_is_named(forge, unharmed, name):
    text, why = SUBMODULES[name]
    branch = "sub-" + name.replace(" ", "-")
    commit = forge.push(branch, SITE | {".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\t{unharmed(text)}\n'})
    run("git", "update-index", "--add", "--cacheinfo", f"160000,{commit},sub", cwd=forge.folder / branch)
    committed(forge, branch, branch)
    seen = deployed(forge, branch)
    print(seen["error"])
    assert seen["status"] == "failed" and unharmed(why) in seen["error"], seen
    assert seen["error"] in seen["build_logs"]


@pytest.mark.parametrize("name", IN_LFS)
def test_a_file_in_lfs_from_nowhere_good_is_named(forge, unharmed, name):
    files, why = IN_LFS[name]
    branch = "lfs-" + name.replace(" ", "-")
    forge.push(branch, SITE | LFS | {path: unharmed(text) for path, text in files.items()})
    seen = deployed(forge, branch)
    print(seen["error"])
    assert seen["status"] == "failed" and why in seen["error"], seen


def test_what_looks_like_settings_of_git_is_a_file(server, forge, unharmed, mark):
    """No section is followed without a submodule in its place, and no attribute without its filter."""
    section = '[submodule "%s"]\n\tpath = %s\n\turl = https://TRAP/x\n'
    settings = unharmed('[filter "evil"]\n\tsmudge = touch MARK\n\tclean = touch MARK\n[include]\n\tpath = /etc/passwd\n')
    name = "settings"
    forge.push(name, SITE | {
        ".gitmodules": unharmed("".join(section % at for at in enumerate([".git/hooks", "../out", "link/sub"]))),
        ".gitattributes": "* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n",
        ".gitconfig": settings,
        ".lfsconfig": settings,
        "hooks/post-checkout": unharmed("#!/bin/sh\ntouch MARK\n"),
        "a.bin": POINTER % ("../../../../etc/passwd", 9),
        "b.bin": POINTER % (ID, -1),
    })
    os.symlink(mark.parent, forge.folder / name / "link")
    run("git", "add", "link", cwd=forge.folder / name)
    committed(forge, name, name)
    seen = deployed(forge, name)
    assert seen["status"] == "live", seen["build_logs"]
    lines = seen["build_logs"].splitlines()
    assert "oid sha256:../../../../etc/passwd" in lines
    assert not [line for line in lines if line.startswith(("?? ", " M ", " D "))], lines


@pytest.mark.parametrize("path", [b".git", b"..", b"link"], ids=["repository", "above", "link"])
def test_a_submodule_in_a_place_of_its_own_is_refused(forge, unharmed, path):
    """Trees that git does not write: in the repository's own folder, above it, in a link's place."""
    name = "place-" + (path.decode().strip(".") or "above")
    commit = forge.push(name, SITE)
    work = forge.folder / name

    def written(kind, content):
        command = ["git", "hash-object", "-w", "-t", kind, "--literally", "--stdin"]
        return subprocess.run(command, cwd=work, input=content, capture_output=True, check=True).stdout.strip().decode()

    link = bytes.fromhex(written("blob", b"/etc"))
    inner = bytes.fromhex(written("tree", b"160000 hooks\0" + bytes.fromhex(commit)))
    tree = b"40000 " + path + b"\0" + inner
    if path == b"link":
        tree = b"120000 link\0" + link + tree
    evil = run("git", *ME, "commit-tree", written("tree", tree), "-m", "evil", cwd=work).strip()
    run("git", "push", "-qf", forge.url, f"{evil}:refs/heads/{name}", cwd=work)
    seen = deployed(forge, name)
    print(seen["error"])
    assert seen["status"] == "failed" and "fsck error" in seen["error"], seen


def test_a_branch_is_a_name_and_no_command(server, forge, unharmed):
    apps, app, name = Client().apps, None, "named"
    command = 'echo "$PANDO_GIT_BRANCH" "$(git branch --show-current)" > index.html; exec python3 -m http.server $PORT'
    forge.push(name, {"pando.toml": f"[web]\ncommand = '''{command}'''\n"})
    try:
        for number, branch in enumerate(map(unharmed, BRANCHES)):
            commit = committed(forge, name, branch)
            if number == 0:
                app = apps.create(name="named", git_url=forge.url, git_branch=branch)
            else:
                apps.update(app["id"], git_branch=branch)
            if number == 1:
                apps.deploy(app["id"])
            if number == 2:
                assert delivered(server, forge, branch, commit) == 202
            seen = ended(apps, app)
            assert seen["status"] == "live", seen
            assert page(server, apps.get(app["id"])) == f"{branch} {branch}\n"
        for branch in map(unharmed, REFUSED):
            for ask in [
                lambda: apps.create(name="refused", git_url=forge.url, git_branch=branch),
                lambda: apps.update(app["id"], git_branch=branch),
                lambda: apps.deploy(app["id"], git_ref=branch),
            ]:
                with pytest.raises(pandastack.BadRequestError, match="git_(branch|ref)"):
                    ask()
            with pytest.raises(urllib.error.HTTPError, match="400"):
                delivered(server, forge, branch, commit)
        assert len(apps.deployments(app["id"])) == len(BRANCHES)
    finally:
        if app:
            apps.delete(app["id"])


def delivered(server, forge, branch, commit):
    """A push's delivery, as GitHub sends it: its status."""
    url = forge.url.removesuffix(".git")
    full_name = "/".join(url.split("/")[-2:])
    repository = {"full_name": full_name, "clone_url": forge.url, "html_url": url}
    body = json.dumps({"ref": f"refs/heads/{branch}", "after": commit, "repository": repository}).encode()
    signature = hmac.new(WEBHOOK_SECRET.encode(), body, "sha256").hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": commit, "X-Hub-Signature-256": f"sha256={signature}"}
    request = urllib.request.Request(f"http://127.0.0.1:{server}/v1/webhooks/github", body, headers)
    return urllib.request.urlopen(request, timeout=60).status
