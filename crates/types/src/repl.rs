//! Code sessions on the wire: routes under `/v1/sandboxes/{id}/repl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::value::{CellCode, GuestPath, LanguageName, UserName};

/// `POST /v1/sandboxes/{id}/repl/sessions`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OpenReplSession {
    /// `python` (also `py`, `python3`), `javascript` (`js`, `node`, `nodejs`) or `bash` (`sh`, `shell`);
    /// default `python`.
    #[serde(default)]
    #[schema(value_type = Option<LanguageName>)]
    pub language: Option<String>,
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
}

/// A code session: an interpreter that keeps its state from one cell to the next.
/// It ends when it is closed, when its interpreter ends, after an hour in which
/// nothing runs, and with its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplSession {
    /// Its id.
    pub id: String,
    /// `python`, `javascript` or `bash`.
    pub language: String,
    /// The interpreter's process id in the sandbox.
    pub pid: u32,
}

/// `POST /v1/sandboxes/{id}/repl/sessions/{session}/run`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunCell {
    /// The code, at most 512 KiB.
    #[schema(value_type = CellCode)]
    pub code: String,
    /// Milliseconds until it is interrupted, 1 to 86400000; default 600000. A cell that goes on
    /// for 3 s after that is killed, and its session ends.
    #[serde(default, deserialize_with = "crate::number::whole")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    pub timeout_ms: Option<i64>,
}

/// What a cell said and how it ended. Output that is not UTF-8 has U+FFFD in place of each bad byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CellResult {
    /// Its results in order, each by mime type: what was displayed, figures that were drawn, the
    /// value of its last expression. Bytes are in base64; JSON is a text.
    pub results: Vec<BTreeMap<String, String>>,
    /// Standard output, at most 8 MiB.
    pub stdout: String,
    /// Standard error, at most 8 MiB.
    pub stderr: String,
    /// The error in the language's own words, with its traceback; null when there was none.
    pub error: Option<String>,
    /// 0, or what the language makes of an error.
    pub exit_code: i32,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// Whether anything was left out because it passed a limit.
    pub truncated: bool,
    /// Whether the session ended with it: its interpreter exited.
    pub session_ended: bool,
}
