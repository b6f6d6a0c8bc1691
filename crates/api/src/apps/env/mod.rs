//! `/v1/apps/{id}/env`: what an app's deployments and its previews' are given.

pub mod import;
pub mod list;
pub mod set;
pub mod unset;

use axum::extract::State;
use axum::routing::{MethodRouter, put};
use pando_types::AppId;
use pando_types::env::SetEnv;
use pando_types::schema::value::EnvName;
use utoipa::IntoParams;

use crate::Api;
use crate::auth::Caller;
use crate::extract::{JsonBody, UrlPath};

/// What the paths of one variable name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct OfApp {
    /// The app.
    #[param(inline)]
    id: AppId,
    /// The variable.
    #[param(value_type = EnvName, inline)]
    key: String,
}

/// The routes of the variable that is called `import`: its path is that of `import`, too, and a
/// path of its own is matched before one of any name.
pub fn called_import() -> MethodRouter<Api> {
    let name = |UrlPath(id): UrlPath<String>| UrlPath((id, "import".to_owned()));
    let set = async move |api: State<Api>, caller: Caller, id, body: JsonBody<SetEnv>| {
        set::set(api, caller, name(id), body).await
    };
    let unset = async move |api: State<Api>, caller: Caller, id, query| {
        unset::unset(api, caller, name(id), query).await
    };
    put(set).delete(unset)
}
