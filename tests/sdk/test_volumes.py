"""Volumes of the public SDK, unmodified, against real microVMs."""

import pytest

import pandastack
from pandastack import Client, Sandbox
from test_rows import Api, quota  # noqa: F401 (a fixture)

MIB = 2**20


@pytest.fixture
def volume(server):
    """Makes volumes by name; what is left of them at the end goes."""
    volumes, made = Client().volumes, []

    def make(name, size_mb=64):
        made.append(name)
        return volumes.create(name, size_mb)

    yield make
    for name in made:
        if name in [volume["name"] for volume in volumes.list()]:
            volumes.delete(name)


@pytest.fixture
def sandbox(server, volume):
    """Makes sandboxes with volumes: `name`, or `name:ro`. They go before the volumes do."""
    made = []

    def make(*volumes, **more):
        wanted = [{"name": name.removesuffix(":ro"), "read_only": name.endswith(":ro")} for name in volumes]
        made.append(Sandbox.create(template="base", ttl_seconds=1800, volumes=wanted, **more))
        return made[-1]

    yield make
    for sandbox in made:
        try:
            sandbox.kill()
        except pandastack.NotFoundError:
            pass


def sh(sandbox, command):
    return sandbox.exec(command, check=True).stdout.strip()


def refused(status, call, *arguments, **more):
    """What a refusal says. The SDK keeps no more of its status than this."""
    kind = pandastack.NotFoundError if status == 404 else pandastack.BadRequestError
    with pytest.raises(kind) as refusal:
        call(*arguments, **more)
    return str(refusal.value)


def test_volumes_by_name(volume):
    volumes = Client().volumes
    made = volume("books", 128)
    assert (made["name"], made["size_mb"], made["size_bytes"]) == ("books", 128, 128 * MIB)
    assert volumes.get("books") == made
    assert made in volumes.list()
    assert "already" in refused(409, volumes.create, "books", 64)
    refused(400, volumes.create, "../books", 64)
    refused(400, volumes.create, "small", 1)
    refused(400, volumes.create, "large", 65537)
    volumes.delete("books")
    refused(404, volumes.get, "books")
    refused(404, volumes.delete, "books")


def test_what_is_written_outlives_the_sandbox(volume, sandbox):
    volume("kept", 256)
    first = sandbox("kept")
    # Its own size, not that of the disk below it, and nobody's before.
    assert sh(first, "findmnt -no FSTYPE /volumes/kept") == "ext4"
    assert 200 * MIB < int(sh(first, "df -B1 --output=size /volumes/kept | tail -1")) < 256 * MIB
    assert sh(first, "ls /volumes/kept") == "lost+found"
    # Not synced: the kill is what it may rely on.
    sum_before = sh(first, "head -c 20000000 /dev/urandom | tee /volumes/kept/bytes | sha256sum; echo yes > /volumes/kept/note")
    first.kill()
    second = sandbox("kept")
    assert second.id != first.id
    assert sh(second, "sha256sum < /volumes/kept/bytes") == sum_before
    assert sh(second, "cat /volumes/kept/note") == "yes"
    assert sh(second, "dmesg | grep -ci 'EXT4-fs error' || true") == "0"


def test_one_writes_and_others_read(volume, sandbox):
    volumes = Client().volumes
    volume("shared")
    writer = sandbox("shared")
    sh(writer, "echo one > /volumes/shared/note; sync")
    said = refused(409, sandbox, "shared")
    assert writer.id[:8] in said
    assert writer.id[:8] in refused(409, volumes.delete, "shared")
    reader = sandbox("shared:ro")
    assert sh(reader, "cat /volumes/shared/note") == "one"
    assert reader.exec("echo two > /volumes/shared/note").exit_code != 0
    # A copy of the moment, whoever forces it.
    sh(writer, "echo two > /volumes/shared/note; sync")
    sh(reader, "mount -o remount,rw /volumes/shared && echo three > /volumes/shared/note && sync")
    assert sh(writer, "cat /volumes/shared/note") == "two"
    assert sh(reader, "cat /volumes/shared/note") == "three"
    assert sh(sandbox("shared:ro"), "cat /volumes/shared/note") == "two"
    writer.kill()
    assert sh(sandbox("shared"), "cat /volumes/shared/note") == "two"


def test_what_there_is_not_is_not_attached(volume, sandbox):
    before = {sandbox.id for sandbox in Sandbox.list()}
    for name in ("a", "b", "c", "d"):
        volume(name, 16)
    assert "nowhere" in refused(404, sandbox, "nowhere")
    refused(400, sandbox, "a", "a")
    refused(400, sandbox, "a", "b", "c", "d")
    refused(400, sandbox, "../a")
    refused(404, sandbox, "a", "nowhere")
    # Nothing was held for what was refused.
    assert {sandbox.id for sandbox in Sandbox.list()} == before
    assert all(volume["attached_to"] is None for volume in Client().volumes.list())


def test_several_volumes_on_one_sandbox(volume, sandbox):
    for name in ("one", "two", "three"):
        volume(name, 32)
    first = sandbox("one", "two", "three")
    sh(first, "for name in one two three; do echo $name > /volumes/$name/note; done")
    first.kill()
    # Whatever disk each is on.
    second = sandbox("three", "one:ro", "two")
    assert sh(second, "cat /volumes/*/note | xargs") == "one three two"


def test_a_copy_of_a_sandbox_has_a_copy_of_its_volume(volume, sandbox):
    client = Client()
    volume("data")
    parent = sandbox("data")
    # In the guest's memory alone, so far.
    sh(parent, "echo before > /volumes/data/note")
    child = parent.fork()
    made = [child]
    try:
        snapshot = parent.snapshot()
        sh(child, "echo child > /volumes/data/note; sync")
        assert sh(parent, "cat /volumes/data/note") == "before"
        sh(parent, "echo after > /volumes/data/note; sync")
        assert sh(child, "cat /volumes/data/note") == "child"
        volume("more", 32)
        restored = sandbox("more", from_snapshot=snapshot)
        assert sh(restored, "cat /volumes/data/note") == "before"
        assert sh(restored, "ls /volumes/more") == "lost+found"
        assert "data" in refused(400, sandbox, "data", from_snapshot=snapshot)
        # The parent is the one that holds it, also when a copy sleeps and wakes.
        child.hibernate()
        assert sh(child, "cat /volumes/data/note") == "child"
        assert client.volumes.get("data")["attached_to"] == parent.id
        child.kill()
        parent.kill()
        assert sh(sandbox("data"), "cat /volumes/data/note") == "after"
        client.snapshots.delete(snapshot)
    finally:
        for sandbox_ in made:
            try:
                sandbox_.kill()
            except pandastack.NotFoundError:
                pass


def test_sleep_keeps_a_volume(volume, sandbox):
    volumes = Client().volumes
    volume("asleep")
    sleeper = sandbox("asleep")
    sh(sleeper, "setsid sh -c 'exec 3>>/volumes/asleep/log; while :; do echo tick >&3; sleep 0.05; done' >/dev/null 2>&1 &")
    # The exec ends before its writer has begun, and a guest that is put to sleep by then has no log.
    sh(sleeper, "for i in $(seq 600); do [ -s /volumes/asleep/log ] && exit; sleep 0.1; done; exit 1")
    for _ in range(3):
        sleeper.hibernate()
        refused(409, sandbox, "asleep")
        refused(409, volumes.delete, "asleep")
        sleeper.wake()
        lines = int(sh(sleeper, "wc -l < /volumes/asleep/log"))
        assert lines > 0
        sh(sleeper, "for i in $(seq 100); do [ $(wc -l < /volumes/asleep/log) -gt %d ] && exit; sleep 0.1; done; exit 1" % lines)
    sleeper.hibernate()
    sleeper.kill()
    following = sandbox("asleep")
    assert int(sh(following, "wc -l < /volumes/asleep/log")) >= lines
    # What came after the last sleep's sync is not on the disk for sure.
    assert sh(following, f"head -n {lines} /volumes/asleep/log | sort -u") == "tick"
    assert sh(following, "dmesg | grep -ci 'EXT4-fs error' || true") == "0"


def test_nobody_writes_more_than_the_size(volume, sandbox):
    volume("bounded", 32)
    made = sandbox("bounded")
    disk = sh(made, "findmnt -no SOURCE /volumes/bounded")
    beyond = f"dd if=/dev/zero of={disk} bs=1M count=1 seek=%d oflag=direct conv=notrunc"
    assert made.exec(beyond % 32).exit_code != 0
    assert made.exec(beyond % 60000).exit_code != 0
    assert made.exec("head -c 64M /dev/zero > /volumes/bounded/all").exit_code != 0
    made.kill()
    assert sh(sandbox("bounded"), "rm /volumes/bounded/all; ls /volumes/bounded") == "lost+found"


def test_a_paused_sandbox_is_killed_without_loss(volume, sandbox):
    volume("paused")
    first = sandbox("paused")
    sh(first, "echo yes > /volumes/paused/note")
    first.pause()
    first.kill()
    assert sh(sandbox("paused"), "cat /volumes/paused/note") == "yes"


def test_sandboxes_tell_their_volumes(volume, sandbox):
    volume("told", 16)
    made = sandbox("told")
    shown = Client()._request("GET", f"/sandboxes/{made.id}")
    assert shown["volumes"] == [{"name": "told", "read_only": False, "copy": False, "path": "/volumes/told"}]
    child = made.fork()
    try:
        shown = Client()._request("GET", f"/sandboxes/{child.id}")
        assert shown["volumes"][0]["copy"]
    finally:
        child.kill()


def test_statuses_and_quota(server, sandbox, quota):  # noqa: F811
    api = Api(server)

    def status(method, path, body=None):
        code, headers, answer = api.ask(method, path, body)
        if code >= 400:
            assert answer["error"] and answer["code"], answer
        return code, (answer or {}).get("field"), "Retry-After" in headers

    make = lambda name, size_mb=16: status("POST", "/volumes", {"name": name, "size_mb": size_mb})
    try:
        assert make("first") == (201, None, False)
        assert make("first") == (409, "name", False)
        assert make("first/") == (400, "name", False)
        assert make("second", 15) == (400, "size_mb", False)
        assert make("second", None) == (400, "size_mb", False)
        quota(volumes=2, volume_mb=64)
        assert make("second", 49) == (429, None, True)
        assert make("second", 48) == (201, None, False)
        assert make("third") == (429, None, True)
        attach = lambda *volumes: status("POST", "/sandboxes", {"volumes": volumes})
        assert attach({"name": "nowhere"}) == (404, "volumes", False)
        assert attach({"name": "first"}, {"name": "first"}) == (400, "volumes", False)
        assert attach({})[0] == 400
        holder = sandbox("first")
        assert attach({"name": "first", "read_only": False}) == (409, "volumes", False)
        assert status("DELETE", "/volumes/first")[0] == 409
        holder.kill()
        assert status("DELETE", "/volumes/first")[0] == 204
        assert status("DELETE", "/volumes/first")[0] == 404
        assert status("GET", "/volumes/..%2Fsecond")[0] == 404
        page = api.get("/volumes?limit=1")
        assert [volume["name"] for volume in page["items"]] == ["second"]
        repeat = lambda: api.ask("POST", "/volumes", {"name": "again", "size_mb": 16}, Idempotency_Key="volume-1")
        first, again = repeat(), repeat()
        assert (first[0], again[0], again[2]) == (201, 201, first[2])
    finally:
        for name in ("first", "second", "third", "again"):
            status("DELETE", f"/volumes/{name}")
