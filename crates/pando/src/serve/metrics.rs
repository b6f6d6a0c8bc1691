//! `/metrics` for Prometheus, on a listener of its own: what it tells is for the
//! operator, so it is never served where clients and guests may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pando_api::Requests;
use pando_node::Node;
use pando_node::control::Sandboxes;
use pando_store::{Actual, Store};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is told, and where what is looked at only when asked comes from.
pub(super) struct Metrics {
    registry: Registry,
    store: Store,
    node: Node,
    sandboxes: Family<InState, Gauge<i64, AtomicI64>>,
    memory_available: Gauge<u64, AtomicU64>,
    disk_free: Gauge<u64, AtomicU64>,
    held: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// The states of sandboxes that are there.
const STATES: [(Actual, &str); 5] = [
    (Actual::Creating, "creating"),
    (Actual::Running, "running"),
    (Actual::Paused, "paused"),
    (Actual::Hibernated, "hibernated"),
    (Actual::Failed, "failed"),
];

impl Metrics {
    pub(super) fn new(
        store: Store,
        node: Node,
        sandboxes: &Sandboxes,
        requests: &Requests,
    ) -> Self {
        let mut registry = Registry::with_prefix("pando");
        requests.register(&mut registry);
        sandboxes.register_metrics(&mut registry);
        node.register_metrics(&mut registry);
        let in_state = Family::default();
        registry.register("sandboxes", "Sandboxes by state", in_state.clone());
        let memory_available = Gauge::default();
        let help = "Memory of this host that is available, in bytes";
        registry.register("memory_available_bytes", help, memory_available.clone());
        let disk_free = Gauge::default();
        let help = "Disk of the pool of sandboxes that is free, in bytes";
        registry.register("pool_free_bytes", help, disk_free.clone());
        let held = Gauge::default();
        let help = "Bodies, guests' words and answers held for requests under way, in bytes";
        registry.register("held_bytes", help, held.clone());
        Self { registry, store, node, sandboxes: in_state, memory_available, disk_free, held }
    }

    async fn text(&self) -> anyhow::Result<String> {
        // A state that none is in any more is 0, not what it was.
        let counts = self.store.sandbox_count_by_state().await?;
        for (actual, state) in STATES {
            let count = counts.iter().find(|(counted, _)| *counted == actual);
            let count = count.map_or(0, |(_, count)| i64::try_from(*count).unwrap_or(i64::MAX));
            self.sandboxes.get_or_create(&InState { state }).set(count);
        }
        let host = self.node.host();
        self.memory_available.set(host.memory.map_or(0, |memory| memory.available_bytes));
        self.disk_free.set(host.free_disk_bytes.unwrap_or(0));
        self.held.set(self.node.budget().taken_bytes() as u64);
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Serves until `shutdown` is cancelled.
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(answer)).with_state(Arc::new(metrics));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await
}

async fn answer(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "metrics cannot be told");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
