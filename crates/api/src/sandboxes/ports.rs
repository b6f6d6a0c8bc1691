//! `GET /v1/sandboxes/{id}/ports`.

use axum::extract::State;
use pando_guest_protocol::session::Listener;
use pando_types::SandboxId;
use pando_types::sandbox::{ListeningPort, Ports};
use pando_types::url::PublicUrls;

use super::sandbox_id;
use crate::Api;
use crate::answer::Answer;
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
) -> Result<Answer, Refused> {
    let id = sandbox_id(&id)?;
    let guest = api.sandboxes.guest(caller.org, id).await?;
    let listeners = guest.ports().await.map_err(guest_failed)?;
    let listeners = listeners.map(|mut listeners| {
        listeners.sort_unstable_by_key(|listener| (listener.port, listener.address));
        listeners
    });
    // A `Ports`.
    let public = move |listener| public(&listener, id, &api.urls);
    Ok(Answer::new().list("ports", listeners.into_iter().map(public)))
}

fn public(listener: &Listener, id: SandboxId, urls: &PublicUrls) -> ListeningPort {
    ListeningPort {
        port: listener.port,
        address: listener.address.to_string(),
        url: urls.port(id, listener.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::url::Scheme;

    #[test]
    fn a_port_has_its_url() {
        let id = SandboxId::new();
        let urls = PublicUrls { scheme: Scheme::Http, suffix: "preview.localhost:7070".into() };
        let listener = Listener { address: "::1".parse().unwrap(), port: 3000, process: None };
        let shown = public(&listener, id, &urls);
        assert_eq!((shown.port, shown.address.as_str()), (3000, "::1"));
        assert_eq!(shown.url, format!("http://3000-{id}.preview.localhost:7070"));
    }
}
