//! What runs in a template: from the configuration of the image that buildah made. It came
//! out of a guest: nothing of it is trusted, all of it is bounded.

use std::collections::BTreeMap;

use pando_types::limits::{MAX_COMMAND_BYTES, MAX_ENV_NAME_BYTES, MAX_PATH_BYTES, MAX_USER_BYTES};
use pando_types::template::TemplateConfig;
use serde::Deserialize;

/// The most that buildah tells of an image, in bytes.
pub(super) const MAX_INSPECT_BYTES: usize = 4 << 20;
/// All variables of an image together, in bytes.
const MAX_ENV_BYTES: usize = 128 * 1024;
const MAX_PORTS: usize = 64;

#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "Docker")]
    docker: Docker,
}

#[derive(Deserialize)]
struct Docker {
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Option<Vec<String>>,
}

/// What `buildah inspect --type image` says of what runs in it.
pub(super) fn of_image(json: &[u8]) -> Result<TemplateConfig, String> {
    let inspected: Inspected = serde_json::from_slice(json)
        .map_err(|error| format!("the image's configuration makes no sense: {error}"))?;
    let Some(config) = inspected.docker.config else { return Ok(TemplateConfig::default()) };
    let mut command = config.entrypoint.unwrap_or_default();
    command.extend(config.cmd.unwrap_or_default());
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let found = TemplateConfig {
        command,
        env: variables(config.env.unwrap_or_default()),
        cwd: filled(config.working_dir),
        user: filled(config.user),
        ports: config
            .exposed_ports
            .unwrap_or_default()
            .keys()
            .filter_map(|key| port(key))
            .collect(),
        ready: config
            .healthcheck
            .map_or_else(Vec::new, |check| ready(check.test.unwrap_or_default())),
    };
    check(&found)?;
    Ok(found)
}

fn variables(lines: Vec<String>) -> BTreeMap<String, String> {
    let pairs = lines.iter().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// `8000/tcp`, or `8000`; what is UDP is not waited for.
fn port(text: &str) -> Option<u16> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    number.parse().ok().filter(|port| *port > 0 && protocol == "tcp")
}

fn ready(test: Vec<String>) -> Vec<String> {
    let mut words = test.into_iter();
    match words.next().as_deref() {
        Some("CMD") => words.collect(),
        Some("CMD-SHELL") => {
            ["/bin/sh".to_owned(), "-c".to_owned()].into_iter().chain(words).collect()
        }
        _ => Vec::new(),
    }
}

fn check(config: &TemplateConfig) -> Result<(), String> {
    for (what, words) in [("command", &config.command), ("health check", &config.ready)] {
        let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
        if bytes > MAX_COMMAND_BYTES {
            return Err(format!("the image's {what} is longer than {MAX_COMMAND_BYTES} bytes"));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(format!("the image's {what} holds a NUL"));
        }
        if words.first().is_some_and(String::is_empty) {
            return Err(format!("the image's {what} names no program"));
        }
    }
    let bytes: usize = config.env.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    if bytes > MAX_ENV_BYTES {
        return Err(format!("the image's variables take more than {MAX_ENV_BYTES} bytes"));
    }
    let is_bad = |(key, value): (&String, &String)| {
        key.is_empty()
            || key.len() > MAX_ENV_NAME_BYTES
            || key.contains('\0')
            || value.contains('\0')
    };
    if config.env.iter().any(is_bad) {
        return Err("the image has a variable that no environment can hold".to_owned());
    }
    if config.ports.len() > MAX_PORTS {
        return Err(format!("the image exposes more than {MAX_PORTS} ports"));
    }
    let too_long =
        |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.len() > most);
    if too_long(&config.cwd, MAX_PATH_BYTES) || too_long(&config.user, MAX_USER_BYTES) {
        return Err("the image's working directory or user is too long".to_owned());
    }
    Ok(())
}

/// The lines of `/etc/environment` that hold the variables: those that fit in a line. A
/// pair of quotes round a value is taken off again, so a value may hold any.
pub(super) fn environment_lines(config: &TemplateConfig) -> String {
    let fits = |(key, value): &(&String, &String)| {
        !value.contains(['\n', '\r']) && !key.contains(char::is_whitespace) && !key.starts_with('#')
    };
    config.env.iter().filter(fits).map(|(key, value)| format!("{key}=\"{value}\"\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_read() {
        let json = br#"{"Type": "buildah 0.0.1", "Docker": {"id": "x", "config": {
            "Hostname": "", "User": "app", "ExposedPorts": {"8000/tcp": {}, "53/udp": {}, "9": {}},
            "Env": ["PATH=/bin", "A=b=c", "E="], "Cmd": ["-m", "http.server"], "Image": "",
            "Entrypoint": ["python3"], "WorkingDir": "/srv", "Volumes": null,
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 3}}}}"#;
        let config = of_image(json).unwrap();
        assert_eq!(config.command, ["python3", "-m", "http.server"]);
        assert_eq!((config.user.as_deref(), config.cwd.as_deref()), (Some("app"), Some("/srv")));
        assert_eq!(config.ports, [8000, 9]);
        assert_eq!(config.ready, ["/bin/sh", "-c", "curl -f localhost"]);
        assert_eq!(config.env["A"], "b=c");
        assert_eq!(environment_lines(&config), "A=\"b=c\"\nE=\"\"\nPATH=\"/bin\"\n");
    }

    #[test]
    fn an_image_may_say_nothing() {
        for json in [r#"{"Docker": {}}"#, r#"{"Docker": {"config": {"Env": null, "Cmd": null}}}"#] {
            assert_eq!(of_image(json.as_bytes()).unwrap(), TemplateConfig::default());
        }
        for json in ["", "{}", "[]", r#"{"Docker": {"config": {"Cmd": "sh"}}}"#] {
            assert!(of_image(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn what_cannot_run_is_refused() {
        for config in [
            r#"{"Cmd": [""]}"#.to_owned(),
            r#"{"Cmd": ["a\u0000b"]}"#.to_owned(),
            r#"{"Env": ["=b"]}"#.to_owned(),
            format!(r#"{{"Env": ["A={}"]}}"#, "x".repeat(MAX_ENV_BYTES)),
            format!(r#"{{"User": "{}"}}"#, "x".repeat(MAX_USER_BYTES + 1)),
            format!(r#"{{"Cmd": ["{}"]}}"#, "x".repeat(MAX_COMMAND_BYTES)),
        ] {
            let json = format!(r#"{{"Docker": {{"config": {config}}}}}"#);
            assert!(of_image(json.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_disabled_check_is_none() {
        assert!(ready(vec!["NONE".into()]).is_empty());
        assert!(ready(Vec::new()).is_empty());
        assert_eq!(ready(vec!["CMD".into(), "true".into()]), ["true"]);
    }

    #[test]
    fn a_value_of_two_lines_is_in_no_line() {
        let env = BTreeMap::from([
            ("A".to_owned(), "x\ny".to_owned()),
            ("B".to_owned(), "\"q\"".to_owned()),
        ]);
        let config = TemplateConfig { env, ..TemplateConfig::default() };
        assert_eq!(environment_lines(&config), "B=\"\"q\"\"\n");
    }
}
