//! Routes that public clients call and Pando does not have yet. They answer 501
//! by name, so that a client learns what is missing, not that its URL is wrong.
//! They are not in the OpenAPI document, which lists what works.

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use pando_types::{Code, PublicError};

use crate::refusal::Refused;

/// Method, path below `/v1`, and what it would do.
const LATER: &[(Method, &str, &str)] = &[
    (Method::GET, "/databases", "databases"),
    (Method::POST, "/databases", "databases"),
    (Method::GET, "/databases/{id}", "databases"),
    (Method::PATCH, "/databases/{id}", "databases"),
    (Method::DELETE, "/databases/{id}", "databases"),
    (Method::GET, "/databases/{id}/connection", "databases"),
    (Method::POST, "/databases/{id}/failover", "databases"),
    (Method::POST, "/databases/{id}/wake", "databases"),
    (Method::POST, "/databases/{id}/clone", "databases"),
    (Method::POST, "/databases/{id}/reset-credentials", "databases"),
    (Method::GET, "/functions", "functions"),
    (Method::POST, "/functions", "functions"),
    (Method::GET, "/functions/{id}", "functions"),
    (Method::PATCH, "/functions/{id}", "functions"),
    (Method::DELETE, "/functions/{id}", "functions"),
    (Method::POST, "/functions/{id}/deploy", "functions"),
    (Method::GET, "/functions/{id}/metrics", "functions"),
    (Method::POST, "/functions/{id}/invoke", "functions"),
    (Method::POST, "/functions/{id}/trigger", "functions"),
    (Method::GET, "/functions/{id}/runs", "functions"),
    (Method::GET, "/schedules", "schedules"),
    (Method::POST, "/schedules", "schedules"),
    (Method::GET, "/schedules/{id}", "schedules"),
    (Method::PATCH, "/schedules/{id}", "schedules"),
    (Method::DELETE, "/schedules/{id}", "schedules"),
    (Method::POST, "/schedules/{id}/trigger", "schedules"),
    (Method::GET, "/schedules/{id}/runs", "schedules"),
];

/// Adds the routes above to those that work.
pub fn add_to<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    LATER.iter().fold(router, |router, (method, path, what)| {
        let filter = filter(method);
        router.route(path, on(filter, move || async move { Refused::from(not_yet(what)) }))
    })
}

fn not_yet(what: &str) -> PublicError {
    PublicError::new(Code::NotImplemented, format!("{what}: this server does not have it yet"))
        .hint("`/openapi.json` lists what it has")
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}
