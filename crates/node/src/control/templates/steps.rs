//! `template.toml`: a plain list of steps, which becomes a Dockerfile. So there is one way
//! to build, and one place that says what runs.

use std::collections::BTreeMap;

use pando_types::PublicError;
use pando_types::toml::is_shallow;
use serde::Deserialize;

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The image or template that it begins with.
    #[serde(default = "base")]
    from: String,
    /// Commands of a shell, each a layer of its own.
    #[serde(default)]
    steps: Vec<String>,
    /// The command that runs in every sandbox of it.
    start: Option<String>,
    /// The TCP ports that it listens on.
    #[serde(default)]
    ports: Vec<u16>,
    /// Variables for the steps and for what runs.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Who the command runs as.
    user: Option<String>,
    /// The command that succeeds once it is ready.
    ready: Option<String>,
}

fn base() -> String {
    "base".to_owned()
}

/// The Dockerfile of a `template.toml`.
pub(super) fn dockerfile(text: &str) -> Result<String, PublicError> {
    if !is_shallow(text) {
        return Err(refused("its tables lie too deep in each other".to_owned()));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let what = error.to_string();
        refused(what.trim_end().to_owned())
    })?;
    for (key, value) in [("from", Some(&file.from)), ("user", file.user.as_ref())] {
        if value.is_some_and(|value| {
            value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control())
        }) {
            return Err(refused(format!("`{key}` is one word")));
        }
    }
    let mut lines = vec![format!("FROM {}", file.from)];
    for (key, value) in &file.env {
        let is_name = !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !key.starts_with(|c: char| c.is_ascii_digit());
        if !is_name {
            return Err(refused(format!("`env`: `{key}` is no name of a variable")));
        }
        lines.push(format!("ENV {key}={}", quoted(&format!("env.{key}"), value)?));
    }
    for step in &file.steps {
        lines.push(format!("RUN {}", shell("steps", step)?));
    }
    lines.extend(file.user.map(|user| format!("USER {user}")));
    lines.extend(file.ports.iter().map(|port| format!("EXPOSE {port}")));
    if let Some(ready) = &file.ready {
        lines.push(format!("HEALTHCHECK CMD {}", shell("ready", ready)?));
    }
    if let Some(start) = &file.start {
        lines.push("ENTRYPOINT []".to_owned());
        lines.push(format!("CMD {}", shell("start", start)?));
    } else if file.ready.is_some() || !file.ports.is_empty() {
        return Err(refused(
            "`ports` and `ready` need a `start`, the command that they are of".into(),
        ));
    }
    Ok(lines.join("\n") + "\n")
}

fn refused(what: String) -> PublicError {
    PublicError::invalid("template_toml", format!("template.toml: {what}"))
}

/// A command of a shell as the words of JSON, so that no character of it means anything to
/// whoever reads the Dockerfile.
fn shell(key: &str, command: &str) -> Result<String, PublicError> {
    if command.trim().is_empty() || command.contains('\0') {
        return Err(refused(format!("`{key}` holds a command that is empty, or holds a NUL")));
    }
    serde_json::to_string(&["/bin/sh", "-c", command])
        .map_err(|error| refused(format!("`{key}`: {error}")))
}

fn quoted(key: &str, value: &str) -> Result<String, PublicError> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(refused(format!("`{key}` is one line")));
    }
    let mut quoted = String::from("\"");
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Ok(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_rendered() {
        let text = "from = \"debian:12\"\nsteps = [\"apt-get update\", \"echo 'a' > /x\\necho b\"]\nstart = \"python3 -m http.server\"\nports = [8000]\nuser = \"app\"\nready = \"curl -f localhost\"\n[env]\nA = \"b $c \\\"d\\\"\"\n";
        assert_eq!(
            dockerfile(text).unwrap(),
            "FROM debian:12\n\
             ENV A=\"b \\$c \\\"d\\\"\"\n\
             RUN [\"/bin/sh\",\"-c\",\"apt-get update\"]\n\
             RUN [\"/bin/sh\",\"-c\",\"echo 'a' > /x\\necho b\"]\n\
             USER app\n\
             EXPOSE 8000\n\
             HEALTHCHECK CMD [\"/bin/sh\",\"-c\",\"curl -f localhost\"]\n\
             ENTRYPOINT []\n\
             CMD [\"/bin/sh\",\"-c\",\"python3 -m http.server\"]\n"
        );
        assert_eq!(dockerfile("").unwrap(), "FROM base\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("step = []", "step"),
            ("from = \"a\\nRUN b\"", "from"),
            ("user = \"a b\"", "user"),
            ("steps = [\" \"]", "steps"),
            ("ports = [80]", "start"),
            ("ports = [70000]\nstart = \"x\"", "u16"),
            ("env = { \"A B\" = \"x\" }", "A B"),
            ("env = { A = \"x\\ny\" }", "env.A"),
            (&format!("steps = {}{}", "[".repeat(70), "]".repeat(70)), "too deep"),
        ] {
            let error = dockerfile(text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("template_toml"));
            assert!(error.message.contains(what), "{text}: {}", error.message);
        }
    }
}
