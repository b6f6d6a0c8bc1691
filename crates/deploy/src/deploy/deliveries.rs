//! What the API asks about webhooks that came.

use pando_types::app::AppDelivery;
use pando_types::page::{List, PageRequest};
use pando_types::{AppId, DeliveryId, OrgId, PublicError};

use super::Deploy;
use crate::webhook::list;

impl Deploy {
    /// The deliveries about the repository of an app, newest first, with what was decided about
    /// the app and its previews.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn delivery_list(
        &self,
        org: OrgId,
        app: AppId,
        page: PageRequest<DeliveryId>,
    ) -> Result<List<AppDelivery>, PublicError> {
        Ok(list::list(&self.context, org, app, page).await?)
    }
}
