//! Apps as the API returns them, without their environments: those have routes of their own.

use pando_store::{AppKind, AppRow, Presence};
use pando_types::app::{App, AppStatus, DeploymentStatus};
use pando_types::url::PublicUrls;

/// A row as the API returns it.
pub(crate) fn app(row: &AppRow, urls: &PublicUrls) -> App {
    let url = urls.label(&row.label);
    let preview = match &row.kind {
        AppKind::App => None,
        AppKind::Preview(preview) => Some(preview),
    };
    let open = if row.presence == Presence::Kept { "open" } else { "closing" };
    App {
        id: row.id,
        name: row.name.clone(),
        git_url: row.git_url.clone(),
        has_git_token: row.git_token_sealed.is_some(),
        has_deploy_key: row.deploy_key.is_some(),
        git_branch: row.git_branch.clone(),
        template: row.template.clone(),
        auto_deploy: row.auto_deploy,
        framework: row.framework.clone(),
        install_command: row.install_command.clone(),
        build_command: row.build_command.clone(),
        start_command: row.start_command.clone(),
        root_directory: row.root_directory.clone(),
        port: row.port,
        cpu: row.cpu,
        memory_mb: row.memory_mib,
        status: status(row),
        url: url.clone(),
        sandbox_id: row.active_sandbox,
        active_deployment_id: row.active_deployment,
        is_preview: preview.is_some(),
        pr_number: preview.map(|preview| preview.pr_number),
        pr_state: preview.map(|_| open.to_owned()),
        repo_full_name: preview.map(|preview| preview.repo_full_name.clone()),
        preview_url: preview.map(|_| url),
        parent_app_id: preview.map(|preview| preview.parent),
        created_at: row.created.to_rfc3339(),
        updated_at: row.updated.to_rfc3339(),
    }
}

/// Follows from what is live and what came last; nobody writes it.
fn status(row: &AppRow) -> AppStatus {
    match (row.active_deployment, row.latest) {
        (Some(_), _) => AppStatus::Running,
        (None, Some(DeploymentStatus::Failed)) => AppStatus::Error,
        (None, Some(latest)) if !latest.is_end() => AppStatus::Building,
        (None, _) => AppStatus::Created,
    }
}
