//! What `pando app create` and `pando app set` take alike.

/// Settings of an app.
#[derive(Debug, clap::Args)]
pub struct SettingsArgs {
    /// The branch whose pushes are deployed
    #[arg(long)]
    pub branch: Option<String>,
    /// The port it listens on
    #[arg(long)]
    pub port: Option<i64>,
    /// The folder of the repository that holds it
    #[arg(long, value_name = "PATH")]
    pub root: Option<String>,
    /// Replaces the detected install command; empty for none
    #[arg(long, value_name = "COMMAND")]
    pub install: Option<String>,
    /// Replaces the detected build command; empty for none
    #[arg(long, value_name = "COMMAND")]
    pub build: Option<String>,
    /// The template its sandboxes are restored from: base, or one of your own
    #[arg(long)]
    pub template: Option<String>,
    /// vCPUs
    #[arg(long)]
    pub cpu: Option<i64>,
    /// Memory in MiB, in steps of 256
    #[arg(long)]
    pub memory_mb: Option<i64>,
}
