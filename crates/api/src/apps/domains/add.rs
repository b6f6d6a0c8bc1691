//! `POST /v1/apps/{id}/domains`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use pando_deploy::Added;
use pando_types::domain::{AddDomain, AppDomain};

use crate::Api;
use crate::apps::app_id;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Adds a domain to an app, and says which DNS record shows that it is its owner's.
///
/// It is `pending` until the record is found, which happens by itself; then it is `active` and
/// leads to the app. Any app may ask for any domain: none has it before its record is there. A
/// domain that the app has already is answered with 200, and looked up again. At most 50 for one
/// app; names under the server's own suffix are given, not taken.
#[utoipa::path(
    post, path = "/apps/{id}/domains", tag = "apps", operation_id = "domain_add",
    params(("id" = String, Path, format = Uuid)), request_body = AddDomain,
    responses(
        (status = 201, body = AppDomain),
        (status = 200, body = AppDomain, description = "The app has it already"),
        Refusals
    )
)]
pub async fn add(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(request): JsonBody<AddDomain>,
) -> Result<(StatusCode, Json<AppDomain>), Refused> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    let (added, domain) = api.deploy.domain_add(caller.org, app_id(&id)?, &request, host).await?;
    let status = match added {
        Added::New => StatusCode::CREATED,
        Added::Known => StatusCode::OK,
    };
    Ok((status, Json(domain)))
}
