//! A database in a folder of its own, under a clock that the test moves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pando_store::{
    Actual, AppKind, AppRow, DeploymentRow, Desired, Entered, Insert, MadeOf, Presence,
    SandboxLife, SandboxRow, SnapshotRow, SnapshotState, Store, Swap, VolumeRow, VolumeState,
};
use pando_types::app::DeploymentStatus;
use pando_types::page::Cursor;
use pando_types::{
    AppId, Clock, DeploymentId, Epoch, Generation, NodeId, OrgId, SandboxId, SnapshotId, Timestamp,
    VolumeId,
};

/// The value of the pair that every sandbox has.
pub const WHO: &str = "\u{1f333} \"quoted\"\n";

pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    pub store: Store,
    pub org: OrgId,
}

impl World {
    /// The folder that the database is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_000_000)));
        let path = folder.path().join("pando.db");
        let store = Store::open_with_clock(&path, clock.clone()).await.unwrap();
        let org = store.org_default().await.unwrap().id;
        Self { folder, clock, store, org }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("pando.db")
    }

    /// Opens the same file beside the first store, as after a crash: nothing was closed.
    pub async fn open_again(&self) -> Store {
        Store::open_with_clock(&self.path(), self.clock.clone()).await.unwrap()
    }

    pub fn pass(&self, span: Duration) {
        self.clock.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub fn sandbox(&self, node: NodeId) -> SandboxRow {
        SandboxRow {
            id: SandboxId::new(),
            org: self.org,
            app: None,
            template: "base".into(),
            cpu: 2,
            memory_mib: 2048,
            metadata: BTreeMap::from([("who".into(), WHO.into())]),
            created: self.store.now(),
            ttl: Some(Duration::from_secs(60)),
            deadline: Some(self.store.now().plus(Duration::from_secs(60))),
            persistent: false,
            idle_timeout: Some(Duration::from_secs(9)),
            owner_node: node,
            epoch: Epoch::first(),
            desired: Desired::Running,
            desired_gen: Generation::first(),
            actual: Actual::Creating,
            actual_gen: Generation::first(),
            reason: None,
            boot_ms: 0,
            made_of: MadeOf::Template,
            volumes: Vec::new(),
        }
    }

    pub fn snapshot(&self, sandbox: SandboxId, node: NodeId) -> SnapshotRow {
        SnapshotRow {
            id: SnapshotId::new(),
            org: self.org,
            sandbox,
            name: Some(WHO.into()),
            template: "base".into(),
            cpu: 2,
            memory_mib: 2048,
            owner_node: node,
            state: SnapshotState::Taking,
            own_bytes: 0,
            shared_bytes: 0,
            pause_ms: 0,
            created: self.store.now(),
        }
    }

    pub fn volume(&self, name: &str, node: NodeId) -> VolumeRow {
        VolumeRow {
            id: VolumeId::new(),
            org: self.org,
            name: name.into(),
            size_mib: 64,
            owner_node: node,
            state: VolumeState::Making,
            holder: None,
            created: self.store.now(),
        }
    }

    pub fn app(&self, name: &str) -> AppRow {
        let id = AppId::new();
        AppRow {
            id,
            org: self.org,
            kind: AppKind::App,
            name: name.into(),
            label: format!("{name}-{}", &id.short()[..6]),
            git_url: "https://forge.example/acme/shop.git".into(),
            repo_key: "https://forge.example/acme/shop".into(),
            git_branch: "main".into(),
            template: "base".into(),
            auto_deploy: true,
            previews: true,
            framework: None,
            install_command: Some(String::new()),
            build_command: None,
            start_command: None,
            root_directory: String::new(),
            port: 3000,
            cpu: 2,
            memory_mib: 2048,
            env_sealed: vec![0, 255, 1],
            preview_env_sealed: vec![],
            git_token_sealed: None,
            deploy_key: None,
            active_deployment: None,
            active_sandbox: None,
            presence: Presence::Kept,
            created: self.store.now(),
            updated: self.store.now(),
            latest: None,
        }
    }

    pub fn deployment(&self, app: AppId, commit: &str) -> DeploymentRow {
        let now = self.store.now();
        DeploymentRow {
            id: DeploymentId::new(),
            org: self.org,
            app,
            status: DeploymentStatus::Queued,
            commit: commit.into(),
            git_ref: "main".into(),
            reason: "push".into(),
            sandbox: None,
            error: None,
            plan: None,
            history: vec![Entered { status: DeploymentStatus::Queued, at_ms: now }],
            attempt: 1,
            created: now,
            finished: None,
            origin: None,
            settings_hash: None,
            snapshot: None,
            is_fresh: false,
        }
    }

    pub async fn add_sandbox(&self, row: &SandboxRow) -> Insert {
        let mut tx = self.store.begin().await.unwrap();
        let insert = tx.sandbox_insert(row).await.unwrap();
        tx.commit().await.unwrap();
        insert
    }

    pub async fn list(
        &self,
        pairs: &[(&str, &str)],
        after: Option<Cursor<SandboxId>>,
        limit: u32,
    ) -> Vec<SandboxRow> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.store.sandbox_list(self.org, &pairs, after, limit).await.unwrap()
    }

    /// What the owner of `row` reports of it.
    pub async fn report(
        &self,
        row: &SandboxRow,
        actual: Actual,
        generation: i64,
        boot_ms: Option<u64>,
    ) -> Swap {
        let generation = Generation::from_row(generation);
        let (id, owner, epoch) = (row.id, row.owner_node, row.epoch);
        let mut tx = self.store.begin().await.unwrap();
        let swap =
            tx.sandbox_report(id, owner, epoch, actual, generation, Some("why"), boot_ms).await;
        tx.commit().await.unwrap();
        swap.unwrap()
    }

    /// Wants `row` to live for ever.
    pub async fn keep(&self, row: &SandboxRow) -> Swap {
        let (id, owner, epoch) = (row.id, row.owner_node, row.epoch);
        let mut tx = self.store.begin().await.unwrap();
        let life = SandboxLife { ttl: None, deadline: None, persistent: true, idle_timeout: None };
        let swap = tx.sandbox_set_lifecycle(id, owner, epoch, &life).await;
        tx.commit().await.unwrap();
        swap.unwrap()
    }

    pub async fn add_app(&self, app: &AppRow) -> Insert {
        let mut tx = self.store.begin().await.unwrap();
        let insert = tx.app_insert(app).await.unwrap();
        tx.commit().await.unwrap();
        insert
    }

    pub async fn add_deployment(&self, row: &DeploymentRow) {
        let mut tx = self.store.begin().await.unwrap();
        tx.deployment_insert(row).await.unwrap();
        tx.commit().await.unwrap();
    }
}
