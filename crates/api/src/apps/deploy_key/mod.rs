//! `/v1/apps/{id}/deploy-key`: the key with which an app's repository is read over ssh.

pub mod delete;
pub mod get;
pub mod make;
