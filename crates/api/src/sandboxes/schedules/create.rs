//! `POST /v1/sandboxes/{id}/schedules`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::schedule::{CreateSchedule, Schedule};
use pando_types::{OrgId, PublicError, SandboxId, ScheduleId};

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::sandbox_id;

/// Adds a schedule: a command that is run in the sandbox whenever it is due, in UTC.
///
/// A sandbox that sleeps is woken for it, and sleeps again by its own idle time; one that is
/// paused or has failed is left as it is. Each due time is run for once at most. Of those that
/// were missed (the server was down, there was no room to wake it) the last is made up for within
/// an hour, the others are left out; so is one that comes while the last run goes on. The row
/// tells of the last run and the last miss. It goes with the sandbox; copies have none.
/// 429: the sandbox has 8.
#[utoipa::path(
    post, path = "/sandboxes/{id}/schedules", tag = "sandboxes", operation_id = "schedule_create",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = CreateSchedule,
    responses((status = 201, body = Schedule), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    once: Once<CreateSchedule>,
) -> Result<Response, Refused> {
    let sandbox = sandbox_id(&id)?;
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, sandbox, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    sandbox: SandboxId,
    request: Held<CreateSchedule>,
}

impl Create for Wanted {
    type Id = ScheduleId;
    type Made = Schedule;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> ScheduleId {
        ScheduleId::new()
    }

    async fn make(self, id: ScheduleId) -> Result<Schedule, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.sandboxes.schedule_create(id, self.org, self.sandbox, request).await
    }

    async fn made(&self, id: ScheduleId) -> Result<Option<Schedule>, PublicError> {
        self.api.sandboxes.schedule_made(self.org, id).await
    }
}
