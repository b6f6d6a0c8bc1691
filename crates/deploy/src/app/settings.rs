//! What a user asks of an app: judged whole, before anything is made.

use std::collections::BTreeMap;

use pando_guest_protocol::SESSION_PORT;
use pando_store::{AppKind, AppRow};
use pando_types::PublicError;
use pando_types::app::{CreateApp, UpdateApp};
use pando_types::limits::{
    DEFAULT_CPU, DEFAULT_MEMORY_MIB, MAX_APP_COMMAND_BYTES, MAX_APP_NAME_BYTES, MAX_CPU,
    MAX_MEMORY_MIB, MEMORY_STEP_MIB, MIN_MEMORY_MIB,
};

use super::branch;
use super::env::judge;
use crate::detect::{Framework, Settings, Stage};
use crate::git::GitUrl;
use crate::machine::{AppTemplate, Size};

const DEFAULT_BRANCH: &str = "main";
const DEFAULT_TEMPLATE: &str = "base";
/// What the public SDK sends for its own default.
const SDK_DEFAULT_TEMPLATE: &str = "code-interpreter";
const DEFAULT_PORT: u16 = 3000;
const MAX_FOLDER_BYTES: usize = 512;
const MAX_GIT_TOKEN_BYTES: usize = 1024;

/// A request that can be carried out.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub name: String,
    pub git_url: String,
    pub repo_key: String,
    pub git_token: Option<String>,
    pub git_branch: String,
    pub template: String,
    pub auto_deploy: bool,
    pub previews: bool,
    pub framework: Option<String>,
    pub install_command: Option<String>,
    pub build_command: Option<String>,
    pub start_command: Option<String>,
    pub root_directory: String,
    pub port: u16,
    pub cpu: u32,
    pub memory_mib: u32,
    pub env: BTreeMap<String, String>,
    pub preview_env: BTreeMap<String, String>,
}

/// Judges a request; `url` is its `git_url`, taken already.
pub(crate) fn wanted(
    request: CreateApp,
    url: &GitUrl,
    templates: &[AppTemplate],
) -> Result<Wanted, PublicError> {
    name(&request.name)?;
    let git_branch = request.git_branch.unwrap_or_else(|| DEFAULT_BRANCH.to_owned());
    branch::judge("git_branch", &git_branch)?;
    let template = template(request.template.as_deref(), templates)?;
    let size = size(request.cpu, request.memory_mb, template)?;
    if let Some(framework) = &request.framework
        && Framework::named(framework).is_none()
    {
        let known = Framework::ALL.map(Framework::name).join(", ");
        return Err(PublicError::invalid("framework", format!("framework is one of {known}"))
            .hint("leave it out to have it detected"));
    }
    for (field, command) in [
        ("install_command", &request.install_command),
        ("build_command", &request.build_command),
        ("start_command", &request.start_command),
    ] {
        if command
            .as_ref()
            .is_some_and(|text| text.len() > MAX_APP_COMMAND_BYTES || text.contains('\0'))
        {
            let message = format!("{field} holds at most {MAX_APP_COMMAND_BYTES} bytes and no NUL");
            return Err(PublicError::invalid(field, message));
        }
    }
    if request.start_command.as_ref().is_some_and(|command| command.trim().is_empty()) {
        return Err(PublicError::invalid(
            "start_command",
            "start_command is empty; leave it out to have it detected",
        ));
    }
    Ok(Wanted {
        git_url: url.to_string(),
        repo_key: url.repo_key(),
        git_token: git_token(request.git_token, url)?,
        git_branch,
        template: template.name.clone(),
        auto_deploy: request.auto_deploy.unwrap_or(true),
        previews: request.previews.unwrap_or(true),
        framework: request.framework,
        install_command: request.install_command,
        build_command: request.build_command,
        start_command: request.start_command,
        root_directory: folder(request.root_directory.as_deref().unwrap_or_default())?,
        port: port(request.port)?,
        cpu: size.cpu,
        memory_mib: size.memory_mib,
        env: judge::whole("env", request.env.unwrap_or_default())?,
        preview_env: judge::whole("preview_env", request.preview_env.unwrap_or_default())?,
        name: request.name,
    })
}

/// What an app would be made of to be as it is, with `change` made to it. Its environments
/// are sealed, and not in there; of its size only what counts with its template.
pub(crate) fn changed(app: &AppRow, change: UpdateApp, templates: &[AppTemplate]) -> CreateApp {
    let template = change.template.unwrap_or_else(|| Some(app.template.clone()));
    let has_size =
        templates.iter().any(|it| Some(&it.name) == template.as_ref() && it.size.is_some());
    let kept = |value: u32| (!has_size).then(|| i64::from(value));
    CreateApp {
        name: app.name.clone(),
        git_url: app.git_url.clone(),
        git_token: change.git_token.flatten(),
        git_branch: change.git_branch.unwrap_or_else(|| Some(app.git_branch.clone())),
        template,
        auto_deploy: change.auto_deploy.unwrap_or(Some(app.auto_deploy)),
        previews: change.previews.unwrap_or(Some(app.previews)),
        framework: change.framework.unwrap_or_else(|| app.framework.clone()),
        install_command: change.install_command.unwrap_or_else(|| app.install_command.clone()),
        build_command: change.build_command.unwrap_or_else(|| app.build_command.clone()),
        start_command: change.start_command.unwrap_or_else(|| app.start_command.clone()),
        root_directory: change.root_directory.unwrap_or_else(|| Some(app.root_directory.clone())),
        port: change.port.unwrap_or(Some(app.port.into())),
        env: change.env.flatten(),
        preview_env: change.preview_env.flatten(),
        cpu: change.cpu.unwrap_or_else(|| kept(app.cpu)),
        memory_mb: change.memory_mb.unwrap_or_else(|| kept(app.memory_mib)),
    }
}

/// What detection must respect; `host` is where the app is reached.
///
/// A row holds a port and a size in any case: what is as without a word counts as not set, so
/// that `pando.toml` may say it.
pub(crate) fn of(app: &AppRow, host: String) -> Settings {
    let set = |value: u32, default: u32| (value != default).then_some(value);
    Settings {
        framework: app.framework.as_deref().and_then(Framework::named),
        install: app.install_command.clone(),
        build: app.build_command.clone(),
        start: app.start_command.clone(),
        folder: None,
        port: (app.port != DEFAULT_PORT).then_some(app.port),
        cpu: set(app.cpu, DEFAULT_CPU),
        memory_mib: set(app.memory_mib, DEFAULT_MEMORY_MIB),
        stage: match app.kind {
            AppKind::App => Stage::Production,
            AppKind::Preview(_) => Stage::Preview,
        },
        host: Some(host),
    }
}

fn name(name: &str) -> Result<(), PublicError> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = !name.is_empty()
        && name.len() <= MAX_APP_NAME_BYTES
        && name.bytes().all(letters)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    let message = format!(
        "name holds 1 to {MAX_APP_NAME_BYTES} lower-case letters, digits and dashes, with no dash at either end"
    );
    Err(PublicError::invalid("name", message))
}

/// A token travels in a header, and only over https.
fn git_token(token: Option<String>, url: &GitUrl) -> Result<Option<String>, PublicError> {
    let Some(token) = token else { return Ok(None) };
    let refuse = |message: String| Err(PublicError::invalid("git_token", message));
    if url.is_ssh() {
        return refuse("git_token is for https, and git_url is an ssh address: make a deploy key (POST /v1/apps/{id}/deploy-key) instead".into());
    }
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || token.len() > MAX_GIT_TOKEN_BYTES || !is_plain {
        return refuse(format!(
            "git_token holds 1 to {MAX_GIT_TOKEN_BYTES} letters, digits and signs of ASCII, without spaces"
        ));
    }
    Ok(Some(token))
}

/// A folder below the repository's root, without slashes at its ends; empty for the root itself.
fn folder(text: &str) -> Result<String, PublicError> {
    let relative = text.trim_end_matches('/');
    let relative = relative.strip_prefix("./").unwrap_or(relative);
    if relative.is_empty() || relative == "." {
        return if text.starts_with('/') { Err(bad_folder()) } else { Ok(String::new()) };
    }
    let good = |part: &str| !part.is_empty() && part != "." && part != ".." && part != ".git";
    let plain = relative.len() <= MAX_FOLDER_BYTES
        && !relative.bytes().any(|byte| byte < b' ' || byte == 0x7f || byte == b'\\');
    if plain && relative.split('/').all(good) { Ok(relative.to_owned()) } else { Err(bad_folder()) }
}

fn bad_folder() -> PublicError {
    PublicError::invalid(
        "root_directory",
        "root_directory is a folder of the repository: relative, with no `..`",
    )
}

fn port(port: Option<i64>) -> Result<u16, PublicError> {
    let port = port.map_or(Some(DEFAULT_PORT), |port| u16::try_from(port).ok());
    port.filter(|port| *port > 0 && *port != SESSION_PORT).ok_or_else(|| {
        PublicError::invalid(
            "port",
            format!("port is 1 to 65535, and not {SESSION_PORT} (the agent's own)"),
        )
    })
}

fn template<'a>(
    asked: Option<&str>,
    templates: &'a [AppTemplate],
) -> Result<&'a AppTemplate, PublicError> {
    let name = match asked {
        None | Some(SDK_DEFAULT_TEMPLATE) => DEFAULT_TEMPLATE,
        Some(name) => name,
    };
    templates.iter().find(|template| template.name == name).ok_or_else(|| {
        let asked: String = name.chars().take(64).collect();
        let known: Vec<&str> = templates.iter().map(|template| template.name.as_str()).collect();
        let message = format!("there is no template `{asked}`; there is {}", known.join(", "));
        PublicError::invalid("template", message)
            .hint("ask for one of those; without `template`, it is `base`")
    })
}

/// The size of an app's sandboxes: the template's, where that has one, and a request may name
/// no other.
fn size(
    cpu: Option<i64>,
    memory_mb: Option<i64>,
    template: &AppTemplate,
) -> Result<Size, PublicError> {
    let own = template.size.unwrap_or(Size { cpu: DEFAULT_CPU, memory_mib: DEFAULT_MEMORY_MIB });
    let size = Size {
        cpu: within("cpu", cpu, own.cpu, 1, MAX_CPU, 1)?,
        memory_mib: within(
            "memory_mb",
            memory_mb,
            own.memory_mib,
            MIN_MEMORY_MIB,
            MAX_MEMORY_MIB,
            MEMORY_STEP_MIB,
        )?,
    };
    let fields = [("cpu", size.cpu, own.cpu), ("memory_mb", size.memory_mib, own.memory_mib)];
    match fields.into_iter().find(|(_, asked, own)| template.size.is_some() && asked != own) {
        None => Ok(size),
        Some((field, _, own)) => {
            let name = &template.name;
            let message = format!(
                "{field} of template `{name}` is {own}, and its machine runs already: leave \
                 {field} out, or build the template with another"
            );
            Err(PublicError::invalid(field, message))
        }
    }
}

fn within(
    field: &str,
    value: Option<i64>,
    default: u32,
    least: u32,
    most: u32,
    step: u32,
) -> Result<u32, PublicError> {
    let value = value.map_or(Some(default), |value| u32::try_from(value).ok());
    value.filter(|value| (least..=most).contains(value) && value % step == 0).ok_or_else(|| {
        let steps = if step > 1 { format!(" in steps of {step}") } else { String::new() };
        PublicError::invalid(field, format!("{field} is {least} to {most}{steps}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn templates() -> [AppTemplate; 2] {
        let template =
            |name: &str, size| AppTemplate { name: name.to_owned(), version: "1".to_owned(), size };
        [template("base", None), template("own", Some(Size { cpu: 1, memory_mib: 512 }))]
    }

    fn judge(change: impl FnOnce(&mut CreateApp)) -> Result<Wanted, PublicError> {
        let mut request = CreateApp { name: "shop".into(), ..CreateApp::default() };
        change(&mut request);
        let url = GitUrl::parse("https://forge.example/acme/shop.git", &[]).unwrap();
        wanted(request, &url, &templates())
    }

    fn refused(change: impl FnOnce(&mut CreateApp)) -> String {
        judge(change).unwrap_err().field.unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let wanted = judge(|_| {}).unwrap();
        assert_eq!((wanted.git_branch.as_str(), wanted.template.as_str()), ("main", "base"));
        assert_eq!((wanted.port, wanted.cpu, wanted.memory_mib), (3000, 2, 2048));
        assert!(wanted.auto_deploy && wanted.previews && wanted.root_directory.is_empty());
        assert_eq!(
            judge(|app| app.template = Some("code-interpreter".into())).unwrap().template,
            "base"
        );
    }

    #[test]
    fn every_field_is_judged_and_named() {
        for name in ["", "Shop", "a b", "-a", "a-", &"a".repeat(41)] {
            assert_eq!(refused(|app| app.name = name.into()), "name");
        }
        for branch in ["a..b", "refs/heads/main", "refs/heads/refs/heads/x", "refs/tags/v1"] {
            assert_eq!(refused(|app| app.git_branch = Some(branch.into())), "git_branch");
        }
        assert_eq!(refused(|app| app.template = Some("nope".into())), "template");
        assert_eq!(refused(|app| app.framework = Some("cobol".into())), "framework");
        for framework in Framework::ALL {
            let wanted = judge(|app| app.framework = Some(framework.name().into())).unwrap();
            assert_eq!(wanted.framework.as_deref(), Some(framework.name()));
        }
        assert_eq!(refused(|app| app.start_command = Some(" ".into())), "start_command");
        assert_eq!(refused(|app| app.install_command = Some("x".repeat(5000))), "install_command");
        for folder in ["/", "/etc", "..", "a/../b", "a//b", "a\\b", "a\0", ".git/hooks"] {
            assert_eq!(
                refused(|app| app.root_directory = Some(folder.into())),
                "root_directory",
                "{folder:?}"
            );
        }
        for port in [0, -1, 65_536, i64::from(SESSION_PORT)] {
            assert_eq!(refused(|app| app.port = Some(port)), "port");
        }
        assert_eq!(refused(|app| app.cpu = Some(0)), "cpu");
        assert_eq!(refused(|app| app.memory_mb = Some(513)), "memory_mb");
        for name in ["", "1A", "A-B", "A B"] {
            let env = BTreeMap::from([(name.to_owned(), String::new())]);
            assert_eq!(refused(|app| app.env = Some(env)), "env");
        }
        for token in ["", "a b", "a\n", "\u{e9}", &"x".repeat(1025)] {
            assert_eq!(refused(|app| app.git_token = Some(token.into())), "git_token");
        }
        let env = BTreeMap::from([("A".to_owned(), "x\0".to_owned())]);
        assert_eq!(refused(|app| app.preview_env = Some(env)), "preview_env");
    }

    #[test]
    fn a_template_with_a_size_gives_it() {
        let own = |app: &mut CreateApp| app.template = Some("own".into());
        let wanted = judge(own).unwrap();
        assert_eq!((wanted.template.as_str(), wanted.cpu, wanted.memory_mib), ("own", 1, 512));
        let sized = |cpu, memory_mb| {
            move |app: &mut CreateApp| {
                own(app);
                (app.cpu, app.memory_mb) = (cpu, memory_mb);
            }
        };
        assert!(judge(sized(Some(1), Some(512))).is_ok());
        assert_eq!(refused(sized(Some(2), None)), "cpu");
        assert_eq!(refused(sized(None, Some(1024))), "memory_mb");
    }

    #[test]
    fn a_folder_has_one_spelling() {
        for (given, kept) in
            [("", ""), (".", ""), ("./", ""), ("web/", "web"), ("./web/app", "web/app")]
        {
            let wanted = judge(|app| app.root_directory = Some(given.into())).unwrap();
            assert_eq!(wanted.root_directory, kept, "{given}");
        }
    }

    proptest! {
        #[test]
        fn a_folder_never_leads_out(text in "[a./ ]{0,12}") {
            if let Ok(folder) = folder(&text) {
                prop_assert!(!folder.starts_with('/') && !folder.split('/').any(|part| part == ".."));
            }
        }
    }
}
