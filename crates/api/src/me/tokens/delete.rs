//! `DELETE /v1/me/tokens/{prefix}`.

use axum::extract::State;
use axum::http::StatusCode;
use pando_types::{ApiKeyId, Code, OrgId, PublicError};

use crate::Api;
use crate::auth::Caller;
use crate::extract::{UrlPath, shown};
use crate::refusal::{Refused, store_failed};
use crate::refusals::Refusals;

/// Deletes an API key by the prefix or the id that lists show. It is refused from then on.
///
/// 409 when more than one key has the prefix: name it by its id.
#[utoipa::path(
    delete, path = "/me/tokens/{prefix}", tag = "tokens", operation_id = "token_delete",
    params(("prefix" = String, Path, min_length = 1, max_length = 36)),
    responses((status = 204), Refusals)
)]
pub async fn delete(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(name): UrlPath<String>,
) -> Result<StatusCode, Refused> {
    let id = find(&api, caller.org, &name).await?;
    if !api.store.key_delete(caller.org, id).await.map_err(store_failed)? {
        return Err(missing(&name).into());
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, org: OrgId, name: &str) -> Result<ApiKeyId, Refused> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match api.store.key_by_prefix(org, name).await.map_err(store_failed)?.as_slice() {
        [] => Err(missing(name).into()),
        [only] => Ok(only.id),
        _ => {
            let message = "more than one API key has this prefix";
            Err(PublicError::new(Code::Conflict, message).hint("name it by its id").into())
        }
    }
}

fn missing(name: &str) -> PublicError {
    PublicError::not_found("API key", shown(name))
}
