//! Values that requests hold, one type each: what derives name as `value_type`.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Number, PartialSchema, ToSchema};

use super::{CRON, NO_NUL, NOT_BLANK, VARIABLE, filled, text};
use crate::limits::{
    MAX_APP_ENV_BYTES, MAX_CELL_BYTES, MAX_CRON_BYTES, MAX_DOMAIN_BYTES, MAX_DOTENV_BYTES,
    MAX_ENV_NAME_BYTES, MAX_LOG_SINCE_SECS, MAX_LOG_TAIL, MAX_PATH_BYTES, MAX_PATH_COMPONENT_BYTES,
    MAX_PROCESS_NAME_BYTES, MAX_REPOSITORY_NAME_BYTES, MAX_REPOSITORY_NUMBER,
    MAX_SCHEDULE_COMMAND_BYTES, MAX_TERM_BYTES, MAX_TERMINAL_COMMAND_BYTES, MAX_TERMINAL_SIDE,
    MAX_USER_BYTES, MAX_VOLUME_NAME_BYTES, MAX_WEBHOOK_NAME_BYTES,
};

/// A value by its name and what the document says of it.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema))
            }
        }

        impl ToSchema for $name {}
    };
}

value!(/** An absolute path in a sandbox. */ GuestPath, filled(MAX_PATH_BYTES - 1, &path()));
value!(/** Who a program runs as. */ UserName, filled(MAX_USER_BYTES, r"^[^\x00]+$"));
value!(/** The language of a code session. */ LanguageName, filled(10, LANGUAGES));
value!(/** What a variable of an app is called. */ EnvName, filled(MAX_ENV_NAME_BYTES, VARIABLE));
value!(/** The value of a variable. */ EnvValue, text(MAX_APP_ENV_BYTES, NO_NUL));
value!(/** Lines of a `.env` file. */ EnvText, text(MAX_DOTENV_BYTES, NO_NUL));
value!(/** A domain. */ DomainText, filled(MAX_DOMAIN_BYTES, DOMAIN));
value!(
    /** A forge's number of a repository. */
    RepositoryNumber, number(Type::Integer, 1u64, MAX_REPOSITORY_NUMBER)
);
value!(/** `owner/repo`. */ RepositoryName, filled(MAX_REPOSITORY_NAME_BYTES, "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"));
value!(/** What a volume is called. */ VolumeName, filled(MAX_VOLUME_NAME_BYTES, "^[a-z0-9][a-z0-9_-]*$"));
value!(/** When a schedule is due. */ CronText, filled(MAX_CRON_BYTES, CRON));
value!(
    /** What a schedule runs. */
    ScheduleCommand, filled(MAX_SCHEDULE_COMMAND_BYTES, NOT_BLANK)
);
value!(
    /** What a process of an app is called. */
    ProcessName, filled(MAX_PROCESS_NAME_BYTES, "^[A-Za-z][A-Za-z0-9_-]*$")
);
value!(/** The id of a code session. */ ReplId, filled(32, "^[0-9a-f]{32}$"));
value!(/** The code of a cell. */ CellCode, text(MAX_CELL_BYTES, NO_NUL));
value!(
    /** What a terminal is opened with. */
    TerminalCommand, filled(MAX_TERMINAL_COMMAND_BYTES, NOT_BLANK)
);
value!(/** A kind of terminal. */ TerminalName, filled(MAX_TERM_BYTES, "^[!-~]+$"));
value!(/** The lines or rows of a terminal. */ TerminalSide, number(Type::Integer, 1, MAX_TERMINAL_SIDE));
value!(/** How many lines of a log. */ LogTail, number(Type::Integer, 0, MAX_LOG_TAIL));
value!(/** A time in Unix seconds. */ LogSince, number(Type::Number, 0.0, MAX_LOG_SINCE_SECS));
value!(/** Which lines of a log. */ LogOutput, filled(6, "^(both|stdout|stderr)$"));
value!(
    /** What a webhook's header names. */
    WebhookName, filled(MAX_WEBHOOK_NAME_BYTES, "^[!-~]([ -~]*[!-~])?$")
);
value!(/** A webhook's proof. */ WebhookSignature, filled(71, "^sha256=[0-9a-f]{64}$"));

/// Two labels at least, the last of which is no number's beginning and not `localhost`.
const DOMAIN: &str = r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?![Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]\.?$)[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$";
/// What [`LanguageName`] may be.
const LANGUAGES: &str = "^(python|python3|py|javascript|js|node|nodejs|bash|sh|shell)$";

/// Absolute; no component is `..` or too long.
fn path() -> String {
    let most = MAX_PATH_COMPONENT_BYTES;
    let (after_one, after_dot, after_dots) = (most - 1, most - 2, most - 2);
    format!(
        r"^(/([^/.\x00][^/\x00]{{0,{after_one}}}|\.([^/.\x00][^/\x00]{{0,{after_dot}}})?|\.\.[^/\x00]{{1,{after_dots}}})?)+$"
    )
}

fn number<N: Into<Number>>(kind: Type, least: N, most: N) -> Object {
    ObjectBuilder::new().schema_type(kind).minimum(Some(least)).maximum(Some(most)).build()
}
