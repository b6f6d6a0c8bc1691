//! `/v1/webhooks`: what a git forge tells Pando, signed by the forge.

pub mod github;
