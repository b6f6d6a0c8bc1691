//! `/v1/sandboxes/{id}/schedules`: commands that the platform runs at certain times.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;

use pando_types::{PublicError, SandboxId, ScheduleId};
use utoipa::IntoParams;

use crate::extract;

/// The placeholders of a schedule's routes, as they describe them.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct OfSandbox {
    /// The sandbox.
    #[param(inline)]
    id: SandboxId,
    /// The schedule.
    #[param(inline)]
    schedule_id: ScheduleId,
}

/// The schedule id in a path. Text that is none is the id of nothing: 404, not 400.
fn schedule_id(text: &str) -> Result<ScheduleId, PublicError> {
    extract::id("schedule", text)
}
