//! Sandboxes on the wire: routes under `/v1/sandboxes` and `/v1/templates`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::SandboxId;
use crate::schema::value::{GuestPath, UserName};
use crate::volume::{AttachVolume, AttachedVolume};

/// What a user sees of a sandbox's state: intent and observation combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxStatus {
    /// Asked for; not answering yet.
    Creating,
    /// Its agent answers.
    Running,
    /// Its vCPUs are stopped; memory and sockets are kept.
    Paused,
    /// On its way out.
    Stopping,
    /// Gone; only a tombstone is left.
    Deleted,
    /// Its machine died or was never made; `status_reason` says why.
    Failed,
    /// Asleep on disk; the next request wakes it.
    Hibernated,
}

/// `POST /v1/sandboxes`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateSandbox {
    /// The template to restore from; `base` when absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9][a-z0-9.-]*$")]
    pub template: Option<String>,
    /// vCPUs, 1 to 8; default 2.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 8)]
    pub cpu: Option<i64>,
    /// Memory in MiB: 512 to 16384 in steps of 256; default 2048.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 512, maximum = 16384, multiple_of = 256)]
    pub memory_mb: Option<i64>,
    /// Seconds from now until the sandbox is removed, 1 to 2592000. Absent: 3600, or none when persistent.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub ttl_seconds: Option<i64>,
    /// Whether it outlives idleness and, without `ttl_seconds`, has no deadline.
    #[serde(default)]
    pub persistent: Option<bool>,
    /// Seconds without use after which it is put to sleep, up to 2592000; 0, or absent: never.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub idle_timeout_seconds: Option<i64>,
    /// Free text pairs, returned as given; lists are filtered by them. At most 64 pairs,
    /// keys of 1 to 64 characters, values of at most 512, 16 KiB together.
    #[serde(default)]
    #[schema(schema_with = crate::schema::metadata)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// IPv4 addresses and networks (`203.0.113.0/24`) that this sandbox may not reach, at
    /// most 64, beside what no sandbox may. `["0.0.0.0/0"]`: no network, names included.
    #[serde(default)]
    #[schema(schema_with = crate::schema::egress_deny)]
    pub egress_deny: Option<Vec<String>>,
    /// The snapshot to go on from. Template and size are then the snapshot's, whatever is asked for.
    #[serde(default)]
    #[schema(format = Uuid)]
    pub from_snapshot: Option<String>,
    /// Volumes to attach, at most 3, each mounted at `/volumes/NAME`. One sandbox writes to a
    /// volume at a time, and holds it until it is removed, also asleep; 409 while another does.
    /// With `from_snapshot` they come beside the copies that the snapshot has.
    #[serde(default)]
    #[schema(max_items = 3)]
    pub volumes: Option<Vec<AttachVolume>>,
}

/// A sandbox as every route returns it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sandbox {
    /// The id, which is also the credential in its hostname.
    pub id: SandboxId,
    /// The template it was restored from.
    pub template: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// What it does now.
    pub status: SandboxStatus,
    /// Why it is in that state, where a reason is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// The guest's own address inside its network namespace (the same in each).
    pub guest_ip: String,
    /// When it was created: RFC 3339, UTC.
    pub created_at: String,
    /// When it will be removed: RFC 3339, UTC; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The pairs given at creation.
    pub metadata: BTreeMap<String, String>,
    /// The snapshot it came from, where it came from one.
    pub from_snapshot: Option<String>,
    /// Milliseconds from the request to an answering agent.
    pub boot_ms: u64,
    /// How it was made: `snapshot` (restored from a baked template, or from a snapshot) or `fork`.
    pub boot_mode: String,
    /// Whether it is kept when idle.
    pub persistent: bool,
    /// Where its ports are reached: `{port}` stands for the number.
    pub url_template: String,
    /// Its volumes.
    #[serde(default)]
    pub volumes: Vec<AttachedVolume>,
}

/// `GET` and `PATCH /v1/sandboxes/{id}/lifecycle` answer with this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lifecycle {
    /// Seconds from creation, or from the last change of it, to removal; null means never.
    pub ttl_seconds: Option<u64>,
    /// Whether it is kept when idle.
    pub persistent: bool,
    /// Seconds without use after which it is put to sleep; null means never.
    pub idle_timeout_seconds: Option<u64>,
    /// Until when a lease keeps it awake: RFC 3339, UTC.
    pub leased_until: Option<String>,
    /// Seconds since its last request.
    pub idle_seconds: u64,
    /// When it will be removed: RFC 3339, UTC.
    pub expires_at: Option<String>,
}

/// `PATCH /v1/sandboxes/{id}/lifecycle`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SetLifecycle {
    /// Seconds from now until removal, 1 to 2592000.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub ttl_seconds: Option<i64>,
    /// Whether it is kept when idle. Turning it on without a TTL removes the deadline.
    #[serde(default)]
    pub persistent: Option<bool>,
    /// Seconds without use after which it is put to sleep, up to 2592000; 0: never.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub idle_timeout_seconds: Option<i64>,
}

/// `POST /v1/sandboxes/{id}/lease`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TakeLease {
    /// Seconds from now for which it is not put to sleep, 1 to 86400.
    #[serde(deserialize_with = "crate::number::required_whole")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub seconds: i64,
}

/// What happened to a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxEventKind {
    /// It was asked for.
    Created,
    /// Its agent answers.
    Running,
    /// Its vCPUs were stopped.
    Paused,
    /// They run again.
    Resumed,
    /// It was put to sleep: its machine is an image on disk.
    Hibernated,
    /// It was woken, and answers again.
    Woken,
    /// Its TTL or persistence was set.
    LifecycleSet,
    /// Its machine died or could not be made.
    Failed,
    /// It is gone; nothing follows.
    Deleted,
}

/// One thing that happened to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxEvent {
    /// Its number, counted from 1 within the sandbox.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// What.
    pub kind: SandboxEventKind,
    /// Why, or to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `GET /v1/sandboxes/{id}/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxEvents {
    /// Oldest first.
    pub events: Vec<SandboxEvent>,
}

/// What to run: a shell string, or an argv that no shell touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a shell string or a list of strings")]
pub enum Command {
    /// Run by `/bin/sh -c` (a login-like environment).
    Shell(String),
    /// Run as it is; the first is the program.
    Argv(Vec<String>),
}

/// `POST /v1/sandboxes/{id}/exec` and `/exec/stream`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExecCommand {
    /// A shell string or an argv.
    #[schema(schema_with = crate::schema::command)]
    pub cmd: Command,
    /// Seconds until the whole process group is killed, more than 0 and at most 86400; default 600.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub timeout_seconds: Option<f64>,
    /// Working directory; default the user's home.
    #[serde(default)]
    #[schema(value_type = Option<GuestPath>)]
    pub cwd: Option<String>,
    /// Added to the environment.
    #[serde(default)]
    #[schema(schema_with = crate::schema::environment)]
    pub env: Option<BTreeMap<String, String>>,
    /// The user's name or number; default root.
    #[serde(default)]
    #[schema(value_type = Option<UserName>)]
    pub user: Option<String>,
    /// Written to its standard input, which is then closed.
    #[serde(default)]
    pub stdin: Option<String>,
}

/// What a finished command said. Output that is not UTF-8 has U+FFFD in place of each bad byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecResult {
    /// Standard output, at most 8 MiB.
    pub stdout: String,
    /// Standard error, at most 8 MiB.
    pub stderr: String,
    /// The exit code; 128 + signal for a killed command.
    pub exit_code: i32,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// Whether output was dropped because it passed the limit.
    pub truncated: bool,
}

/// One file or directory of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileInfo {
    /// Its last component.
    pub name: String,
    /// The whole path.
    pub path: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size in bytes.
    pub size: u64,
    /// One letter for its kind: `d` directory, `f` file, `l` link, `p` pipe, `s` socket, `b` or `c` device.
    pub mode: String,
    /// Permission bits, in octal: `0644`.
    pub permissions: String,
    /// Last change, in Unix seconds.
    pub mtime: i64,
}

/// `GET /v1/sandboxes/{id}/fs/dir`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirListing {
    /// The directory listed.
    pub path: String,
    /// Its entries, by name.
    pub entries: Vec<FileInfo>,
}

/// `PUT /v1/sandboxes/{id}/fs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileWritten {
    /// The file written.
    pub path: String,
    /// How many bytes it now holds.
    pub bytes: u64,
}

/// A port that something in the guest listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListeningPort {
    /// The TCP port.
    pub port: u16,
    /// The address it is bound to; loopback is reached all the same.
    pub address: String,
    /// Its URL.
    pub url: String,
}

/// `GET /v1/sandboxes/{id}/ports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ports {
    /// By number.
    pub ports: Vec<ListeningPort>,
}

/// A template as `GET /v1/templates` returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Which recipe it was baked from: the first 12 hex digits of the recipe's hash. Of a
    /// template of an org, how often it was built.
    pub version: String,
    /// Size of its root disk in bytes, as the guest sees it.
    pub size_bytes: u64,
    /// vCPUs of a sandbox that names none.
    pub cpu: u32,
    /// MiB of a sandbox that names none.
    pub memory_mb: u32,
    /// Whether every org may use it.
    pub is_global: bool,
    /// The org whose it is, where it is not for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub workspace: Option<String>,
    /// What it is for.
    pub description: String,
    /// What runs in it: of a template of an org.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<crate::template::TemplateConfig>,
}
