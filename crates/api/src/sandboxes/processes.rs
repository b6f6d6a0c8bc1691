//! `GET /v1/sandboxes/{id}/processes`.

use axum::extract::State;
use pando_types::machine::Process;
use pando_types::page::List;

use super::guest;
use crate::Api;
use crate::answer::Answer;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;

/// What runs in a sandbox, by process id; at most 4096. The kernel's own threads are left out.
#[utoipa::path(
    get, path = "/sandboxes/{id}/processes", tag = "sandboxes", operation_id = "sandbox_processes",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = List<Process>), Refusals)
)]
pub async fn processes(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Answer, Refused> {
    let found = guest(&api, &caller, &id).await?.processes().await.map_err(guest_failed)?;
    Ok(Answer::whole_list(found.into_iter().map(public)))
}

fn public(process: pando_guest_protocol::machine::Process) -> Process {
    Process {
        pid: process.pid,
        ppid: process.parent,
        user: process.user,
        command: process.command,
        state: process.state.to_string(),
        threads: process.threads,
        cpu_ms: process.cpu_ms,
        rss_bytes: process.rss_bytes,
        age_ms: process.age_ms,
    }
}
