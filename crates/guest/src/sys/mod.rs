//! Kernel facilities behind safe functions, one file each.

pub mod cgroup;
pub mod clock;
pub mod entropy;
pub mod log;
pub mod network;
pub mod proc_stat;
pub mod sock_diag;
