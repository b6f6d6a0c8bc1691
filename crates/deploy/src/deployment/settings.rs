//! What a deployment's machine depends on, beside its commit.

use serde::Serialize;

use super::run::Run;

#[derive(Serialize)]
struct Settings<'a> {
    template: &'a str,
    template_version: &'a str,
    framework: Option<&'a str>,
    install: Option<&'a str>,
    build: Option<&'a str>,
    start: Option<&'a str>,
    root_directory: &'a str,
    port: u16,
    cpu: u32,
    memory_mib: u32,
    env_fingerprint: &'a str,
}

impl Run {
    /// A hash of all of it, as 32 hex digits.
    pub(super) fn settings_hash(&self) -> String {
        let settings = Settings {
            template: &self.template.name,
            template_version: &self.template.version,
            framework: self.app.framework.as_deref(),
            install: self.app.install_command.as_deref(),
            build: self.app.build_command.as_deref(),
            start: self.app.start_command.as_deref(),
            root_directory: &self.app.root_directory,
            port: self.app.port,
            cpu: self.app.cpu,
            memory_mib: self.app.memory_mib,
            env_fingerprint: &self.env_fingerprint,
        };
        // Of texts and numbers alone: it cannot fail.
        let text = serde_json::to_vec(&settings).unwrap_or_default();
        blake3::hash(&text).to_hex()[..32].to_owned()
    }
}
