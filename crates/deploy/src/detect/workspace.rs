//! Whether the app is a member of a workspace above it: pnpm's, npm's, Yarn's,
//! Bun's, or a folder of an Nx repository.

use super::node::Package;
use super::sources::Dir;
use super::text;
use super::{DetectError, Sources, glob};

/// The most patterns of a workspace that are looked at.
const MAX_PATTERNS: usize = 200;
/// Lockfiles: one beside the app says that it is installed alone.
pub(super) const LOCKFILES: [&str; 6] = [
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "package-lock.json",
    "npm-shrinkwrap.json",
];

/// The workspace that an app is in.
pub(super) struct Workspace<'a> {
    pub root: &'a Dir,
    /// Its `package.json`.
    pub package: Package,
    /// The app's folder, from the root.
    pub member: String,
    /// The file that takes the app in.
    pub file: String,
}

/// The nearest folder above whose workspace takes the app in.
pub(super) fn find(sources: &Sources) -> Result<Option<Workspace<'_>>, DetectError> {
    let app = &sources.app;
    if app.first(&["package.json", "project.json"]).is_none() {
        return Ok(None);
    }
    for root in &sources.above {
        let Some(package) = Package::of(root)? else { continue };
        let member = app.path[root.path.len()..].trim_start_matches('/').to_owned();
        let pnpm = root.text("pnpm-workspace.yaml").map(pnpm_packages);
        let file = if let Some(patterns) = pnpm.filter(|patterns| !patterns.is_empty()) {
            let patterns = patterns.iter().map(String::as_str);
            glob::takes_in(patterns, &member).then_some("pnpm-workspace.yaml")
        } else {
            let patterns = package.workspaces();
            glob::takes_in(patterns.into_iter().take(MAX_PATTERNS), &member)
                .then_some("package.json")
        };
        // An Nx repository may have one package.json for all.
        let nx = || (root.has("nx.json") && app.has("project.json")).then_some("nx.json");
        let Some(file) = file.or_else(nx) else { continue };
        if app.first(&LOCKFILES).is_some() && root.first(&LOCKFILES).is_none() {
            return Ok(None);
        }
        let file = match root.path.as_str() {
            "" => format!("the {file} of the root"),
            _ => root.path_of(file),
        };
        return Ok(Some(Workspace { root, package, member, file }));
    }
    Ok(None)
}

/// The patterns of the members that a folder's own files name.
pub(super) fn patterns(root: &Dir) -> Vec<String> {
    let pnpm = root.text("pnpm-workspace.yaml").map(pnpm_packages).unwrap_or_default();
    if !pnpm.is_empty() {
        return pnpm;
    }
    let Ok(Some(package)) = Package::of(root) else { return Vec::new() };
    package.workspaces().into_iter().take(MAX_PATTERNS).map(str::to_owned).collect()
}

/// The list under `packages:`, as pnpm's file has it.
pub(super) fn pnpm_packages(yaml: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text::lines(yaml).take(10_000) {
        if let Some(item) = line.strip_prefix("- ").filter(|_| inside) {
            found.push(unquoted(item));
        } else if let Some(rest) = line.strip_prefix("packages:") {
            inside = true;
            let flow = rest.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let items = flow.into_iter().flat_map(|list| list.split(','));
            found.extend(items.map(unquoted).filter(|item| !item.is_empty()));
        } else {
            inside = false;
        }
    }
    found.truncate(MAX_PATTERNS);
    found
}

/// Whether the file says more than which packages there are: pnpm 10 and later keep their
/// settings there, and pnpm 9 reads none of them.
pub(super) fn pnpm_settings(yaml: &str) -> bool {
    let top = yaml.lines().filter(|line| line.starts_with(|letter: char| letter.is_alphabetic()));
    top.filter_map(|line| line.split_once(':'))
        .any(|(key, _)| !matches!(key.trim(), "packages" | "catalog" | "catalogs"))
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pnpm_lists() {
        let yaml = "packages:\r\n  # apps\r\n  - 'apps/*'\r\n  - \"packages/**\" # all\r\n  - '!x'\r\ncatalog:\r\n  - no\r\n";
        assert_eq!(pnpm_packages(yaml), ["apps/*", "packages/**", "!x"]);
        assert_eq!(pnpm_packages("packages: ['a', \"b/*\"]"), ["a", "b/*"]);
        assert_eq!(pnpm_packages("packages: ["), Vec::<String>::new());
        assert!(!pnpm_settings(yaml));
        assert!(pnpm_settings("packages:\n  - a\nonlyBuiltDependencies:\n  - esbuild\n"));
    }
}
