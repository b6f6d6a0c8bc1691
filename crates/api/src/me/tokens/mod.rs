//! `/v1/me/tokens`: the org's API keys. Every key may do all of this.

pub mod create;
pub mod delete;
pub mod list;

use pando_store::KeyRow;
use pando_types::Timestamp;
use pando_types::api::Token;

/// A key as lists show it.
fn shown(row: &KeyRow) -> Token {
    Token {
        id: row.id,
        prefix: row.prefix.clone(),
        label: row.label.clone(),
        created_at: row.created.to_rfc3339(),
        expires_at: row.expires.map(Timestamp::to_rfc3339),
        last_used_at: row.last_used.map(Timestamp::to_rfc3339),
    }
}
