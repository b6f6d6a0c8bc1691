"""The public SDK as it is on PyPI, unmodified, against real microVMs."""

import subprocess
import time

import pytest

import pandastack
from pandastack import Client, Sandbox


@pytest.fixture
def sandbox(server):
    sandbox = Sandbox.create(template="base", ttl_seconds=600)
    yield sandbox
    sandbox.kill()


def page(port, sandbox_id, server):
    """What curl gets: a name under localhost needs no DNS."""
    return subprocess.run(
        ["curl", "-sS", "--max-time", "30", f"http://{port}-{sandbox_id}.preview.localhost:{server}/"],
        capture_output=True, text=True, check=True,
    ).stdout


def test_clone_build_and_serve(server, git_host):
    sandbox = Sandbox.create(template="base", ttl_seconds=86400, persistent=True)
    assert sandbox.status == "running"
    assert sandbox.persistent

    def sh(command, seconds=600):
        result = sandbox.exec(command, timeout_seconds=seconds)
        assert result.exit_code == 0, result
        return result.stdout

    for attempt in range(20):
        if sandbox.exec(f"git ls-remote {git_host}", timeout_seconds=60).exit_code == 0:
            break
        time.sleep(0.5)
    sh(f"git clone {git_host} /srv/site")
    # The SDK gives a plain request 30 s; a stream stays open as long as something comes.
    said = []
    code = sandbox.exec_stream(
        "cd /srv/site && npm install && npm run build",
        on_stdout=said.append, on_stderr=said.append, timeout_seconds=600,
    )
    assert code == 0, "".join(said)
    assert "built: 172800000" in sh("cat /srv/site/dist/index.html")
    sh("cd /srv/site && setsid npm start >/tmp/server.log 2>&1 </dev/null & echo started")
    deadline = time.monotonic() + 120
    while "built: 172800000" not in page(3000, sandbox.id, server):
        assert time.monotonic() < deadline, sh("cat /tmp/server.log")
        time.sleep(0.5)
    assert 3000 in sandbox.preview_urls()
    assert sandbox.preview_url(3000).startswith(f"https://3000-{sandbox.id}.")

    Sandbox.get(sandbox.id).kill()
    # Killing twice: the sandbox is gone, and saying so again is fine.
    sandbox.kill()
    with pytest.raises(pandastack.NotFoundError):
        Sandbox.get(sandbox.id)


def test_exec(sandbox):
    result = sandbox.exec("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert sandbox.run_code("print(6 * 7)").stdout == "42\n"
    assert sandbox.commands.run("echo hi").stdout == "hi\n"
    with pytest.raises(pandastack.CommandFailed):
        sandbox.exec("false", check=True)
    with pytest.raises(pandastack.SandboxTimeout):
        sandbox.exec("sleep 60", timeout_seconds=1)


def test_exec_stream(sandbox):
    out, err = [], []
    code = sandbox.exec_stream(
        "for n in 1 2 3; do echo line $n; sleep 0.2; done; echo oops >&2; exit 5",
        on_stdout=out.append, on_stderr=err.append,
    )
    assert code == 5
    assert "".join(out) == "line 1\nline 2\nline 3\n"
    assert "".join(err) == "oops\n"
    assert len(out) >= 2, "streamed, not collected"


def test_filesystem(sandbox, tmp_path):
    files = sandbox.filesystem
    files.write("/srv/a/b/hello.txt", b"hello \xff\x00 world")
    assert files.read("/srv/a/b/hello.txt") == b"hello \xff\x00 world"
    assert files.exists("/srv/a/b/hello.txt")
    assert not files.exists("/srv/nothing")
    info = files.stat("/srv/a/b/hello.txt")
    assert (info.name, info.is_dir, info.size) == ("hello.txt", False, 14)
    assert [entry.name for entry in files.listdir("/srv/a")] == ["b"]
    local = tmp_path / "big.bin"
    local.write_bytes(bytes(range(256)) * 20_000)
    files.upload(str(local), "/srv/big.bin")
    back = tmp_path / "back.bin"
    files.download("/srv/big.bin", str(back))
    assert back.read_bytes() == local.read_bytes()
    walked = [(folder, [f.name for f in found]) for folder, _, found in files.walk("/srv/a")]
    assert walked == [("/srv/a", []), ("/srv/a/b", ["hello.txt"])]
    with pytest.raises(pandastack.NotFoundError):
        files.read("/no/such/file")


def test_lifecycle(sandbox):
    assert sandbox.lifecycle()["ttl_seconds"] == 600
    sandbox.set_ttl(1200)
    assert sandbox.lifecycle()["ttl_seconds"] == 1200
    sandbox.set_persistent(True)
    assert sandbox.lifecycle()["persistent"] is True
    sandbox.pause()
    assert Sandbox.get(sandbox.id).status == "paused"
    sandbox.resume()
    assert sandbox.exec("echo on").stdout == "on\n"
    assert sandbox.id in [other.id for other in Sandbox.list()]


def test_ttl(server):
    sandbox = Sandbox.create(template="base", ttl_seconds=2)
    deadline = time.monotonic() + 60
    while True:
        try:
            Sandbox.get(sandbox.id)
        except pandastack.NotFoundError:
            break
        assert time.monotonic() < deadline, "it outlives its time"
        time.sleep(0.2)


def test_client(server):
    client = Client()
    assert client.me()
    templates = {template.name for template in client.templates.list()}
    assert "base" in templates
    assert client.templates.get("base").name == "base"
    with pytest.raises(pandastack.BadRequestError):
        Sandbox.create(template="no-such-template")
    with pytest.raises(pandastack.AuthError):
        Client(api_key="pds_wrong_wrong_wrong").sandboxes.list()


def test_context_manager(server):
    with Sandbox.create() as sandbox:
        assert sandbox.exec("echo in").stdout == "in\n"
    with pytest.raises(pandastack.NotFoundError):
        Sandbox.get(sandbox.id)
