//! Every route there is, and what all requests pass through.

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use pando_node::held::Budget;
use pando_types::limits;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    Api, Requests, apps, auth, domains, health, held, later, me, metrics, openapi, preview_repos,
    previews, refusal, repos, sandboxes, schemas, snapshots, templates, trace, volumes, webhooks,
};

type Routes = Vec<UtoipaMethodRouter<Api>>;

/// Below `/v1`, with a key. Routes of one path stand together.
fn keyed() -> Routes {
    vec![
        routes!(me::get::get),
        routes!(me::tokens::create::create, me::tokens::list::list),
        routes!(me::tokens::delete::delete),
        routes!(templates::list::list),
        routes!(templates::get::get, templates::delete::delete),
        routes!(templates::build::build),
        routes!(templates::builds::list::list),
        routes!(templates::builds::get::get),
        routes!(templates::builds::logs::logs),
        routes!(sandboxes::create::create, sandboxes::list::list),
        routes!(sandboxes::get::get, sandboxes::delete::delete),
        routes!(sandboxes::exec::exec),
        routes!(sandboxes::exec_stream::exec_stream),
        routes!(sandboxes::exec_ws::exec_ws),
        routes!(sandboxes::pty::pty),
        routes!(sandboxes::pty::ssh),
        routes!(sandboxes::logs::logs),
        routes!(sandboxes::processes::processes),
        routes!(sandboxes::stats::stats),
        routes!(sandboxes::metrics::metrics),
        routes!(sandboxes::repl::open::open, sandboxes::repl::list::list),
        routes!(sandboxes::repl::run::run),
        routes!(sandboxes::repl::close::close),
        routes!(sandboxes::ports::ports),
        routes!(sandboxes::lifecycle::lifecycle, sandboxes::lifecycle::set_lifecycle),
        routes!(sandboxes::lease::take, sandboxes::lease::end),
        routes!(sandboxes::schedules::create::create, sandboxes::schedules::list::list),
        routes!(
            sandboxes::schedules::get::get,
            sandboxes::schedules::change::change,
            sandboxes::schedules::delete::delete
        ),
        routes!(sandboxes::events::events),
        routes!(sandboxes::pause::pause),
        routes!(sandboxes::resume::resume),
        routes!(sandboxes::hibernate::hibernate),
        routes!(sandboxes::wake::wake),
        routes!(sandboxes::snapshot::snapshot),
        routes!(sandboxes::fork::fork),
        routes!(sandboxes::fork_tree::fork_tree),
        routes!(sandboxes::promote::promote),
        routes!(
            sandboxes::fs::read::read,
            sandboxes::fs::write::write,
            sandboxes::fs::remove::remove
        ),
        routes!(sandboxes::fs::dir::dir, sandboxes::fs::mkdir::mkdir),
        routes!(sandboxes::fs::stat::stat),
        routes!(sandboxes::fs::rename::rename),
        routes!(snapshots::list::list),
        routes!(snapshots::get::get, snapshots::delete::delete),
        routes!(volumes::create::create, volumes::list::list),
        routes!(volumes::get::get, volumes::delete::delete),
        routes!(apps::create::create, apps::list::list),
        routes!(apps::get::get, apps::update::update, apps::delete::delete),
        routes!(apps::rollback::rollback),
        routes!(apps::restart::restart),
        routes!(apps::logs::logs),
        routes!(apps::processes::processes),
        routes!(apps::run::run),
        routes!(
            apps::deploy_key::get::get,
            apps::deploy_key::make::make,
            apps::deploy_key::delete::delete
        ),
        routes!(apps::cron::list::list),
        routes!(apps::cron::run::run),
        routes!(apps::deploys::create::create, apps::deploys::list::list),
        routes!(apps::deploys::get::get),
        routes!(apps::deploys::logs::logs),
        routes!(apps::deliveries::list::list),
        routes!(apps::env::list::list),
        routes!(apps::env::set::set, apps::env::unset::unset),
        routes!(apps::env::import::import),
        routes!(apps::domains::add::add, apps::domains::list::list),
        routes!(apps::domains::get::get, apps::domains::remove::remove),
        routes!(apps::domains::check::check),
        routes!(previews::list::list),
        routes!(preview_repos::list::list, preview_repos::enable::enable),
        routes!(preview_repos::disable::disable),
        routes!(repos::preview_env::list::list),
        routes!(repos::preview_env::set::set, repos::preview_env::unset::unset),
        routes!(repos::preview_env::import::import),
    ]
}

/// Below `/v1`, without a key: signed by the sender, or told to all.
fn signed() -> Routes {
    vec![routes!(webhooks::github::github), routes!(domains::ask::ask)]
}

/// Free for all.
fn free() -> Routes {
    vec![routes!(health::health), routes!(schemas::pando_toml)]
}

/// The API as one service. `/openapi.json` and `/docs` are part of it.
pub fn router(api: Api) -> Router {
    let door = auth::Door { store: api.store.clone(), usage: api.usage.clone() };
    let (budget, requests) = (api.node.budget().clone(), api.requests.clone());
    assemble(parts(), door, budget, requests).with_state(api)
}

/// The OpenAPI document of every route that works, as `/openapi.json` serves it.
#[must_use]
pub fn document() -> OpenApi {
    parts().document
}

/// Routes by who may ask, and what they say of themselves.
struct Parts<S> {
    keyed: Router<S>,
    signed: Router<S>,
    free: Router<S>,
    document: OpenApi,
}

fn parts() -> Parts<Api> {
    let collect = |routes: Routes| {
        let empty = OpenApiRouter::default();
        routes.into_iter().fold(empty, OpenApiRouter::routes)
    };
    let (keyed, signed, free) = (collect(keyed()), collect(signed()), collect(free()));
    let below_v1 = OpenApiRouter::with_openapi(openapi::base())
        .nest("/v1", keyed.clone())
        .nest("/v1", signed.clone())
        .merge(free.clone());
    Parts {
        keyed: later::add_to(keyed.into()),
        signed: signed.into(),
        free: free.into(),
        document: below_v1.into_openapi(),
    }
}

/// Puts what all requests pass through around the routes.
fn assemble<S: Clone + Send + Sync + 'static>(
    parts: Parts<S>,
    door: auth::Door,
    budget: Budget,
    requests: Requests,
) -> Router<S> {
    let counted = middleware::from_fn_with_state(budget, held::count);
    let keyed = parts
        .keyed
        .method_not_allowed_fallback(refusal::no_method)
        .fallback(refusal::no_route)
        // Within the door: a request is counted for the org whose key it has.
        .layer(counted.clone())
        .layer(middleware::from_fn_with_state(door, auth::require_key));
    let signed = parts
        .signed
        .method_not_allowed_fallback(refusal::no_method)
        .layer(DefaultBodyLimit::max(limits::MAX_WEBHOOK_BODY_BYTES));
    let without_key = Router::new()
        .merge(Router::new().nest("/v1", signed))
        .merge(parts.free)
        .merge(SwaggerUi::new("/docs").url("/openapi.json", parts.document))
        .layer(counted);
    without_key
        .nest("/v1", keyed)
        .method_not_allowed_fallback(refusal::no_method)
        .fallback(refusal::no_route)
        .layer(DefaultBodyLimit::max(limits::MAX_JSON_BODY_BYTES))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(middleware::from_fn(trace::request))
        .layer(middleware::from_fn_with_state(requests, metrics::count))
}

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod tests;
