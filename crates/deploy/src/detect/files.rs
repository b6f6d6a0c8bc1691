//! Which files and folders detection looks at: data, and nothing else is read.

/// A `package.json`: some hold a whole configuration.
pub(super) const PACKAGE_JSON: &str = "package.json";
pub(super) const MAX_PACKAGE_JSON_BYTES: usize = 1 << 20;
/// Any other file that is read whole.
pub(super) const MAX_WHOLE_BYTES: usize = 256 << 10;
/// Files that are only begun: what is wanted stands at their head.
pub(super) const MAX_HEAD_BYTES: usize = 8 << 10;

/// What says how the app is deployed, here or at the repository's root.
pub(super) const MANIFEST: &str = crate::manifest::FILE_NAME;
pub(super) const MAX_MANIFEST_BYTES: usize = crate::manifest::MAX_BYTES;

/// Files that name a version of something: looked for in the app's folder, then in the
/// workspace's root.
pub(super) const VERSION_FILES: [&str; 15] = [
    "mise.toml",
    ".mise.toml",
    ".tool-versions",
    ".node-version",
    ".nvmrc",
    ".python-version",
    "runtime.txt",
    ".ruby-version",
    ".go-version",
    ".php-version",
    ".java-version",
    ".bun-version",
    "system.properties",
    "rust-toolchain.toml",
    "rust-toolchain",
];

/// Other files that are read whole in the app's folder.
pub(super) const APP_FILES: [&str; 63] = [
    "pnpm-workspace.yaml",
    ".yarnrc.yml",
    "angular.json",
    "project.json",
    "next.config.js",
    "next.config.mjs",
    "next.config.cjs",
    "next.config.ts",
    "next.config.mts",
    "nuxt.config.ts",
    "nuxt.config.js",
    "nuxt.config.mjs",
    "vite.config.ts",
    "vite.config.js",
    "vite.config.mjs",
    "vite.config.mts",
    "vite.config.cjs",
    "vite.config.cts",
    "svelte.config.js",
    "svelte.config.mjs",
    "svelte.config.ts",
    "astro.config.mjs",
    "astro.config.js",
    "astro.config.ts",
    "astro.config.mts",
    "react-router.config.ts",
    "react-router.config.js",
    "deno.json",
    "deno.jsonc",
    "main.ts",
    "server.ts",
    "mod.ts",
    "index.ts",
    "requirements.txt",
    "requirements/base.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "manage.py",
    "api/index.py",
    "go.mod",
    "Cargo.toml",
    "Gemfile",
    "Gemfile.lock",
    "config.ru",
    "config/application.rb",
    "composer.json",
    "mix.exs",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gradle.properties",
    "gradle/wrapper/gradle-wrapper.properties",
    ".mvn/wrapper/maven-wrapper.properties",
    "Procfile",
    "turbo.json",
    "nx.json",
    "lerna.json",
    "bunfig.toml",
];

/// Files of the app's folder that may hold a Python app, and are read whole: in the order to
/// look for it.
pub(super) const PYTHON_APPS: [&str; 17] = [
    "main.py",
    "app.py",
    "wsgi.py",
    "asgi.py",
    "server.py",
    "api.py",
    "application.py",
    "run.py",
    "index.py",
    "app/main.py",
    "app/app.py",
    "app/__init__.py",
    "src/main.py",
    "src/app.py",
    "api/main.py",
    "api/app.py",
    "backend/main.py",
];

/// Files of the app's folder and of those above it that are only begun.
pub(super) const HEADS: [&str; 4] = ["pnpm-lock.yaml", "yarn.lock", "poetry.lock", "uv.lock"];

/// Files that are read whole in the folders above the app's: any may be the root of its
/// workspace.
pub(super) const ABOVE_FILES: [&str; 4] =
    ["pnpm-workspace.yaml", ".yarnrc.yml", "nx.json", "pyproject.toml"];

/// What stands for it that the `package.json` of every member was read, among the texts of a
/// workspace's root: those have their paths from there.
pub(super) const MEMBERS_READ: &str = "/members";
/// How many members of a workspace are read.
pub(super) const MAX_MEMBERS: usize = 100;

/// Folders of the app's folder whose names are listed too.
pub(super) const LISTED: [&str; 17] = [
    "public",
    "dist",
    "src",
    "app",
    "api",
    "backend",
    "requirements",
    "config",
    "cmd",
    "bin",
    "apps",
    "packages",
    "assets",
    "gradle",
    "gradle/wrapper",
    ".mvn",
    ".mvn/wrapper",
];

/// How many folders above the app's are looked at, the nearest first.
pub(super) const MAX_ABOVE: usize = 8;
/// How many names of a folder are kept.
pub(super) const MAX_NAMES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_a_folder_is_in_a_folder_that_is_listed() {
        for file in APP_FILES.into_iter().chain(PYTHON_APPS) {
            if let Some((folder, _)) = file.rsplit_once('/') {
                assert!(LISTED.contains(&folder), "{file}");
            }
        }
        for folder in LISTED {
            let above = folder.rsplit_once('/').map(|(above, _)| above);
            let position = |name: &str| LISTED.iter().position(|listed| *listed == name);
            assert!(above.is_none_or(|above| position(above) < position(folder)), "{folder}");
        }
    }
}
