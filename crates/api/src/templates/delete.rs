//! `DELETE /v1/templates/{name}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Deletes a template of the org. Sandboxes that were made of it go on.
#[utoipa::path(
    delete, path = "/templates/{name}", tag = "templates", operation_id = "template_delete", params(("name" = String, Path, min_length = 1, max_length = 64)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(name): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    api.templates.delete(caller.org, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
