//! Apps and previews: what the user asked for, and which deployment is live.

use pando_types::app::DeploymentStatus;
use pando_types::page::Cursor;
use pando_types::route::RouteChange;
use pando_types::{AppId, DeploymentId, OrgId, SandboxId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{Columns, words};
use crate::{Store, StoreError, page};

macro_rules! columns {
    () => {
        "id, org_id, kind, name, label, git_url, repo_key, git_branch, template, auto_deploy, \
         previews, framework, install_command, build_command, start_command, root_directory, \
         port, cpu, memory_mib, env_sealed, preview_env_sealed, parent_id, pr_number, \
         repo_full_name, active_deployment_id, active_sandbox_id, desired, created_ms, \
         updated_ms, git_token_sealed, deploy_key_sealed, deploy_key_public, deleted_ms"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT status FROM deployment WHERE app_id = app.id ORDER BY id DESC LIMIT 1) \
             AS latest_status FROM app ",
            $rest
        )
    };
}

mod write;

/// The pull request that a preview belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewOf {
    /// The app whose settings it has.
    pub parent: AppId,
    /// The pull request's number.
    pub pr_number: u64,
    /// `owner/repo`, as the forge spells it.
    pub repo_full_name: String,
}

/// Whether a row is an app of its own or a preview of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppKind {
    /// Made by a user.
    App,
    /// Made by a pull request.
    Preview(PreviewOf),
}

/// What a list of apps holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Apps and previews.
    All,
    /// Previews alone.
    Previews,
}

/// Whether an app is there to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Kept,
    /// It is being removed: its host leads nowhere already.
    Leaving,
    /// Nothing is left of it but this row.
    Gone,
}

/// One app or preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRow {
    /// Its id.
    pub id: AppId,
    /// Whose it is.
    pub org: OrgId,
    /// App or preview.
    pub kind: AppKind,
    /// Its name; unique in the org among apps.
    pub name: String,
    /// The label of its host, for its whole life.
    pub label: String,
    /// Where its repository is fetched from.
    pub git_url: String,
    /// The repository in one spelling, by which webhooks find it.
    pub repo_key: String,
    /// The branch, or the pull request's head branch.
    pub git_branch: String,
    /// The template of its sandboxes.
    pub template: String,
    /// Whether pushes deploy.
    pub auto_deploy: bool,
    /// Whether pull requests get previews.
    pub previews: bool,
    /// Set by the user; `None` where detection decides.
    pub framework: Option<String>,
    /// Set by the user; `None` where detection decides, empty for no command.
    pub install_command: Option<String>,
    /// As `install_command`.
    pub build_command: Option<String>,
    /// As `install_command`.
    pub start_command: Option<String>,
    /// The folder of the repository; empty for its root.
    pub root_directory: String,
    /// The port it listens on.
    pub port: u16,
    /// vCPUs of its sandboxes.
    pub cpu: u32,
    /// Memory of its sandboxes.
    pub memory_mib: u32,
    /// Its environment, sealed for column `env`.
    pub env_sealed: Vec<u8>,
    /// Its previews' environment, sealed for column `preview_env`.
    pub preview_env_sealed: Vec<u8>,
    /// The token that opens its repository, sealed for column `git_token`. A preview has none:
    /// its app's is used.
    pub git_token_sealed: Option<Vec<u8>>,
    /// The key that opens its repository over ssh, as `git_token_sealed`.
    pub deploy_key: Option<DeployKey>,
    /// The deployment that is live.
    pub active_deployment: Option<DeploymentId>,
    /// The sandbox that serves.
    pub active_sandbox: Option<SandboxId>,
    /// Whether it is there to stay.
    pub presence: Presence,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// The status of its newest deployment. Read only: an insert ignores it.
    pub latest: Option<DeploymentStatus>,
}

/// A key pair for ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployKey {
    /// The private half, sealed for column `deploy_key`.
    pub private_sealed: Vec<u8>,
    /// The public half, as OpenSSH writes it.
    pub public: String,
}

/// What a flip changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// For the route table.
    pub route: RouteChange,
    /// The sandbox that served until now.
    pub previous: Option<SandboxId>,
}

#[derive(Clone, Copy)]
enum Kind {
    App,
    Preview,
}

words!(Kind { App => "app", Preview => "preview" });

const KEPT: &str = "kept";

fn read(row: &SqliteRow) -> Result<AppRow, StoreError> {
    let columns = Columns(row);
    let missing = |column| StoreError::Column { column };
    let kind = match columns.word("kind")? {
        Kind::App => AppKind::App,
        Kind::Preview => AppKind::Preview(PreviewOf {
            parent: columns.maybe_id("parent_id")?.ok_or(missing("parent_id"))?,
            pr_number: columns.maybe_number("pr_number")?.ok_or(missing("pr_number"))?,
            repo_full_name: columns
                .get::<Option<String>>("repo_full_name")?
                .ok_or(missing("repo_full_name"))?,
        }),
    };
    let kept = columns.get::<&str>("desired")? == KEPT;
    let presence = match (kept, columns.maybe_time("deleted_ms")?) {
        (true, _) => Presence::Kept,
        (false, None) => Presence::Leaving,
        (false, Some(_)) => Presence::Gone,
    };
    Ok(AppRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        kind,
        name: columns.get("name")?,
        label: columns.get("label")?,
        git_url: columns.get("git_url")?,
        repo_key: columns.get("repo_key")?,
        git_branch: columns.get("git_branch")?,
        template: columns.get("template")?,
        auto_deploy: columns.get("auto_deploy")?,
        previews: columns.get("previews")?,
        framework: columns.get("framework")?,
        install_command: columns.get("install_command")?,
        build_command: columns.get("build_command")?,
        start_command: columns.get("start_command")?,
        root_directory: columns.get("root_directory")?,
        port: columns.number("port")?,
        cpu: columns.number("cpu")?,
        memory_mib: columns.number("memory_mib")?,
        env_sealed: columns.get("env_sealed")?,
        preview_env_sealed: columns.get("preview_env_sealed")?,
        git_token_sealed: columns.get("git_token_sealed")?,
        deploy_key: deploy_key(&columns)?,
        active_deployment: columns.maybe_id("active_deployment_id")?,
        active_sandbox: columns.maybe_id("active_sandbox_id")?,
        presence,
        created: columns.time("created_ms")?,
        updated: columns.time("updated_ms")?,
        latest: columns.maybe_word("latest_status")?,
    })
}

fn deploy_key(columns: &Columns<'_>) -> Result<Option<DeployKey>, StoreError> {
    let private: Option<Vec<u8>> = columns.get("deploy_key_sealed")?;
    let public: Option<String> = columns.get("deploy_key_public")?;
    let whole = private.zip(public);
    Ok(whole.map(|(private_sealed, public)| DeployKey { private_sealed, public }))
}

impl Store {
    /// One app or preview, or its tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_get(&self, id: AppId) -> Result<Option<AppRow>, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An org's apps and previews that are not gone, or its previews alone, oldest
    /// first: at most `limit` after `after`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list(
        &self,
        org: OrgId,
        which: Listed,
        after: Option<Cursor<AppId>>,
        limit: u32,
    ) -> Result<Vec<AppRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(match which {
            Listed::All => select!("WHERE deleted_ms IS NULL AND org_id = "),
            Listed::Previews => {
                select!("WHERE deleted_ms IS NULL AND kind = 'preview' AND org_id = ")
            }
        });
        query.push_bind(org.to_string());
        page::push(&mut query, after, limit);
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }
    /// The addresses of a repository by which apps and previews of an org know it that are not
    /// gone, each once.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list_addresses(
        &self,
        org: OrgId,
        repo_key: &str,
    ) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(
            "SELECT DISTINCT git_url FROM app \
             WHERE repo_key = $1 AND org_id = $2 AND deleted_ms IS NULL ORDER BY git_url",
        );
        let query = query.bind(repo_key).bind(org.to_string());
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter().map(|row| Columns(row).get("git_url")).collect()
    }
}
