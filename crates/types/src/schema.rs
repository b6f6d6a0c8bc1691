//! Parts of the API document that no attribute can say, and values that several
//! routes take. Attributes hold numbers only; here the bounds are the limits by name.
//!
//! Lengths are in characters, as JSON Schema counts them: where a limit is in bytes,
//! text that is not ASCII may be refused sooner.

use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, SchemaType,
    Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Number, PartialSchema, ToSchema};

use crate::limits::{
    MAX_CELL_BYTES, MAX_COMMAND_BYTES, MAX_EGRESS_DENY, MAX_ENV_NAME_BYTES, MAX_LOG_SINCE_SECS,
    MAX_LOG_TAIL, MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS, MAX_METADATA_VALUE_CHARS,
    MAX_PATH_BYTES, MAX_PATH_COMPONENT_BYTES, MAX_TERM_BYTES, MAX_TERMINAL_COMMAND_BYTES,
    MAX_TERMINAL_SIDE, MAX_USER_BYTES, MAX_WEBHOOK_NAME_BYTES,
};

/// Text without NUL: it becomes an argument, a name or a value that C reads.
const NO_NUL: &str = r"^[^\x00]*$";

/// Text that is not blank, and without NUL.
const NOT_BLANK: &str = r"^[^\x00]*[^\x00\s][^\x00]*$";

/// A value of requests: what derives name as `value_type`, `inline`.
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

fn filled(longest: usize, pattern: &str) -> Object {
    let mut text = text(longest, pattern);
    text.min_length = Some(1);
    text
}

fn text(longest: usize, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(longest))
        .pattern(Some(pattern))
        .build()
}

fn map(keys: Object, values: Object, description: &str) -> ObjectBuilder {
    let names = RefOr::T(Schema::Object(keys));
    let values = AdditionalProperties::RefOr(RefOr::T(Schema::Object(values)));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(names))
        .additional_properties(Some(values))
        .description(Some(description))
}

/// The pairs of a sandbox.
pub(crate) fn metadata() -> Object {
    let key = filled(MAX_METADATA_KEY_CHARS, NO_NUL);
    let description = "Free text pairs, returned as given; lists are filtered by them. Keys of 1 \
                       to 64 characters, values of at most 512, 16 KiB together.";
    map(key, text(MAX_METADATA_VALUE_CHARS, NO_NUL), description)
        .max_properties(Some(MAX_METADATA_PAIRS))
        .build()
}

/// Where a sandbox may not go.
pub(crate) fn egress_deny() -> Array {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    let pattern = format!(r"^({octet}\.){{3}}{octet}(/(3[0-2]|[12]?[0-9]))?$");
    let description = "IPv4 addresses and networks (`203.0.113.0/24`) that this sandbox may not \
                       reach, beside what no sandbox may. `[\"0.0.0.0/0\"]`: no network, names \
                       included.";
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(text(18, &pattern))
        .max_items(Some(MAX_EGRESS_DENY))
        .description(Some(description))
        .build()
}

/// What to run.
pub(crate) fn command() -> Schema {
    let mut shell = filled(MAX_COMMAND_BYTES, NOT_BLANK);
    shell.description = Some("Run by `/bin/sh -c`, in a login-like environment.".to_owned());
    // The program's name is not empty; what follows it may be.
    let program = filled(MAX_COMMAND_BYTES, r"^[^\x00]+$");
    let argv = ArrayBuilder::new()
        .prefix_items([program])
        .items(text(MAX_COMMAND_BYTES, NO_NUL))
        .min_items(Some(1))
        .description(Some("Run as it is; the first is the program."));
    let either = OneOfBuilder::new()
        .item(shell)
        .item(argv)
        .description(Some("A shell string or an argv, 128 KiB together."))
        .build();
    Schema::OneOf(either)
}

/// The environment of a command.
pub(crate) fn environment() -> Object {
    let names = text(MAX_ENV_NAME_BYTES, r"^[^=\x00]+$");
    map(names, text(MAX_COMMAND_BYTES, NO_NUL), "Added to the environment.").build()
}

/// The environment of an app's own deployments.
pub(crate) fn app_environment() -> Object {
    variables(
        "Environment of the app's own deployments, at most 64 KiB in all. Encrypted at rest; \
         previews do not get it.",
    )
}

/// The environment of an app's previews.
pub(crate) fn preview_environment() -> Object {
    variables(
        "Environment of previews, whose code may come from a stranger; at most 64 KiB in all. \
         Encrypted at rest.",
    )
}

fn variables(description: &str) -> Object {
    let names = text(MAX_ENV_NAME_BYTES, "^[A-Za-z_][A-Za-z0-9_]*$");
    map(names, text(64 * 1024, NO_NUL), description).build()
}
