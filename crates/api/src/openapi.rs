//! The OpenAPI document: what the routes say of themselves, plus the limits,
//! which come from their constants so that the text cannot fall behind.

use pando_guest_protocol::log::MAX_LOG_BYTES;
use pando_guest_protocol::repl::{MAX_REPLS, MAX_RESULT_BYTES, MAX_RESULTS, REPL_IDLE_SECS};
use pando_types::error::{Code, Refusal};
use pando_types::limits;
use pando_types::quota::Quota;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Pando", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    security(("bearer" = []), ("x_api_key" = [])),
    components(schemas(Refusal, Code)),
    modifiers(&SecuritySchemes),
    tags(
        (name = "sandboxes", description = "One microVM each, restored from a template"),
        (name = "snapshots", description = "Sandboxes at one instant, to make others of"),
        (name = "volumes", description = "Disks that outlive the sandboxes they are attached to"),
        (name = "code", description = "Interpreters in a sandbox that keep their state"),
        (name = "files", description = "A sandbox's files"),
        (name = "templates", description = "The baked machines that sandboxes start from"),
        (name = "apps", description = "Repositories with a stable host"),
        (name = "deployments", description = "Attempts to make one commit live"),
        (name = "previews", description = "Apps that live as long as a pull request"),
        (name = "webhooks", description = "What a git forge tells Pando"),
        (name = "tokens", description = "The org's API keys"),
        (name = "server", description = "The server and the caller"),
    )
)]
struct Document;

/// The document before any route is in it.
pub(crate) fn base() -> OpenApi {
    let mut document = Document::openapi();
    document.info.description = Some(description());
    document
}

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
        components.add_security_scheme("x_api_key", SecurityScheme::ApiKey(header));
    }
}

fn description() -> String {
    let quota = Quota::default();
    let limits: &[(&str, String)] = &[
        ("JSON body", format!("{} bytes", limits::MAX_JSON_BODY_BYTES)),
        ("webhook body", format!("{} bytes", limits::MAX_WEBHOOK_BODY_BYTES)),
        (
            "time that either has to come whole",
            format!("{} s; 408 beyond it", limits::MAX_BODY_TIME.as_secs()),
        ),
        (
            "held by the server for all requests together (bodies, what guests said, answers that \
             were not taken yet)",
            format!(
                "{} bytes; an org gets as much as it leaves free; beyond it 503 with \
                 `Retry-After`, and the command is ended",
                limits::MAX_HELD_BYTES
            ),
        ),
        (
            "of that, whatever it does",
            format!(
                "a request, and a command of `exec/ws`, {} bytes; an answer that is streamed {} \
                 more; a WebSocket {} more",
                limits::HELD_BY_REQUEST_BYTES,
                limits::HELD_BY_STREAM_BYTES,
                limits::HELD_BY_WEBSOCKET_BYTES
            ),
        ),
        (
            "command (a shell string, or an argv together)",
            format!("{} bytes", limits::MAX_COMMAND_BYTES),
        ),
        (
            "`timeout_seconds` of a command",
            format!(
                "default {}, at most {}",
                limits::DEFAULT_EXEC_TIMEOUT.as_secs(),
                limits::MAX_EXEC_TIMEOUT.as_secs()
            ),
        ),
        (
            "stdout, and stderr, of a command that is not streamed",
            format!("{} bytes kept", limits::MAX_EXEC_OUTPUT_BYTES),
        ),
        (
            "code sessions of a sandbox at once",
            format!("{MAX_REPLS}; one in which nothing runs for {REPL_IDLE_SECS} s is ended"),
        ),
        ("results of one cell", format!("{MAX_RESULTS} of {MAX_RESULT_BYTES} bytes together")),
        ("log of a sandbox", format!("the last {MAX_LOG_BYTES} bytes kept")),
        ("`code` of a cell", format!("{} bytes", limits::MAX_CELL_BYTES)),
        ("commands of one `exec/ws` at once", limits::MAX_MULTIPLEXED_COMMANDS.to_string()),
        ("inputs that wait for one of them", limits::MAX_INPUTS_WAITING.to_string()),
        ("message of a WebSocket", format!("{} bytes", limits::MAX_WEBSOCKET_MESSAGE_BYTES)),
        ("file read or written in one request", format!("{} bytes", limits::MAX_FILE_BYTES)),
        (
            "path",
            format!(
                "less than {} bytes, {} a component, absolute, no `..`, no NUL",
                limits::MAX_PATH_BYTES,
                limits::MAX_PATH_COMPONENT_BYTES
            ),
        ),
        ("directory listing", format!("{} entries", limits::MAX_DIR_ENTRIES)),
        (
            "`ttl_seconds`",
            format!(
                "default {}, at most {}",
                limits::DEFAULT_TTL.as_secs(),
                limits::MAX_TTL.as_secs()
            ),
        ),
        ("snapshots of an org", limits::MAX_SNAPSHOTS.to_string()),
        (
            "templates of an org",
            format!(
                "{}; {} builds that wait or run; the last {} builds kept",
                limits::MAX_TEMPLATES,
                limits::MAX_TEMPLATE_BUILDS,
                limits::KEEP_TEMPLATE_BUILDS
            ),
        ),
        (
            "upload of a build",
            format!(
                "a Dockerfile of {} bytes, a context of {} files of {} bytes together, or a \
                 root file system of {} bytes, within {} s",
                limits::MAX_DOCKERFILE_BYTES,
                limits::MAX_CONTEXT_FILES,
                limits::MAX_CONTEXT_BYTES,
                limits::MAX_ROOTFS_TAR_BYTES,
                limits::MAX_BUILD_UPLOAD_TIME.as_secs()
            ),
        ),
        (
            "time of a build",
            format!(
                "{} s for its steps, then {} s until its command is ready",
                limits::MAX_BUILD_TIME.as_secs(),
                limits::MAX_TEMPLATE_READY_TIME.as_secs()
            ),
        ),
        (
            "log of a build",
            format!(
                "{} bytes kept, {} of a line",
                limits::MAX_BUILD_LOG_BYTES,
                limits::MAX_BUILD_LOG_LINE_BYTES
            ),
        ),
        ("`name` of a snapshot", format!("{} characters", limits::MAX_SNAPSHOT_NAME_CHARS)),
        (
            "volume",
            format!(
                "{} to {} MiB, a name of {} bytes",
                limits::MIN_VOLUME_MIB,
                limits::MAX_VOLUME_MIB,
                limits::MAX_VOLUME_NAME_BYTES
            ),
        ),
        ("volumes of a sandbox", limits::MAX_VOLUMES_ATTACHED.to_string()),
        (
            "schedules of a sandbox",
            format!(
                "{}; a cron expression of {} bytes, due within {} years; a command of {} bytes; \
                 `timeout_seconds` default {}, at most {}; the last {} bytes of what it said kept; \
                 made up for within {} s",
                limits::MAX_SCHEDULES,
                limits::MAX_CRON_BYTES,
                limits::MAX_CRON_YEARS,
                limits::MAX_SCHEDULE_COMMAND_BYTES,
                limits::DEFAULT_EXEC_TIMEOUT.as_secs(),
                limits::MAX_SCHEDULE_TIMEOUT.as_secs(),
                limits::MAX_SCHEDULE_OUTPUT_BYTES,
                limits::SCHEDULE_CATCH_UP.as_secs()
            ),
        ),
        (
            "cron of an app",
            format!(
                "{} in its pando.toml, which bounds them as schedules are; {} run at once on the \
                 server, and those beyond wait",
                limits::MAX_SCHEDULES,
                limits::MAX_CRON_RUNS
            ),
        ),
        ("children of one fork-tree", limits::MAX_FORKS.to_string()),
        ("`cpu`", format!("default {}, at most {}", limits::DEFAULT_CPU, limits::MAX_CPU)),
        (
            "`memory_mb`",
            format!(
                "default {}, {} to {} in steps of {}",
                limits::DEFAULT_MEMORY_MIB,
                limits::MIN_MEMORY_MIB,
                limits::MAX_MEMORY_MIB,
                limits::MEMORY_STEP_MIB
            ),
        ),
        (
            "`metadata`",
            format!(
                "{} pairs, {} characters a key, {} a value, {} bytes together",
                limits::MAX_METADATA_PAIRS,
                limits::MAX_METADATA_KEY_CHARS,
                limits::MAX_METADATA_VALUE_CHARS,
                limits::MAX_METADATA_TOTAL_BYTES
            ),
        ),
        ("`metadata.KEY=VALUE` of a list", format!("{} pairs", limits::MAX_METADATA_FILTERS)),
        ("page of a list", format!("{} items", limits::MAX_PAGE_ITEMS)),
        (
            "`Idempotency-Key`",
            format!(
                "{} bytes; its answer is kept {} hours",
                limits::MAX_IDEMPOTENCY_KEY_BYTES,
                limits::KEEP_IDEMPOTENCY.as_secs() / 3600
            ),
        ),
        (
            "events of a sandbox",
            format!(
                "{} kept, for {} days after its end",
                limits::MAX_EVENTS,
                limits::KEEP_EVENTS.as_secs() / 86400
            ),
        ),
        ("API keys of an org", limits::MAX_KEYS.to_string()),
        (
            "quota of an org, where the operator sets no other",
            format!(
                "{} sandboxes, {} vCPUs, {} MiB, {} creates a minute, {} requests a second and \
                 key, {} volumes, {} MiB of them",
                quota.sandboxes,
                quota.vcpus,
                quota.memory_mib,
                quota.creates_per_minute,
                quota.requests_per_second,
                quota.volumes,
                quota.volume_mib
            ),
        ),
        ("app name", format!("{} bytes", limits::MAX_APP_NAME_BYTES)),
        (
            "environment of an app, and of its previews",
            format!(
                "{} bytes each, names and values; a name of {} bytes; a `.env` text of {} bytes",
                limits::MAX_APP_ENV_BYTES,
                limits::MAX_ENV_NAME_BYTES,
                limits::MAX_DOTENV_BYTES
            ),
        ),
        (
            "webhooks of a repository",
            format!("kept for {} days", limits::KEEP_DELIVERIES.as_secs() / 86400),
        ),
        ("log of a deployment", format!("{} bytes kept", limits::MAX_DEPLOYMENT_LOG_BYTES)),
    ];
    let rows: String =
        limits.iter().map(|(what, limit)| format!("| {what} | {limit} |\n")).collect();
    format!(
        "Pando gives every pull request a live, isolated copy of the whole app in its own microVM.\n\n\
         Every refusal is `{{\"error\", \"code\", \"field\"?, \"hint\"?}}`; `code` is stable. \
         Out of room is 503 with `Retry-After`, over quota 429 with `Retry-After`: nothing was made, \
         and a command that had begun was ended. \
         Unknown fields of a request are ignored. A list is `{{\"items\", \"next_cursor\"}}`, \
         in a stable order: ask on with `?cursor=` until `next_cursor` is null. A create with an \
         `Idempotency-Key` may be sent again and makes one thing.\n\n\
         | limit | value |\n| --- | --- |\n{rows}"
    )
}
