//! `GET /v1/schemas/pando.toml.json`, without a key: an editor reads it.

use axum::Json;
use serde_json::Value;

use crate::refusals::Refusals;

/// The JSON schema (draft 7) of `pando.toml`, the file in a repository that says how it is
/// deployed.
#[utoipa::path(
    get, path = "/v1/schemas/pando.toml.json", tag = "apps", operation_id = "schema_pando_toml",
    security(()),
    responses((status = 200, body = Value, description = "The schema"), Refusals)
)]
pub async fn pando_toml() -> Json<Value> {
    Json(pando_deploy::manifest::schema())
}
