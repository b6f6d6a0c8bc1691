//! An XFS with reflinks in a file, for tests: mounted for as long as it lives. Needs root.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Xfs {
    dir: tempfile::TempDir,
    mount: PathBuf,
}

impl Xfs {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        fs::create_dir(&mount).unwrap();
        run("mkfs.xfs", &["-q".as_ref(), "-m".as_ref(), "reflink=1".as_ref(), &image]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &mount]);
        Self { dir, mount }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// What its file takes of the disk below.
    pub(crate) fn taken_bytes(&self) -> u64 {
        fs::metadata(self.dir.path().join("image")).unwrap().blocks() * 512
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        run("umount", &[self.path()]);
    }
}

fn run(program: &str, arguments: &[&Path]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program}");
}
