//! How often each route answered what.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The route of a request that none matched.
const NO_ROUTE: &str = "none";

/// The requests that were answered. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Requests(Family<Answered, Counter>);

/// What is counted apart. Each value comes from a fixed set, so that no client can
/// make the server remember more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

impl Requests {
    /// Adds the counts to what is exposed.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests of the API by method, route and status";
        registry.register("http_requests", help, self.0.clone());
    }
}

/// Counts a request once its answer begins.
pub async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = route.unwrap_or(NO_ROUTE).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    requests.0.get_or_create(&Answered { method, route, status }).inc();
    response
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
