//! What each route's entry in the document says of its refusals.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The refusals that any route may answer with, for `responses(...)`.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusal = |description: &str| {
            let schema = Ref::from_schema_name("Refusal");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(description);
            RefOr::T(response.content("application/json", content).build())
        };
        BTreeMap::from([
            (
                "4XX".to_owned(),
                refusal("The request must change first; `code` and `field` say how"),
            ),
            ("5XX".to_owned(), refusal("The server or the guest could not; see `Retry-After`")),
        ])
    }
}
