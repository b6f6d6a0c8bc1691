//! `/v1/repos/{id}/preview-env`: what the previews of a repository are given.

pub mod import;
pub mod list;
pub mod set;
pub mod unset;

use axum::extract::State;
use axum::routing::{MethodRouter, put};
use pando_types::repo::SetPreviewEnv;
use pando_types::schema::value::{EnvName, RepositoryNumber};
use utoipa::IntoParams;

use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};

/// What the paths of one variable name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct OfRepo {
    /// The forge's number of the repository.
    #[param(value_type = RepositoryNumber, inline)]
    id: u64,
    /// The variable.
    #[param(value_type = EnvName, inline)]
    key: String,
}

/// The routes of the variable that is called `import`, as of an app's
/// ([`called_import`](crate::apps::env::called_import)).
pub fn called_import() -> MethodRouter<Api> {
    let name = |UrlPath(id): UrlPath<String>| UrlPath((id, "import".to_owned()));
    let set = async move |api: State<Api>, caller: Caller, id, body: JsonBody<SetPreviewEnv>| {
        set::set(api, caller, name(id), body).await
    };
    let unset =
        async move |api: State<Api>, caller: Caller, id| unset::unset(api, caller, name(id)).await;
    put(set).delete(unset)
}
