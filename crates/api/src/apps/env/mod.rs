//! `/v1/apps/{id}/env`: what an app's deployments and its previews' are given.
//!
//! A variable called `import` cannot be named in a path: that is the import's.

pub mod import;
pub mod list;
pub mod set;
pub mod unset;

use pando_types::AppId;
use pando_types::schema::value::EnvName;
use utoipa::IntoParams;

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
