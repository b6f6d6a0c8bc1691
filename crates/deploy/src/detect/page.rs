//! Static sites.

use super::{DetectError, Framework, Plan, Serve, Settings, Sources};

pub(super) fn plan(settings: &Settings, sources: &Sources) -> Result<Plan, DetectError> {
    let builds = settings.build.as_deref().is_some_and(|build| !build.is_empty());
    let (serve, reason) = if sources.has("index.html") {
        (Serve::Folder(String::new()), "Static site, because index.html is there.".to_owned())
    } else if let Some(folder) = sources.page_folders.first() {
        let reason = format!("Static site, because {folder}/index.html is there.");
        (Serve::Folder(folder.clone()), reason)
    } else if builds || settings.start.is_some() {
        (Serve::BuiltFolder, "Static site, because the settings say so.".to_owned())
    } else {
        return Err(DetectError::NoPage);
    };
    Ok(Plan {
        framework: Framework::Static,
        install: None,
        build: None,
        serve,
        reasons: vec![reason],
    })
}
