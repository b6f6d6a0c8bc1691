//! One delivery: proven, read, decided. Decision, rows and jobs are written in
//! one transaction, so a delivery that was answered is never half done, and one
//! that comes again finds its answer.

use std::collections::BTreeSet;

use pando_store::{DeliveryRow, Insert, StoreError, Tx};
use pando_types::app::Delivery;
use pando_types::limits::MAX_WEBHOOK_NAME_BYTES;
use pando_types::{Code, PublicError};

use super::event::{self, Change, Event, PullRequest, Push, Repository};
use super::signature::is_signed;
use super::verdict::Verdict;
use crate::Secret;
use crate::app::remove;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::preview::{self, Head};

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 2000;

/// A webhook's request, as it came.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// `X-GitHub-Event`.
    pub event: Option<&'a str>,
    /// `X-GitHub-Delivery`.
    pub delivery: Option<&'a str>,
    /// `X-Hub-Signature-256`.
    pub signature: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
}

/// Takes a delivery.
pub(crate) async fn receive(
    context: &Context,
    secret: Option<&Secret>,
    request: WebhookRequest<'_>,
) -> Result<Delivery, DeployError> {
    // No signature can be right, and none will be later: no reason to come again.
    let secret = secret.ok_or_else(|| {
        PublicError::new(
            Code::Unauthorized,
            "this server has no webhook secret, so it takes no webhooks",
        )
        .hint("start it with PANDO_GITHUB_WEBHOOK_SECRET set to the webhook's secret")
    })?;
    let signature = request.signature.ok_or_else(|| {
        PublicError::new(Code::Unauthorized, "the header X-Hub-Signature-256 is missing")
            .hint("set the same secret in the webhook's settings as in this server's")
    })?;
    if !is_signed(secret, signature, request.body) {
        let message =
            "the signature does not fit the body: the webhook's secret is not this server's";
        return Err(PublicError::new(Code::Unauthorized, message).into());
    }
    let header = |name: &'static str, value: Option<&str>| {
        let value = value
            .filter(|value| !value.is_empty() && value.len() <= MAX_WEBHOOK_NAME_BYTES)
            .map(str::to_owned);
        value.ok_or_else(|| {
            PublicError::invalid(name, format!("the header {name} is missing or too long"))
        })
    };
    let name = header("X-GitHub-Event", request.event)?;
    let id = header("X-GitHub-Delivery", request.delivery)?;
    let event = event::read(&name, request.body).map_err(|error| {
        PublicError::invalid("body", error.to_string())
            .hint("set the webhook's content type to application/json")
    })?;
    let mut tx = context.store.begin().await?;
    if let Some(known) = tx.delivery_get(&id).await? {
        return Ok(view(&known));
    }
    let mut effects = Effects::default();
    let verdict = decide(context, &mut tx, &event, &mut effects).await?;
    let row = DeliveryRow {
        id,
        event: name,
        decision: verdict.decision().to_owned(),
        reason: verdict.reasons.join("; ").chars().take(MAX_REASON_CHARS).collect(),
        deployments: verdict.deployments,
        received: tx.now(),
    };
    // The writer is ours since the look above.
    let _: Insert = tx.delivery_insert(&row).await?;
    context.commit(tx, effects).await?;
    tracing::info!(event = row.event, decision = row.decision, reason = row.reason, "webhook");
    Ok(view(&row))
}

fn view(row: &DeliveryRow) -> Delivery {
    Delivery {
        ok: true,
        decision: row.decision.clone(),
        reason: row.reason.clone(),
        deployments: row.deployments.clone(),
    }
}

async fn decide(
    context: &Context,
    tx: &mut Tx,
    event: &Event,
    effects: &mut Effects,
) -> Result<Verdict, DeployError> {
    match event {
        Event::Other(reason) => Ok(Verdict::ignored(reason)),
        Event::Push(push) => pushed(context, tx, push, effects).await,
        Event::PullRequest(pull) => match pull.change {
            Change::Head => previewed(context, tx, pull, effects).await,
            Change::Closed => Ok(closed(context, tx, pull, effects).await?),
        },
    }
}

/// The spellings under which apps may know the repository.
fn keys(context: &Context, repository: &Repository) -> BTreeSet<String> {
    let urls = [&repository.clone_url, &repository.html_url];
    urls.into_iter()
        .filter_map(|url| context.mirrors.parse(url).ok())
        .map(|url| url.repo_key())
        .collect()
}

fn no_app(repository: &Repository) -> Verdict {
    let name: String = repository.full_name.chars().take(200).collect();
    Verdict::ignored(format!("no app is made from {name}"))
}

async fn pushed(
    context: &Context,
    tx: &mut Tx,
    push: &Push,
    effects: &mut Effects,
) -> Result<Verdict, DeployError> {
    let mut verdict = Verdict::default();
    for key in keys(context, &push.repository) {
        for app in tx.app_list_repo(&key).await? {
            if app.git_branch != push.branch {
                verdict
                    .reasons
                    .push(format!("{} deploys {}, not {}", app.name, app.git_branch, push.branch));
                continue;
            }
            if !app.auto_deploy {
                verdict.reasons.push(format!("{} deploys only when asked", app.name));
                continue;
            }
            let head = Head { git_ref: &push.branch, commit: &push.commit, reason: preview::PUSH };
            preview::deploy(tx, &app, &head, &mut verdict, effects).await?;
        }
    }
    if verdict.reasons.is_empty() { Ok(no_app(&push.repository)) } else { Ok(verdict) }
}

async fn previewed(
    context: &Context,
    tx: &mut Tx,
    pull: &PullRequest,
    effects: &mut Effects,
) -> Result<Verdict, DeployError> {
    let mut verdict = Verdict::default();
    for key in keys(context, &pull.repository) {
        for app in tx.app_list_repo(&key).await? {
            if !app.previews {
                verdict.reasons.push(format!("previews of {} are switched off", app.name));
                continue;
            }
            let row = preview::ensure(context, tx, &app, pull, effects).await?;
            let git_ref = format!("refs/pull/{}/head", pull.number);
            let head = Head {
                git_ref: &git_ref,
                commit: &pull.head_commit,
                reason: preview::PULL_REQUEST,
            };
            preview::deploy(tx, &row, &head, &mut verdict, effects).await?;
        }
    }
    if verdict.reasons.is_empty() {
        return Ok(no_app(&pull.repository));
    }
    if pull.is_draft {
        verdict.reasons.push("it is a draft, and drafts have previews too".into());
    }
    if let Some(fork) = &pull.fork {
        let fork: String = fork.chars().take(200).collect();
        verdict.reasons.push(format!("its head is in the fork {fork}"));
    }
    Ok(verdict)
}

/// By repository and number alone: whatever the settings or the base branch say
/// now, what was made for the pull request goes with it.
async fn closed(
    context: &Context,
    tx: &mut Tx,
    pull: &PullRequest,
    effects: &mut Effects,
) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict::default();
    let why = format!("pull request #{} was closed", pull.number);
    for key in keys(context, &pull.repository) {
        for row in tx.app_list_pull_request(&key, pull.number).await? {
            remove::leave(tx, &row, &why, effects).await?;
            verdict.removes = true;
            verdict.reasons.push(format!("{why}, so {} goes", row.name));
        }
    }
    if !verdict.removes {
        verdict.reasons.push(format!("{why}, and it has no preview"));
    }
    Ok(verdict)
}
