//! `/v1/apps/{id}/domains`: names of users' own that lead to an app.

pub mod add;
pub mod check;
pub mod get;
pub mod list;
pub mod remove;

use pando_types::AppId;
use pando_types::schema::value::DomainText;
use utoipa::IntoParams;

/// What the paths of one domain name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct OfApp {
    /// The app.
    #[param(inline)]
    id: AppId,
    /// The domain.
    #[param(value_type = DomainText, inline)]
    domain: String,
}
