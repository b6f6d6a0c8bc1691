//! Static sites.

use super::facts::Facts;
use super::plan::{Built, Pages, Plan, Serve};
use super::rules::BUILT_FOLDERS;
use super::{DetectError, Framework};

/// Folders whose page is served where there is no other sign of an app.
const FOLDERS: [&str; 2] = ["public", "dist"];

pub(super) fn plan(facts: &Facts<'_>) -> Result<Plan, DetectError> {
    let (sources, settings) = (facts.sources, facts.settings);
    let builds = settings.build.as_deref().is_some_and(|build| !build.is_empty());
    let has_page = |folder: &&&str| sources.has(&format!("{folder}/index.html"));
    let folder =
        |folder: &str| Serve::Folder(Pages { folder: folder.to_owned(), single_page: false });
    let (serve, why) = if sources.has("index.html") {
        (folder(""), "index.html is there".to_owned())
    } else if let Some(found) = FOLDERS.iter().find(has_page) {
        (folder(found), format!("{found}/index.html is there"))
    } else if builds || facts.starts_itself() {
        let folders = BUILT_FOLDERS.iter().map(|folder| (*folder).to_owned()).collect();
        (
            Serve::BuiltFolder(Built { folders, single_page: false }),
            "the settings say so".to_owned(),
        )
    } else {
        return Err(DetectError::NoPage);
    };
    let mut plan = Plan::new(Framework::Static, &sources.app.path, serve);
    plan.because("Static site", why);
    Ok(plan)
}
