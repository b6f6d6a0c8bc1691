//! What a hostile guest does to its machine, in the hope of hurting more than that.

use serde_json::{Value, json};

/// An attack from within a sandbox, as its root user.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// What it is.
    pub name: &'static str,
    /// For bash.
    command: &'static str,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It goes on by itself.
    Detached,
    /// It is the output that attacks whoever reads it.
    Attached,
}

/// How long an attack goes on that does not end by itself.
const MAX_SECONDS: u64 = 120;

/// Most of the disk at once, and the rest of it again and again.
const DISK: &str = r"
fallocate -l 5G /most
while :; do dd if=/dev/zero of=/rest bs=1M; sync; rm /rest; done";

/// One hundred thousand sockets, by twenty processes: half of them in connections
/// over loopback, and packets to where no guest gets, each from a port of its own.
const SOCKETS: &str = r#"exec python3 - <<'END'
import os, resource, socket, time
for number in range(20):
    if os.fork():
        continue
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    listener = socket.create_server(("127.0.0.1", 20000 + number), backlog=4096)
    held = []
    for count in range(1250):
        held.append(socket.create_connection(("127.0.0.1", 20000 + number)))
        held.append(listener.accept()[0])
    for count in range(2500):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        held.append(one)
        try:
            one.connect((f"10.{number}.{count % 250}.1", 1 + count))
            one.send(b"x")
        except OSError:
            pass
    time.sleep(600)
time.sleep(600)
END"#;

/// The agent alone may open its line: so it is taken from the agent first.
const CONTROL_LINE: &str = r#"
for device in /sys/bus/virtio/drivers/virtio_console/virtio*; do
  name=$(basename "$device")
  echo "$name" > /sys/bus/virtio/drivers/virtio_console/unbind
  echo "$name" > /sys/bus/virtio/drivers/virtio_console/bind
done
while :; do for port in /dev/vport*; do yes '{"type":"ready"}' > "$port"; done; done"#;

impl Attack {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::detached("fork bomb", "bomb() { bomb | bomb & }; bomb"),
        Self::detached("disk fill", DISK),
        Self::detached(
            "40 GB allocation",
            "for copy in 1 2; do python3 -c 'held = bytearray()\nwhile len(held) < 40 << 30: held.extend(b\"x\" * (64 << 20))'; done",
        ),
        Self::detached("rm -rf /", "rm -rf --no-preserve-root /"),
        Self::detached("100,000 sockets", SOCKETS),
        Self::attached("flood of output", "yes & yes >&2"),
        Self::detached(
            "flood of the console",
            "yes > /dev/ttyS0 & yes > /dev/console & while :; do echo '<0>flood' > /dev/kmsg; done",
        ),
        Self::detached("flood of the control line", CONTROL_LINE),
        Self::detached(
            "every core busy",
            "for core in 1 2 3 4 5 6 7 8; do sh -c 'while :; do :; done' & done; wait",
        ),
    ];

    const fn detached(name: &'static str, command: &'static str) -> Self {
        Self { name, command, how: How::Detached }
    }

    const fn attached(name: &'static str, command: &'static str) -> Self {
        Self { name, command, how: How::Attached }
    }

    /// The body of the exec that begins it. One that attacks by its output is not
    /// answered before it is over.
    #[must_use]
    pub fn exec(&self) -> Value {
        let begin = match self.how {
            How::Detached => "setsid bash -c \"$ATTACK\" </dev/null >/dev/null 2>&1 & echo begun",
            How::Attached => "bash -c \"$ATTACK\"",
        };
        json!({ "cmd": begin, "env": { "ATTACK": self.command }, "timeout_seconds": MAX_SECONDS })
    }
}
