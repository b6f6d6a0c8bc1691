"""Snapshots, forks, sleep and wake of the public SDK, unmodified, against real microVMs."""

import time

import pytest

import pandastack
from pandastack import Client, Sandbox

# Counts in memory alone, and tells how far it is when asked.
COUNTER = r"""
import socketserver
class Count(socketserver.BaseRequestHandler):
    number = 0
    def handle(self):
        Count.number += int(self.request.recv(16) or b"0")
        self.request.sendall(str(Count.number).encode())
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", 4000), Count).serve_forever()
"""
ADD = "python3 -c \"import socket;s=socket.create_connection(('127.0.0.1',4000),30);s.sendall(b'%d');print(s.recv(16).decode())\""


def add(sandbox, number=1):
    return int(sandbox.exec(ADD % number, check=True).stdout)


@pytest.fixture(scope="module")
def parent(server):
    sandbox = Sandbox.create(template="base", ttl_seconds=1800, metadata={"who": "parent"})
    sandbox.filesystem.write("/root/count.py", COUNTER)
    sandbox.exec("setsid python3 /root/count.py </dev/null >/dev/null 2>&1 &", check=True)
    sandbox.exec("for i in $(seq 600); do ss -ltn | grep -q :4000 && exit; sleep 0.1; done; exit 1", check=True)
    assert add(sandbox, 41) == 41
    yield sandbox
    sandbox.kill()


def test_a_fork_goes_on_from_the_same_number(parent):
    number = add(parent)
    child = parent.fork(metadata={"who": "child"})
    try:
        assert child.id != parent.id
        assert child.metadata["who"] == "child"
        assert child.boot_mode == "fork"
        assert add(child) == number + 1
        assert add(child) == number + 2
        assert add(parent) == number + 1
        # What one writes, the other does not see.
        child.filesystem.write("/root/mine", "x")
        assert not parent.filesystem.exists("/root/mine")
    finally:
        child.kill()


def test_no_two_share_a_random_number(parent):
    command = "head -c 32 /dev/urandom | base64; python3 -c 'import secrets,uuid;print(secrets.token_hex(), uuid.uuid4())'; cat /etc/machine-id /proc/sys/kernel/hostname"
    children = parent.fork_tree(2)
    try:
        answers = [sandbox.exec(command, check=True).stdout.split() for sandbox in [parent, *children]]
        for column in zip(*answers):
            assert len(set(column)) == len(answers), column
    finally:
        for child in children:
            child.kill()


def test_clocks_are_right(parent):
    child = parent.fork()
    try:
        child.hibernate()
        time.sleep(2)
        child.wake()
        for sandbox in [parent, child]:
            before = time.time()
            there = float(sandbox.exec("date +%s.%N", check=True).stdout)
            assert before - 0.05 <= there <= time.time() + 0.05
    finally:
        child.kill()


def test_a_tree_is_promoted(parent):
    number = add(parent)
    children = parent.fork_tree(3, metadata={"who": "tree"})
    assert len({child.metadata["fork_tree_id"] for child in children}) == 1
    assert [add(child) for child in children] == [number + 1] * 3
    winner, losers = children[0], {child.id for child in children[1:]}
    outcome = winner.promote(cleanup_siblings=True)
    assert outcome["winner"] == winner.id
    assert set(outcome["deleted"]) == losers
    assert outcome["failures"] == {}
    assert not losers & {sandbox.id for sandbox in Sandbox.list()}
    assert add(winner) == number + 2
    winner.kill()


def test_explore(parent):
    result = parent.explore(
        ["echo worse > /root/result; exit 1", "echo better > /root/result", "sleep 0.2"],
        score_fn=lambda outcome: 1.0 if "better" in str(outcome) else 0.5,
    )
    assert result.winner is not None
    alive = {sandbox.id: sandbox for sandbox in Sandbox.list()}
    explored = [sandbox for sandbox in alive.values() if sandbox.metadata.get("explore")]
    assert len(explored) == 1, explored
    explored[0].kill()


def test_a_candidate_that_nobody_promotes_goes_by_itself(parent):
    [child] = parent.fork_tree(1, metadata={"explore": "1", "explore_ttl": "600"})
    life = child.lifecycle()
    assert (life["ttl_seconds"], life["persistent"]) == (600, False)
    child.promote()
    assert child.lifecycle()["ttl_seconds"] == 1800
    child.kill()
    with pytest.raises(pandastack.BadRequestError):
        parent.fork_tree(1, metadata={"explore_ttl": "soon"})


def test_sleep_and_wake(parent):
    number = add(parent)
    parent.hibernate()
    parent.refresh()
    assert parent.status == "hibernated"
    parent.hibernate()
    parent.wake()
    parent.wake()
    parent.refresh()
    assert parent.status == "running"
    assert add(parent) == number + 1
    # A call wakes, too.
    parent.hibernate()
    assert add(parent) == number + 2


def test_pause_and_resume(parent):
    number = add(parent)
    parent.pause()
    child = parent.fork()
    assert add(child) == number + 1
    child.kill()
    parent.resume()
    assert add(parent) == number + 1


def test_snapshots(parent):
    client = Client()
    number = add(parent)
    parent.filesystem.write("/root/kept", "as it was")
    snapshot = parent.snapshot()
    parent.filesystem.write("/root/kept", "changed since")
    assert add(parent) == number + 1
    listed = client.snapshots.list(sandbox_id=parent.id)
    [shown] = [item for item in listed if item["id"] == snapshot]
    assert shown["sandbox_id"] == parent.id
    assert 0 < shown["size_bytes"] < 200 * 2**20
    assert client.snapshots.get(snapshot)["template"] == "base"
    made = [Sandbox.create(from_snapshot=snapshot, ttl_seconds=600) for _ in range(2)]
    try:
        client.snapshots.delete(snapshot)
        with pytest.raises(pandastack.NotFoundError):
            client.snapshots.get(snapshot)
        for sandbox in made:
            assert sandbox.from_snapshot == snapshot
            assert sandbox.filesystem.read("/root/kept") == b"as it was"
            assert add(sandbox) == number + 1
    finally:
        for sandbox in made:
            sandbox.kill()
    with pytest.raises(pandastack.NotFoundError):
        Sandbox.create(from_snapshot=snapshot)
