//! `pando bake`.

use pando_types::limits::{
    DEFAULT_CPU, DEFAULT_MEMORY_MIB, MAX_CPU, MAX_MEMORY_MIB, MIN_MEMORY_MIB,
};

use super::host_args::HostArgs;

/// What to bake. What is there already is left as it is.
#[derive(Debug, Clone, clap::Args)]
pub struct BakeArgs {
    #[command(flatten)]
    pub host: HostArgs,
    /// The template
    #[arg(long, default_value = "base")]
    pub template: String,
    /// vCPUs
    #[arg(long, default_value_t = DEFAULT_CPU, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPU)))]
    pub cpu: u32,
    /// Memory in MiB
    #[arg(long, default_value_t = DEFAULT_MEMORY_MIB, value_parser = clap::value_parser!(u32).range(i64::from(MIN_MEMORY_MIB)..=i64::from(MAX_MEMORY_MIB)))]
    pub memory_mb: u32,
}
