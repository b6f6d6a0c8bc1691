//! One delivery: proven, read, decided. Decision, rows and jobs are written in
//! one transaction, so a delivery that was answered is never half done, and one
//! that comes again finds its answer.

use std::collections::BTreeSet;

use pando_store::{AppKind, AppRow, DeliveryRow, Insert, StoreError, Tx};
use pando_types::app::Delivery;
use pando_types::limits::{KEEP_DELIVERIES, MAX_WEBHOOK_NAME_BYTES};
use pando_types::{Code, PublicError, Timestamp};

use super::event::{self, Change, Event, PullRequest, Push};
use super::signature::is_signed;
use super::skip;
use super::verdict::{self, Verdict, Verdicts};
use crate::Secret;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::forge::Repository;
use crate::forge::late::{is_late, told_at};
use crate::preview::{self, Head, close};
use crate::repo;

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
    let event = event::read(&name, request.body).map_err(PublicError::from)?;
    let mut tx = context.store.begin().await?;
    if let Some(known) = tx.delivery_get(&id).await? {
        return Ok(view(&known));
    }
    let mut effects = Effects::default();
    let keys = event.repository().map(|repository| keys(context, repository)).unwrap_or_default();
    if let Some(repository) = event.repository() {
        repo::seen(&mut tx, repository, &keys).await?;
    }
    let verdicts = decide(context, &mut tx, &event, &keys, &mut effects).await?;
    let all = verdicts.together();
    let row = DeliveryRow {
        id,
        event: name,
        repository: event.repository().map(|repository| repository.full_name.clone()),
        decision: all.decision().to_owned(),
        reason: verdict::joined(all.reasons),
        deployments: all.deployments,
        verdicts: verdicts.rows(),
        received: tx.now(),
    };
    // The writer is ours since the look above.
    let _: Insert = tx.delivery_insert(&row, &keys).await?;
    let keep_ms = i64::try_from(KEEP_DELIVERIES.as_millis()).unwrap_or(i64::MAX);
    let horizon = row.received.as_millis().saturating_sub(keep_ms);
    let horizon = Timestamp::from_millis(horizon);
    tx.delivery_prune(horizon).await?;
    tx.pull_request_prune(horizon).await?;
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
    keys: &BTreeSet<String>,
    effects: &mut Effects,
) -> Result<Verdicts, DeployError> {
    let mut apps = Vec::new();
    if !matches!(event, Event::Other(_)) {
        for key in keys {
            apps.extend(tx.app_list_repo(key).await?);
        }
    }
    match event {
        Event::Other(other) => Ok(Verdicts::ignored(&other.why)),
        Event::Push(push) => Ok(pushed(tx, push, &apps, effects).await?),
        Event::PullRequest(pull) => {
            if is_late(tx, keys, pull.number, pull.updated_at).await? {
                let number = pull.number;
                return Ok(Verdicts::ignored(format!(
                    "this event of pull request #{number} is older than one that came before"
                )));
            }
            match pull.change {
                Change::Head => previewed(context, tx, pull, &apps, effects).await,
                Change::Closed => Ok(closed(tx, pull, &apps, keys, effects).await?),
            }
        }
    }
}

/// The spellings under which apps may know the repository.
fn keys(context: &Context, repository: &Repository) -> BTreeSet<String> {
    let urls = [&repository.clone_url, &repository.html_url, &repository.ssh_url];
    urls.into_iter()
        .filter_map(|url| context.mirrors.parse(url).ok())
        .map(|url| url.repo_key())
        .collect()
}

fn no_app(repository: &Repository) -> Verdicts {
    let name: String = repository.full_name.chars().take(200).collect();
    Verdicts::ignored(format!("no app is made from {name}"))
}

async fn pushed(
    tx: &mut Tx,
    push: &Push,
    apps: &[AppRow],
    effects: &mut Effects,
) -> Result<Verdicts, StoreError> {
    if apps.is_empty() {
        return Ok(no_app(&push.repository));
    }
    let mut verdicts = Verdicts::default();
    for app in apps {
        let verdict = if app.git_branch != push.branch {
            Verdict::ignored(format!(
                "{} deploys {}, not {}",
                app.name, app.git_branch, push.branch
            ))
        } else if !app.auto_deploy {
            Verdict::ignored(format!("{} deploys only when asked", app.name))
        } else if let Some(word) = skip::word(&push.message) {
            Verdict::ignored(format!("the commit's message says {word}, so {} stays", app.name))
        } else {
            let since = told_at(tx, push.repository.pushed_at);
            let head =
                Head { git_ref: &push.branch, commit: &push.commit, since, reason: preview::PUSH };
            let mut verdict = Verdict::default();
            preview::deploy(tx, app, &head, &mut verdict, effects).await?;
            verdict
        };
        verdicts.of_apps.push((app.id, verdict));
    }
    Ok(verdicts)
}

async fn previewed(
    context: &Context,
    tx: &mut Tx,
    pull: &PullRequest,
    apps: &[AppRow],
    effects: &mut Effects,
) -> Result<Verdicts, DeployError> {
    if apps.is_empty() {
        return Ok(no_app(&pull.repository));
    }
    let mut verdicts = Verdicts::default();
    for app in apps {
        let verdict = if !app.previews {
            Verdict::ignored(format!("previews of {} are switched off", app.name))
        } else if let Some(word) = skip::word(&pull.title) {
            let number = pull.number;
            Verdict::ignored(format!("the title of #{number} says {word}, so {} stays", app.name))
        } else {
            preview_of(context, tx, pull, app, effects).await?
        };
        verdicts.of_apps.push((app.id, verdict));
    }
    if pull.is_draft {
        verdicts.notes.push("it is a draft, and drafts have previews too".into());
    }
    if let Some(fork) = &pull.fork {
        let fork: String = fork.chars().take(200).collect();
        verdicts.notes.push(format!("its head is in the fork {fork}"));
    }
    Ok(verdicts)
}

async fn preview_of(
    context: &Context,
    tx: &mut Tx,
    pull: &PullRequest,
    app: &AppRow,
    effects: &mut Effects,
) -> Result<Verdict, DeployError> {
    let row = match preview::ensure(context, tx, app, pull, effects).await {
        Ok(row) => row,
        // Nothing was written, and what cannot be for one app is no matter of the others.
        Err(DeployError::Refused(refusal)) => return Ok(Verdict::ignored(refusal.message)),
        Err(error) => return Err(error),
    };
    let git_ref = format!("refs/pull/{}/head", pull.number);
    let head = Head {
        git_ref: &git_ref,
        commit: &pull.head_commit,
        since: None,
        reason: preview::PULL_REQUEST,
    };
    let mut verdict = Verdict::default();
    preview::deploy(tx, &row, &head, &mut verdict, effects).await?;
    Ok(verdict)
}

async fn closed(
    tx: &mut Tx,
    pull: &PullRequest,
    apps: &[AppRow],
    keys: &BTreeSet<String>,
    effects: &mut Effects,
) -> Result<Verdicts, StoreError> {
    let mut verdicts = Verdicts::default();
    let why = close::why(pull.number);
    for key in keys {
        for row in close::close(tx, key, pull.number, effects).await? {
            let reasons = vec![format!("{why}, so {} goes", row.name)];
            let verdict = Verdict { removes: true, reasons, ..Verdict::default() };
            let whose = match &row.kind {
                AppKind::App => row.id,
                AppKind::Preview(preview) => preview.parent,
            };
            verdicts.of_apps.push((whose, verdict));
        }
    }
    for app in apps {
        if verdicts.of_apps.iter().all(|(id, _)| *id != app.id) {
            let reason = format!("{why}, and {} has no preview of it", app.name);
            verdicts.of_apps.push((app.id, Verdict::ignored(reason)));
        }
    }
    if verdicts.of_apps.is_empty() {
        verdicts.notes.push(format!("{why}, and it has no preview"));
    }
    Ok(verdicts)
}
