//! Which lines of releases there are: data as of November 2026. A range is resolved to the
//! first of its table that has a version in it, so the order is the preference.

/// A line of Node's releases.
pub(super) struct NodeLine {
    pub line: &'static str,
    /// Its name as `lts/name`; empty where it never had long-term support.
    pub lts: &'static str,
}

const fn node(line: &'static str, lts: &'static str) -> NodeLine {
    NodeLine { line, lts }
}

/// Those with long-term support come first, the newest of them before all.
pub(super) const NODE: [NodeLine; 18] = [
    node("26", "lithium"),
    node("24", "krypton"),
    node("22", "jod"),
    node("20", "iron"),
    node("18", "hydrogen"),
    node("16", "gallium"),
    node("14", "fermium"),
    node("12", "erbium"),
    node("10", "dubnium"),
    node("8", "carbon"),
    node("25", ""),
    node("23", ""),
    node("21", ""),
    node("19", ""),
    node("17", ""),
    node("15", ""),
    node("13", ""),
    node("11", ""),
];
/// The same, as ranges are resolved.
pub(super) const NODE_LINES: [&str; NODE.len()] = {
    let mut lines = [""; NODE.len()];
    let mut at = 0;
    while at < lines.len() {
        lines[at] = NODE[at].line;
        at += 1;
    }
    lines
};
/// The template has these.
pub(super) const NODE_DEFAULT: &str = "22";
pub(super) const PYTHON_DEFAULT: &str = "3.11";

/// What most packages have wheels for comes before what is newer.
pub(super) const PYTHON: [&str; 9] =
    ["3.13", "3.14", "3.12", "3.11", "3.10", "3.9", "3.8", "3.7", "2.7"];
pub(super) const RUBY: [&str; 8] = ["3.4", "4.0", "3.3", "3.2", "3.1", "3.0", "2.7", "2.6"];
pub(super) const GO: [&str; 7] = ["1.25", "1.26", "1.24", "1.23", "1.22", "1.21", "1.20"];
pub(super) const RUST: [&str; 1] = ["stable"];
pub(super) const PHP: [&str; 8] = ["8.4", "8.5", "8.3", "8.2", "8.1", "8.0", "7.4", "7.3"];
pub(super) const JAVA: [&str; 6] = ["21", "25", "17", "11", "8", "24"];
pub(super) const DENO: [&str; 2] = ["2", "1"];
pub(super) const BUN: [&str; 1] = ["1"];
pub(super) const PNPM: [&str; 7] = ["10", "12", "11", "9", "8", "7", "6"];
pub(super) const YARN: [&str; 4] = ["1", "4", "3", "2"];
pub(super) const NPM: [&str; 6] = ["10", "11", "9", "8", "7", "6"];
pub(super) const POETRY: [&str; 2] = ["2", "1"];
pub(super) const MAVEN: [&str; 1] = ["3"];
pub(super) const GRADLE: [&str; 3] = ["8", "9", "7"];
/// What has no lines that matter.
pub(super) const LATEST: [&str; 1] = ["latest"];

/// Each line of Elixir, and the newest Erlang that all of it runs on.
pub(super) const ELIXIR_ERLANG: [(&str, &str); 6] = [
    ("1.18", "27"),
    ("1.19", "28"),
    ("1.17", "27"),
    ("1.16", "26"),
    ("1.15", "26"),
    ("1.14", "25"),
];
pub(super) const ELIXIR: [&str; ELIXIR_ERLANG.len()] = {
    let mut lines = [""; ELIXIR_ERLANG.len()];
    let mut at = 0;
    while at < lines.len() {
        lines[at] = ELIXIR_ERLANG[at].0;
        at += 1;
    }
    lines
};
pub(super) const ERLANG: [&str; 4] = ["27", "28", "26", "25"];

/// The version of pnpm that wrote a lockfile of this version, by its beginning.
pub(super) const PNPM_OF_LOCKFILE: [(&str, &str); 5] =
    [("9", "9"), ("6", "8"), ("5.4", "7"), ("5.3", "6"), ("5", "6")];
/// The version of Yarn that wrote a lockfile whose `__metadata` has this version, at least.
pub(super) const YARN_OF_METADATA: [(u64, &str); 3] = [(8, "4"), (5, "3"), (0, "2")];
