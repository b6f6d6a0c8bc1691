//! Every limit of the public surface, by name and with its unit. They appear in
//! the OpenAPI text and each has a test.

use std::time::Duration;

/// The TTL of a sandbox that is neither persistent nor given one.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);
/// The longest lease, by which a sandbox is kept awake: a day.
pub const MAX_LEASE: Duration = Duration::from_secs(24 * 3600);
/// After how long without use a preview is put to sleep.
pub const DEFAULT_PREVIEW_IDLE: Duration = Duration::from_secs(300);
/// The longest TTL: 30 days.
pub const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The time a command gets when `timeout_seconds` is absent.
pub const DEFAULT_EXEC_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest `timeout_seconds` of a command.
pub const MAX_EXEC_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// The longest command: bytes of one shell string, or of an argv together.
pub const MAX_COMMAND_BYTES: usize = 128 * 1024;
/// The longest name of the user that a command runs as, in bytes.
pub const MAX_USER_BYTES: usize = 256;
/// The longest name of a variable in the environment of a command or an app, in bytes.
pub const MAX_ENV_NAME_BYTES: usize = 256;
/// The longest code of one cell. Each byte may be six in JSON, so the largest body may hold less.
pub const MAX_CELL_BYTES: usize = 512 * 1024;
/// The bytes of stdout, and of stderr, that a non-streamed exec keeps (the rest is dropped and said so).
pub const MAX_EXEC_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// The commands that one multiplexed connection runs at once.
pub const MAX_MULTIPLEXED_COMMANDS: usize = 32;
/// The inputs and signals of one multiplexed command that it has not taken yet: a client
/// that sends more waits, and its other commands with it.
pub const MAX_INPUTS_WAITING: usize = 32;
/// The longest message that a WebSocket takes.
pub const MAX_WEBSOCKET_MESSAGE_BYTES: usize = 256 * 1024;
/// The longest line or row of a terminal, in characters.
pub const MAX_TERMINAL_SIDE: u16 = 1000;
/// The longest command that a terminal is opened with: it comes in a URL, with each byte as three.
pub const MAX_TERMINAL_COMMAND_BYTES: usize = 4096;
/// The longest name of a kind of terminal (`TERM`), in bytes.
pub const MAX_TERM_BYTES: usize = 64;
/// The longest name of a process of an app.
pub const MAX_PROCESS_NAME_BYTES: usize = 32;
/// The most lines that `tail` of a log asks for.
pub const MAX_LOG_TAIL: usize = 100_000;
/// The latest time that `since` of a sandbox's log names, in Unix seconds: far off, and exact in a double.
pub const MAX_LOG_SINCE_SECS: f64 = 1e11;

/// The largest file that the API reads or writes in one request: 16 GiB.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// The longest path in a guest, with the NUL that ends it (Linux `PATH_MAX`).
pub const MAX_PATH_BYTES: usize = 4096;
/// The longest component of a path in a guest (Linux `NAME_MAX`).
pub const MAX_PATH_COMPONENT_BYTES: usize = 255;
/// The most entries that one directory listing returns.
pub const MAX_DIR_ENTRIES: usize = 100_000;

/// The bytes that the server holds for all requests together: bodies that came, what guests said,
/// answers that were not taken yet. Of these an org gets as much as it leaves free: half, when it
/// is alone.
pub const MAX_HELD_BYTES: usize = 1024 * 1024 * 1024;
/// What a request under way is counted with whatever it does, and each command of a multiplexed
/// connection: its task, its session with the guest, an answer of a few lines.
pub const HELD_BY_REQUEST_BYTES: usize = 128 * 1024;
/// What an answer that is written as it is made is counted with beside that: a piece in the
/// making, and those that wait to be sent.
pub const HELD_BY_STREAM_BYTES: usize = 256 * 1024;
/// What a WebSocket is counted with beside that: the same, and a message that is coming in.
pub const HELD_BY_WEBSOCKET_BYTES: usize = HELD_BY_STREAM_BYTES + 2 * MAX_WEBSOCKET_MESSAGE_BYTES;
/// How long the body of a request may take that is read whole.
pub const MAX_BODY_TIME: Duration = Duration::from_secs(60);

/// The largest JSON body of a request.
pub const MAX_JSON_BODY_BYTES: usize = 1024 * 1024;
/// The largest webhook body (GitHub sends at most 25 MiB).
pub const MAX_WEBHOOK_BODY_BYTES: usize = 25 * 1024 * 1024;
/// The longest event or delivery that a webhook's headers name, in bytes.
pub const MAX_WEBHOOK_NAME_BYTES: usize = 128;
/// The greatest number of a repository: the greatest integer that every JSON reader takes.
pub const MAX_REPOSITORY_NUMBER: u64 = (1 << 53) - 1;
/// The longest `owner/repo`, in bytes.
pub const MAX_REPOSITORY_NAME_BYTES: usize = 200;
/// How long what was decided about a webhook is kept.
pub const KEEP_DELIVERIES: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most metadata pairs on a sandbox.
pub const MAX_METADATA_PAIRS: usize = 64;
/// The longest metadata key, in characters.
pub const MAX_METADATA_KEY_CHARS: usize = 64;
/// The longest metadata value, in characters. With its key it fits in an index, whatever the database.
pub const MAX_METADATA_VALUE_CHARS: usize = 512;
/// All metadata of one sandbox, keys and values together, in bytes: a list repeats it a thousand times.
pub const MAX_METADATA_TOTAL_BYTES: usize = 16 * 1024;
/// The most pairs that one list may be filtered by.
pub const MAX_METADATA_FILTERS: usize = 8;

/// The most items of one page of a list, and how many a request gets that names no `limit`.
pub const MAX_PAGE_ITEMS: u32 = 1000;
/// The longest cursor, in bytes.
pub const MAX_CURSOR_BYTES: usize = 128;

/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How long the answer to an `Idempotency-Key` is kept.
pub const KEEP_IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);

/// The longest label of an API key, in characters.
pub const MAX_KEY_LABEL_CHARS: usize = 100;
/// The most keys of an org.
pub const MAX_KEYS: u32 = 1000;
/// The longest life of an API key that expires, in days.
pub const MAX_KEY_DAYS: u32 = 3650;

/// The events that are kept of one sandbox; older ones go.
pub const MAX_EVENTS: u32 = 1000;
/// The events that a request gets that names no `tail`.
pub const DEFAULT_EVENTS: u32 = 50;
/// The greatest number of an event that is asked for: the greatest integer that every JSON reader takes.
pub const MAX_EVENT_SEQ: u64 = (1 << 53) - 1;
/// How long a sandbox's events are kept after its end.
pub const KEEP_EVENTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most snapshots of an org.
pub const MAX_SNAPSHOTS: u32 = 1000;
/// The longest name of a snapshot, in characters.
pub const MAX_SNAPSHOT_NAME_CHARS: usize = 100;
/// The most children of one fork-tree.
pub const MAX_FORKS: usize = 16;

/// The longest name of a template, in characters.
pub const MAX_TEMPLATE_NAME_CHARS: usize = 63;
/// The most templates of an org.
pub const MAX_TEMPLATES: u32 = 50;
/// The builds of an org that wait or run at once; one more is refused.
pub const MAX_TEMPLATE_BUILDS: u32 = 8;
/// The builds that are kept of an org, with their logs; older ones go.
pub const KEEP_TEMPLATE_BUILDS: u32 = 100;
/// The size of a template's root disk when `size_mb` is absent, in MiB.
pub const DEFAULT_TEMPLATE_MIB: u32 = 1024;
/// The least `size_mb`, in MiB.
pub const MIN_TEMPLATE_MIB: u32 = 16;
/// The greatest `size_mb`, in MiB.
pub const MAX_TEMPLATE_MIB: u32 = 32 * 1024;
/// The largest Dockerfile or `template.toml`, in bytes.
pub const MAX_DOCKERFILE_BYTES: usize = 256 * 1024;
/// All files of a build's context together, in bytes.
pub const MAX_CONTEXT_BYTES: u64 = 512 * 1024 * 1024;
/// The most files of a build's context.
pub const MAX_CONTEXT_FILES: usize = 20_000;
/// The largest tar of a root file system, in bytes: 16 GiB.
pub const MAX_ROOTFS_TAR_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// How long the upload of a build may take.
pub const MAX_BUILD_UPLOAD_TIME: Duration = Duration::from_secs(1800);
/// The longest `image_ref`, in bytes.
pub const MAX_IMAGE_REF_BYTES: usize = 512;
/// The log kept of one build; later lines are dropped and said so.
pub const MAX_BUILD_LOG_BYTES: u64 = 8 * 1024 * 1024;
/// The longest line of a build's log, in bytes; the rest of it is dropped.
pub const MAX_BUILD_LOG_LINE_BYTES: usize = 4096;
/// How long the steps of a build may take together.
pub const MAX_BUILD_TIME: Duration = Duration::from_secs(1800);
/// How long a template's command may take until it is ready.
pub const MAX_TEMPLATE_READY_TIME: Duration = Duration::from_secs(120);

/// The size of an app's disk, in bytes: 16 GiB. It holds the app's files, and all that is
/// installed and built for them; what it does not use takes no room.
pub const APP_DISK_BYTES: u64 = 16 << 30;

/// The longest name of a volume, in bytes: it is a folder's, too.
pub const MAX_VOLUME_NAME_BYTES: usize = 63;
/// The least size of a volume, in MiB: below it a file system holds little beside itself.
pub const MIN_VOLUME_MIB: u32 = 16;
/// The greatest size of a volume, in MiB: that of the disks that machines are baked with.
pub const MAX_VOLUME_MIB: u32 = 64 * 1024;
/// The most volumes of a sandbox, those among them that are copies: one for each spare disk.
pub const MAX_VOLUMES_ATTACHED: usize = 3;

/// Bytes of a command of an app: to install, build or start it, or of one of its processes.
pub const MAX_APP_COMMAND_BYTES: usize = 4096;

/// The most schedules of a sandbox.
pub const MAX_SCHEDULES: u32 = 8;
/// The longest cron expression, in bytes.
pub const MAX_CRON_BYTES: usize = 128;
/// The longest command of a schedule, in bytes: what is longer is a script in the sandbox.
pub const MAX_SCHEDULE_COMMAND_BYTES: usize = 4096;
/// The longest `timeout_seconds` of a schedule.
pub const MAX_SCHEDULE_TIMEOUT: Duration = Duration::from_secs(3600);
/// What is kept of what the last run of a schedule said: its end.
pub const MAX_SCHEDULE_OUTPUT_BYTES: usize = 4096;
/// How late a run may begin that was missed; later it is left out.
pub const SCHEDULE_CATCH_UP: Duration = Duration::from_secs(3600);
/// Runs of apps' cron at once, of all apps; those beyond wait.
pub const MAX_CRON_RUNS: usize = 64;
/// How many years ahead a cron expression must be due.
pub const MAX_CRON_YEARS: u16 = 10;

/// The most addresses and networks that a sandbox is denied by `egress_deny`.
pub const MAX_EGRESS_DENY: usize = 64;

/// The vCPUs of a sandbox when `cpu` is absent.
pub const DEFAULT_CPU: u32 = 2;
/// The memory of a sandbox when `memory_mb` is absent, in MiB.
pub const DEFAULT_MEMORY_MIB: u32 = 2048;
/// The most vCPUs of a sandbox.
pub const MAX_CPU: u32 = 8;
/// The least memory of a sandbox, in MiB.
pub const MIN_MEMORY_MIB: u32 = 512;
/// The most memory of a sandbox, in MiB.
pub const MAX_MEMORY_MIB: u32 = 16384;
/// Memory comes in steps of this many MiB: each size is a baked variant, so few sizes serve all.
pub const MEMORY_STEP_MIB: u32 = 256;

/// The longest app name.
pub const MAX_APP_NAME_BYTES: usize = 40;
/// The names and values of an app's environment together, and of its previews': each travels in one
/// frame to the guest.
pub const MAX_APP_ENV_BYTES: usize = 64 * 1024;
/// The longest domain of an app: with what goes before it in the name of its TXT record, it is as
/// long as a name in DNS may be (253).
pub const MAX_DOMAIN_BYTES: usize = 236;
/// The most domains of an app.
pub const MAX_DOMAINS: u32 = 50;
/// How often all together may ask whether a domain is active, which needs no key.
pub const MAX_DOMAIN_ASKS_PER_SEC: u32 = 100;
/// The longest `.env` text that is imported at once; what is not a value in it counts, too.
pub const MAX_DOTENV_BYTES: usize = 256 * 1024;
/// The log kept of one deployment; of what follows only the end is kept.
pub const MAX_DEPLOYMENT_LOG_BYTES: u64 = 8 * 1024 * 1024;
