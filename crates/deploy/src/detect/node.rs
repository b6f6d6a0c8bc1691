//! Node apps.

use serde_json::Value;

use super::{DetectError, Framework, Plan, Serve, Settings, Sources};

/// Lockfiles of package managers that the template does not have.
const OTHER_LOCKFILES: [&str; 4] = ["pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];

pub(super) fn plan(
    settings: &Settings,
    sources: &Sources,
    package_json: Option<&str>,
    because: &str,
) -> Result<Plan, DetectError> {
    let package = match package_json {
        Some(text) => parse(text)?,
        None => Value::Null,
    };
    let script =
        |name: &str| package["scripts"][name].as_str().is_some_and(|text| !text.trim().is_empty());
    let mut reasons = vec![format!("Node app, because {because}.")];
    let install = install(settings, sources, package_json.is_some(), &mut reasons)?;
    let build = script("build").then(|| "npm run build".to_owned());
    if let Some(build) = &build {
        reasons.push(format!("Build: `{build}`, because package.json has a build script."));
    }
    let builds = settings.build.as_deref().map_or(build.is_some(), |wish| !wish.is_empty());
    let serve = match &settings.start {
        Some(start) => Serve::Command(start.clone()),
        None => serve(&package, script("start"), builds, sources, &mut reasons)?,
    };
    Ok(Plan { framework: Framework::Node, install, build, serve, reasons })
}

/// A folder with nothing that is known, and a start command from the settings.
pub(super) fn bare() -> Plan {
    Plan {
        framework: Framework::Node,
        install: None,
        build: None,
        serve: Serve::Command(String::new()),
        reasons: vec!["No package.json and no index.html: only what the settings say.".into()],
    }
}

fn parse(text: &str) -> Result<Value, DetectError> {
    match serde_json::from_str(text) {
        Ok(package @ Value::Object(_)) => Ok(package),
        Ok(_) => Err(DetectError::PackageJson("it is something else".into())),
        Err(error) => Err(DetectError::PackageJson(error.to_string())),
    }
}

fn install(
    settings: &Settings,
    sources: &Sources,
    has_package_json: bool,
    reasons: &mut Vec<String>,
) -> Result<Option<String>, DetectError> {
    if settings.install.is_some() || !has_package_json {
        return Ok(None);
    }
    for lockfile in ["package-lock.json", "npm-shrinkwrap.json"] {
        if sources.has(lockfile) {
            reasons.push(format!("Install: `npm ci`, because {lockfile} is there."));
            return Ok(Some("npm ci".into()));
        }
    }
    if let Some(other) = OTHER_LOCKFILES.into_iter().find(|name| sources.has(name)) {
        return Err(DetectError::PackageManager(other));
    }
    reasons.push("Install: `npm install`, because there is no lockfile.".into());
    Ok(Some("npm install".into()))
}

fn serve(
    package: &Value,
    has_start: bool,
    builds: bool,
    sources: &Sources,
    reasons: &mut Vec<String>,
) -> Result<Serve, DetectError> {
    if has_start {
        reasons.push("Start: `npm start`, because package.json has a start script.".into());
        return Ok(Serve::Command("npm start".into()));
    }
    let main = package["main"].as_str().filter(|main| !main.is_empty() && !main.contains('\0'));
    let program = main.map(|main| (main, "package.json names it as `main`"));
    let program =
        program.or_else(|| sources.has("server.js").then_some(("server.js", "it is there")));
    // What a build makes goes before a mere index.js: that may be its input.
    let program = program
        .or_else(|| (!builds && sources.has("index.js")).then_some(("index.js", "it is there")));
    if let Some((program, because)) = program {
        let command = format!("node {}", quoted(program));
        reasons
            .push(format!("Start: `{command}`, because {because} and there is no start script."));
        return Ok(Serve::Command(command));
    }
    if builds {
        let folders = super::BUILT_FOLDERS.join(", ");
        reasons.push(format!(
            "Serves the page that the build leaves in one of {folders}, because there is no start script."
        ));
        return Ok(Serve::BuiltFolder);
    }
    if sources.has("index.html") {
        reasons.push(
            "Serves the files as they are, because index.html is there and nothing starts.".into(),
        );
        return Ok(Serve::Folder(String::new()));
    }
    Err(DetectError::NoStart)
}

/// As one word for the shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if text.bytes().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    let text = text.replace('\'', r"'\''");
    if text.starts_with('-') { format!("'./{text}'") } else { format!("'{text}'") }
}
