//! Parts of the API document that no attribute can say. Attributes hold numbers only;
//! here the bounds are the limits by name.
//!
//! Lengths are in characters, as JSON Schema counts them: where a limit is in bytes,
//! text that is not ASCII may be refused sooner.

pub mod value;

use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, SchemaType,
    Type,
};
use utoipa::openapi::{RefOr, Schema};

use crate::limits::{
    MAX_APP_ENV_BYTES, MAX_COMMAND_BYTES, MAX_EGRESS_DENY, MAX_ENV_NAME_BYTES,
    MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS, MAX_METADATA_VALUE_CHARS,
};

/// Text without NUL: it becomes an argument, a name or a value that C reads.
pub const NO_NUL: &str = r"^[^\x00]*$";

/// What a variable of an app is called.
pub const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// Text that is not blank, and without NUL.
pub const NOT_BLANK: &str = r"^[^\x00]*[^\x00\s][^\x00]*$";

/// Five fields of what the fields of cron are written in; not all of those are some.
pub const CRON: &str = r"^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$";

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
        "Environment of the app's own deployments, at most 64 KiB in all: secrets, encrypted at \
         rest. Previews do not get it.",
    )
}

/// The environment of an app's previews.
pub(crate) fn preview_environment() -> Object {
    variables(
        "Environment of previews, whose code may come from a stranger; at most 64 KiB in all: \
         secrets, encrypted at rest.",
    )
}

fn variables(description: &str) -> Object {
    let names = text(MAX_ENV_NAME_BYTES, VARIABLE);
    map(names, text(MAX_APP_ENV_BYTES, NO_NUL), description).build()
}
