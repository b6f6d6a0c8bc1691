//! Why a build ends without a template.

use crate::guest::GuestError;
use crate::node::NodeError;

/// Why a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// What its owner is told.
    Failed(String),
    /// The node's own business; its log has the cause.
    Internal(String),
}

impl Halt {
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

impl From<NodeError> for Halt {
    fn from(error: NodeError) -> Self {
        let public = pando_types::PublicError::from(&error);
        match public.code {
            pando_types::Code::Internal => Self::Internal(crate::chain(&error)),
            _ => Self::Failed(public.to_string()),
        }
    }
}

impl From<GuestError> for Halt {
    fn from(error: GuestError) -> Self {
        Self::Failed(format!(
            "the machine that builds broke off: {}",
            crate::quote(&crate::chain(&error))
        ))
    }
}
