//! Every route there is, and what all requests pass through.

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use pando_types::limits;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    Api, apps, auth, health, later, me, openapi, previews, refusal, sandboxes, templates, trace,
    webhooks,
};

type Routes = Vec<UtoipaMethodRouter<Api>>;

/// Below `/v1`, with a key. Routes of one path stand together.
fn keyed() -> Routes {
    vec![
        routes!(me::me),
        routes!(templates::list::list),
        routes!(templates::get::get),
        routes!(sandboxes::create::create, sandboxes::list::list),
        routes!(sandboxes::get::get, sandboxes::delete::delete),
        routes!(sandboxes::exec::exec),
        routes!(sandboxes::exec_stream::exec_stream),
        routes!(sandboxes::ports::ports),
        routes!(sandboxes::lifecycle::lifecycle, sandboxes::lifecycle::set_lifecycle),
        routes!(sandboxes::pause::pause),
        routes!(sandboxes::resume::resume),
        routes!(sandboxes::fs::read::read, sandboxes::fs::write::write, sandboxes::fs::remove::remove),
        routes!(sandboxes::fs::dir::dir, sandboxes::fs::mkdir::mkdir),
        routes!(sandboxes::fs::stat::stat),
        routes!(sandboxes::fs::rename::rename),
        routes!(apps::create::create, apps::list::list),
        routes!(apps::get::get, apps::delete::delete),
        routes!(apps::deploys::create::create, apps::deploys::list::list),
        routes!(apps::deploys::get::get),
        routes!(apps::deploys::logs::logs),
        routes!(previews::list::list),
    ]
}

/// Below `/v1`, signed by the sender instead.
fn signed() -> Routes {
    vec![routes!(webhooks::github::github)]
}

/// Free for all.
fn free() -> Routes {
    vec![routes!(health::health)]
}

/// The API as one service. `/openapi.json` and `/docs` are part of it.
pub fn router(api: Api) -> Router {
    let (routes, document) = open_api_routes().split_for_parts();
    let key = middleware::from_fn_with_state(api.clone(), auth::require_key);
    let v1 = later::add_to(collect(keyed()).split_for_parts().0)
        .method_not_allowed_fallback(refusal::no_method)
        .fallback(refusal::no_route)
        .layer(key);
    let signed = collect(signed())
        .split_for_parts()
        .0
        .method_not_allowed_fallback(refusal::no_method)
        .layer(DefaultBodyLimit::max(limits::MAX_WEBHOOK_BODY_BYTES));
    drop(routes);
    Router::new()
        .nest("/v1", v1)
        .nest("/v1/webhooks", signed)
        .merge(collect(free()).split_for_parts().0)
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .method_not_allowed_fallback(refusal::no_method)
        .fallback(refusal::no_route)
        .layer(DefaultBodyLimit::max(limits::MAX_JSON_BODY_BYTES))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(middleware::from_fn(trace::request))
        .with_state(api)
}
