//! What a deployment's machine is like, and where the app listens in it: what the app's
//! settings say, or else what its plan does.

use std::time::Duration;

use pando_store::{AppKind, AppRow};
use pando_types::limits::DEFAULT_PREVIEW_IDLE;

use crate::detect::{Idle, Plan};

/// What one deployment has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Where the app listens.
    pub port: u16,
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
    /// After how long without use it is put to sleep; never, without.
    pub idle_timeout: Option<Duration>,
}

impl Shape {
    pub(crate) fn of(app: &AppRow, plan: &Plan) -> Self {
        let idle_timeout = match (plan.idle, &app.kind) {
            (Some(Idle::Never), _) | (None, AppKind::App) => None,
            (Some(Idle::After { seconds }), _) => Some(Duration::from_secs(seconds.into())),
            // An app is there for all; a preview is looked at now and then.
            (None, AppKind::Preview(_)) => Some(DEFAULT_PREVIEW_IDLE),
        };
        Self {
            port: plan.port.unwrap_or(app.port),
            cpu: plan.resources.cpu.unwrap_or(app.cpu),
            memory_mib: plan.resources.memory_mib.unwrap_or(app.memory_mib),
            idle_timeout,
        }
    }
}
