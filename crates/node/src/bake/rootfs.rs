//! A template's root disk: Debian packages and a finishing script into an ext4
//! image, without mounting anything.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pando_vm::sys::command::{CommandError, Tool};
use pando_vm::sys::durable;

use super::Progress;
use super::recipe::Recipe;
use crate::data::DataDir;

/// Why a root disk could not be built.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// A tool.
    #[error("building it")]
    Tool(#[from] CommandError),
    /// A file.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RootfsError {
    let path = path.to_owned();
    move |source| RootfsError::Io { path, source }
}

/// Builds the root disk of `recipe` where its machines look for it.
pub(super) async fn build(
    data: &DataDir,
    recipe: &Recipe,
    progress: &Progress,
) -> Result<(), RootfsError> {
    let staging = data.staging().join(format!("rootfs-{}", recipe.name()));
    durable::remove_dir(&staging).map_err(io_error(&staging))?;
    fs::create_dir_all(&staging).map_err(io_error(&staging))?;
    // mmdebstrap's children run as `_apt` and must be able to look in.
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o755)).map_err(io_error(&staging))?;

    progress(&format!(
        "installing {} packages of Debian {} for template {} (about a minute)",
        recipe.packages().len(),
        recipe.suite(),
        recipe.name()
    ));
    let script = staging.join("customize.sh");
    fs::write(&script, recipe.customize()).map_err(io_error(&script))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(io_error(&script))?;
    let root = staging.join("root");
    Tool::new(
        "setpriv",
        // It ends with us, however we end, and its mounts with it: none stays in
        // the way of the next start (setpriv(1), unshare(1)).
        [
            "--pdeathsig=KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([
            "mmdebstrap".to_owned(),
            "--quiet".to_owned(),
            "--mode=root".to_owned(),
            "--variant=apt".to_owned(),
            "--components=main".to_owned(),
            format!("--include={}", recipe.packages().join(",")),
            "--dpkgopt=path-exclude=/usr/share/man/*".to_owned(),
            "--dpkgopt=path-exclude=/usr/share/doc/*".to_owned(),
            "--dpkgopt=path-include=/usr/share/doc/*/copyright".to_owned(),
            "--dpkgopt=path-exclude=/usr/share/locale/*".to_owned(),
            format!("--customize-hook={} \"$1\"", script.display()),
            recipe.suite().to_owned(),
            root.display().to_string(),
        ]),
    )
    .env("TMPDIR", &staging.display().to_string())
    .limit(Recipe::BUILD_LIMIT)
    .run()
    .await?;

    progress(&format!("making the root disk of template {}", recipe.name()));
    let home = staging.join("template");
    fs::create_dir_all(&home).map_err(io_error(&home))?;
    let image = home.join("rootfs.ext4");
    fs::File::create(&image)
        .and_then(|file| file.set_len(recipe.disk_bytes()))
        .map_err(io_error(&image))?;
    Tool::new(
        "mke2fs",
        [
            "-q",
            "-F",
            "-t",
            "ext4",
            "-L",
            "root",
            "-E",
            "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0",
            "-O",
            "^metadata_csum_seed",
            "-m",
            "1",
            "-d",
            &root.display().to_string(),
            &image.display().to_string(),
        ],
    )
    .limit(Recipe::BUILD_LIMIT)
    .run()
    .await?;
    fs::File::open(&image).and_then(|file| file.sync_all()).map_err(io_error(&image))?;
    let target = data.template(recipe.name(), recipe.version());
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(io_error(parent))?;
    }
    durable::rename(&home, &target).map_err(io_error(&target))?;
    durable::remove_dir(&staging).map_err(io_error(&staging))?;
    progress(&format!("template {} has its root disk", recipe.name()));
    Ok(())
}
