//! `GET /v1/apps/{id}/processes`.

use axum::extract::State;
use pando_guest_protocol::supervise::{ProcessState, Watched};
use pando_types::Timestamp;
use pando_types::page::List;
use pando_types::process::{AppProcess, AppProcessState};

use super::guest;
use crate::Api;
use crate::answer::Answer;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;

/// The processes of a live app, by name: `web`, and one for each other line of its Procfile.
///
/// An app that sleeps is woken; one that is not live is refused with 409.
#[utoipa::path(
    get, path = "/apps/{id}/processes", tag = "apps", operation_id = "app_processes",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = List<AppProcess>), Refusals)
)]
pub async fn processes(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Answer, Refused> {
    let found = guest(&api, &caller, &id).await?.supervised().await.map_err(guest_failed)?;
    Ok(Answer::whole_list(found.into_iter().map(public)))
}

fn public(process: Watched) -> AppProcess {
    let time =
        |ms: u64| Some(Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)).to_rfc3339());
    let (state, pid, running_since, starts_at) = match process.state {
        ProcessState::Starting => (AppProcessState::Starting, None, None, None),
        ProcessState::Running { pid, since_ms } => {
            (AppProcessState::Running, Some(pid), time(since_ms), None)
        }
        ProcessState::Waiting { until_ms } => {
            (AppProcessState::Waiting, None, None, time(until_ms))
        }
        ProcessState::Stopping { pid } => (AppProcessState::Stopping, Some(pid), None, None),
    };
    AppProcess {
        name: process.name,
        state,
        pid,
        running_since,
        starts_at,
        restarts: process.restarts,
        last_exit_code: process.last_exit_code,
    }
}
