//! `GET /v1/sandboxes/{id}/ports`.

use axum::Json;
use axum::extract::State;
use pando_guest_protocol::session::Listener;
use pando_types::SandboxId;
use pando_types::sandbox::{ListeningPort, Ports};
use pando_types::url::PublicUrls;

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::refusal::{Refused, guest_failed};
use crate::refusals::Refusals;

/// The TCP ports that something in the sandbox listens on, with their URLs.
#[utoipa::path(
    get, path = "/sandboxes/{id}/ports", tag = "sandboxes", operation_id = "sandbox_ports", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Ports), Refusals)
)]
pub async fn ports(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Ports>, Refused> {
    let id = sandbox_id(&id)?;
    let guest = api.sandboxes.guest(caller.org, id).await?;
    let listeners = guest.ports().await.map_err(guest_failed)?;
    Ok(Json(Ports { ports: with_urls(listeners, id, &api.urls) }))
}

fn with_urls(mut listeners: Vec<Listener>, id: SandboxId, urls: &PublicUrls) -> Vec<ListeningPort> {
    listeners.sort_by_key(|listener| (listener.port, listener.address));
    let public = |listener: Listener| ListeningPort {
        port: listener.port,
        address: listener.address.to_string(),
        url: urls.port(id, listener.port),
    };
    listeners.into_iter().map(public).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::url::Scheme;

    #[test]
    fn ports_come_by_number() {
        let id = SandboxId::new();
        let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost:7070".into() };
        let listener = |address: &str, port| Listener { address: address.parse().unwrap(), port };
        let ports = with_urls(vec![listener("::1", 8080), listener("127.0.0.1", 3000)], id, &urls);
        assert_eq!(ports[0].port, 3000);
        assert_eq!(ports[0].url, format!("http://3000-{id}.preview.localhost:7070"));
        assert_eq!((ports[1].port, ports[1].address.as_str()), (8080, "::1"));
    }
}
