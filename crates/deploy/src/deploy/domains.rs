//! What the API asks about domains of apps' own.

use pando_types::domain::{AddDomain, AppDomain, DomainList, DomainName};
use pando_types::{AppId, OrgId, PublicError};

use super::Deploy;
use crate::domain::{self, add::Added};

impl Deploy {
    /// Adds a domain to an app, or finds it there, and has its records looked up. `api_host` is
    /// the host that the request names, which no app can have.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field;
    /// [`Code::Conflict`](pando_types::Code::Conflict) for a preview, for an app that is being
    /// removed, and for one that has as many as it may.
    pub async fn domain_add(
        &self,
        org: OrgId,
        app: AppId,
        request: &AddDomain,
        api_host: Option<&str>,
    ) -> Result<(Added, AppDomain), PublicError> {
        Ok(domain::add::add(&self.context, org, app, request, api_host).await?)
    }

    /// An app's domains, oldest first.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn domain_list(&self, org: OrgId, app: AppId) -> Result<DomainList, PublicError> {
        Ok(domain::list::list(&self.context, org, app).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn domain_get(
        &self,
        org: OrgId,
        app: AppId,
        domain: &str,
    ) -> Result<AppDomain, PublicError> {
        Ok(domain::list::get(&self.context, org, app, domain).await?)
    }

    /// Looks the records of one of them up now.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn domain_check(
        &self,
        org: OrgId,
        app: AppId,
        domain: &str,
    ) -> Result<AppDomain, PublicError> {
        Ok(domain::check::ask(&self.context, org, app, domain).await?)
    }

    /// Removes one of them: it leads nowhere when this returns.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn domain_remove(
        &self,
        org: OrgId,
        app: AppId,
        domain: &str,
    ) -> Result<(), PublicError> {
        Ok(domain::remove::remove(&self.context, org, app, domain).await?)
    }

    /// Whether a name leads to an app now. From memory.
    #[must_use]
    pub fn domain_is_active(&self, name: &str) -> bool {
        name.parse::<DomainName>().is_ok_and(|name| self.context.routes.is_domain(name.as_str()))
    }
}
