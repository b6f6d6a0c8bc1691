//! `pando serve`: every part in one process, started from the machine up and
//! stopped from the listener down.

mod backend;
mod forge;
mod keys;
mod listen;
mod metrics;

use std::sync::Arc;

use anyhow::Context;
use pando_api::{Api, AskRate, KeyUsage, Readiness, Repeats, Requests};
use pando_deploy::Deploy;
use pando_deploy::machine::NodeMachines;
use pando_edge::{Edge, Limits, QuietAgents};
use pando_node::Routes;
use pando_node::control::{Ending, Sandboxes, Templates};
use pando_store::{Sealer, Store};
use pando_types::SystemClock;
use pando_types::limits::{DEFAULT_CPU, DEFAULT_MEMORY_MIB};
use pando_types::url::{PublicUrls, Scheme};
use pando_vm::driver::Shape;
use pando_vm::sys::process;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::backend::{Guests, Led};
use crate::commands::serve::{ServeArgs, UrlScheme};
use crate::host::{self, HostOptions};

/// The template that must be ready before creates are possible.
const TEMPLATE: &str = "base";
/// When the host's memory is used up, the server goes after the sandboxes: it is what
/// tells why they went, and what makes room.
const OOM_SCORE: i16 = -500;
/// The key under which secrets in rows are sealed.
const SEALING_KEY_FILE: &str = "secret.key";

/// Runs the command: returns after SIGTERM or SIGINT, when every task has ended.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    crate::log::init();
    process::raise_open_files().context("the limit on open files")?;
    if let Err(error) = process::set_oom_score(std::process::id(), OOM_SCORE) {
        tracing::warn!(%error, "out of memory, the kernel may end this server before a sandbox");
    }
    let listener = listen::on(args.listen, "--listen").await?;
    let metrics_listener = match args.metrics_listen {
        Some(address) => Some(listen::on(address, "--metrics-listen").await?),
        None => None,
    };
    let quiet = match &args.quiet_agents {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            QuietAgents::parse(&text.with_context(|| format!("--quiet-agents {}", path.display()))?)
        }
        None => QuietAgents::default(),
    };
    let options = HostOptions {
        warm_slots: args.warm_slots,
        overcommit: args.memory_overcommit,
        ..HostOptions::from(&args.host)
    };
    let host = host::start(&options).await?;
    let store = Store::open(&host.data.database()).await.context("the rows")?;
    keys::prepare(&store, host.data.root()).await?;
    let urls = PublicUrls {
        scheme: match args.scheme {
            UrlScheme::Http => Scheme::Http,
            UrlScheme::Https => Scheme::Https,
        },
        suffix: args.suffix.clone(),
    };
    let sandboxes = Sandboxes::start(
        store.clone(),
        host.node.clone(),
        host.node_id,
        host.reports,
        urls.clone(),
        Arc::new(SystemClock),
    )
    .await?;
    let templates = Templates::start(sandboxes.clone()).await.context("templates")?;
    let shutdown = CancellationToken::new();
    let routes = Routes::default();
    let sealer =
        Sealer::open(&host.data.root().join(SEALING_KEY_FILE)).context(SEALING_KEY_FILE)?;
    let machines = Arc::new(NodeMachines {
        sandboxes: sandboxes.clone(),
        node: host.node.clone(),
        store: store.clone(),
    });
    let deploy = Deploy::start(
        forge::config(&args, host.data.root(), &urls)?,
        store.clone(),
        sealer.clone(),
        machines,
        routes.clone(),
        shutdown.clone(),
    )
    .await
    .context("deployments")?;
    host.node.evict_from(deploy.mirrors());
    let endings = sandboxes.endings();
    let readiness = Readiness::default();
    let requests = Requests::default();
    let telling = metrics_listener.map(|listener| {
        let rows = store.clone();
        let metrics = metrics::Metrics::new(rows, host.node.clone(), &sandboxes, &requests);
        tokio::spawn(metrics::serve(listener, metrics, shutdown.clone()))
    });
    let repeats = Repeats::new(store.clone(), sealer);
    let pruning = tokio::spawn(repeats.clone().keep_short(shutdown.clone()));
    let api = Api {
        store: store.clone(),
        sandboxes,
        templates,
        node: host.node.clone(),
        deploy: deploy.clone(),
        readiness: readiness.clone(),
        requests,
        usage: KeyUsage::default(),
        asks: AskRate::default(),
        repeats,
        urls: urls.clone(),
    };
    let backend = Guests::new(host.node.clone(), routes);
    let edge = Edge::with_quiet(backend, &urls, Limits::default(), quiet).context("--suffix")?;
    host.node.set_visitors(Arc::new(Led(edge.clone())));
    let forgetting = tokio::spawn(forget_ended(edge.clone(), endings, shutdown.clone()));
    tracing::info!(listen = %args.listen, suffix = args.suffix, "serving");
    let server =
        tokio::spawn(pando_edge::serve(listener, edge, pando_api::router(api), shutdown.clone()));
    let shape = Shape { cpu: DEFAULT_CPU, memory_mib: DEFAULT_MEMORY_MIB };
    let outcome = tokio::select! {
        baked = host.node.keep_ready(TEMPLATE, shape) => match baked {
            Ok(()) => {
                readiness.mark_ready();
                tracing::info!("ready: sandboxes can be created");
                stop_signal().await
            }
            Err(error) => Err(host::not_baked(&options, error))
                .context("nothing can be created without the template"),
        },
        stopped = stop_signal() => stopped,
    };
    tracing::info!("stopping; sandboxes run on");
    shutdown.cancel();
    let served = server.await.context("the listener")?.context("the listener's threads");
    if let Some(telling) = telling {
        telling.await.context("the metrics' listener")?.context("the metrics' listener")?;
    }
    let pruned = pruning.await.context("old keys");
    forgetting.await.context("the edge's housekeeping")?;
    deploy.join().await;
    host.node.stop().await;
    store.close().await;
    outcome.and(served).and(pruned)
}

/// Closes the edge's connections into sandboxes that ended.
async fn forget_ended(
    edge: Edge<Guests>,
    mut endings: broadcast::Receiver<Ending>,
    shutdown: CancellationToken,
) {
    loop {
        let ending = tokio::select! {
            ending = endings.recv() => ending,
            () = shutdown.cancelled() => return,
        };
        match ending {
            Ok(ending) => edge.forget(ending.sandbox),
            // Connections to those that were missed end by their own time limits.
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "connections into ended sandboxes stay open for a while");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
