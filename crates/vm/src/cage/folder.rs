//! The room's files: copies of the VMM program, its libraries and its firmware,
//! and nothing else, under the paths they have on the host; only what Pando brings
//! itself stands at [`PRELOAD_PATH`], wherever it was installed.
//!
//! Copies, for two reasons: the room then holds exactly these files, not the
//! folders they are in; and an upgrade of the host's packages does not change the
//! VMM under a running server, which knows the version it began with.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{BOOT_DIR, CageError, room_error};
use crate::sys::command::Tool;
use crate::sys::durable;

/// Where in the room the library stands that is Pando's own.
pub(super) const PRELOAD_PATH: &str = "/libpando_vmm_preload.so";

/// What a VMM program needs to run.
#[derive(Debug, Clone)]
pub(crate) struct Furniture {
    /// The program.
    pub program: PathBuf,
    /// Modules and firmware that it reads.
    pub files: Vec<PathBuf>,
    /// What lies in its process where its memory has layers (`pando-vmm-preload`).
    pub preload: PathBuf,
    /// Whether it uses `/dev/kvm`.
    pub kvm: bool,
}

/// Copies what is not there yet; returns the folder that is to be the root.
///
/// # Errors
/// Any [`CageError`].
pub(super) async fn fill(home: &Path, furniture: &Furniture) -> Result<PathBuf, CageError> {
    let sources = sources(furniture).await?;
    let preload = (&*furniture.preload, Path::new(PRELOAD_PATH));
    let files: Vec<_> = sources.iter().map(|path| (&**path, &**path)).chain([preload]).collect();
    let list = list(&files)?;
    let (root, list_path) = (home.join("root"), home.join("list"));
    if fs::read_to_string(&list_path).is_ok_and(|found| found == list) {
        return Ok(root);
    }
    let copy = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(home)?;
        match fs::remove_file(&list_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => durable::remove_dir(&root)?,
        }
        for (file, path) in &files {
            copy_into(&root, file, path)?;
        }
        for folder in ["dev", BOOT_DIR] {
            make_dirs(&root, &root.join(folder))?;
        }
        // Last: a list stands only beside files that are whole.
        durable::write_file(&list_path, list.as_bytes())
    };
    copy().map_err(room_error(format!("cannot fill {}", home.display())))?;
    Ok(root)
}

/// Every file to copy, with the libraries.
async fn sources(furniture: &Furniture) -> Result<Vec<PathBuf>, CageError> {
    let mut all = vec![furniture.program.clone()];
    all.extend(furniture.files.iter().cloned());
    for path in [&furniture.program, &furniture.preload].into_iter().chain(&furniture.files) {
        if path == &furniture.program || path.extension().is_some_and(|end| end == "so") {
            let output = Tool::new("ldd", [path.display().to_string()]).run().await?;
            all.extend(libraries(&String::from_utf8_lossy(&output.stdout)));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// The paths in what ldd(1) prints: `name => path (address)`, or `path (address)`
/// for the loader itself.
fn libraries(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().map(|line| line.split_once("=>").map_or(line, |(_, right)| right));
    let paths = lines.filter_map(|line| line.trim().split(" (").next());
    paths.filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
}

/// The files as they are now, and what they are in the room: another size or time means
/// another file.
fn list(files: &[(&Path, &Path)]) -> Result<String, CageError> {
    let mut list = String::new();
    for (file, path) in files {
        let found = fs::metadata(file);
        let found = found.map_err(room_error(format!("cannot read {}", file.display())))?;
        let (time, path) = (format!("{}.{}", found.mtime(), found.mtime_nsec()), path.display());
        list.push_str(&format!("{path} {} {} {time}\n", file.display(), found.len()));
    }
    Ok(list)
}

/// Copies `file` to what is `path` in the room.
fn copy_into(root: &Path, file: &Path, path: &Path) -> io::Result<()> {
    let target = root.join(path.strip_prefix("/").unwrap_or(path));
    make_dirs(root, target.parent().unwrap_or(root))?;
    fs::copy(file, &target)?;
    // For every VMM's user to read and none to write, whatever our umask is.
    fs::set_permissions(&target, fs::Permissions::from_mode(0o555))
}

fn make_dirs(root: &Path, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for part in dir.ancestors().take_while(|part| part.starts_with(root)) {
        fs::set_permissions(part, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd1f5f2000)\n\
            \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\tlibgone.so => not found\n";
        assert_eq!(
            libraries(text),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libz.so.1"),
                "/lib64/ld-linux-x86-64.so.2".into()
            ]
        );
        assert!(libraries("\tstatically linked\n").is_empty());
    }

    #[tokio::test]
    async fn a_room_is_filled_once_and_again_when_a_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let firmware = dir.path().join("firmware.bin");
        fs::write(&firmware, "one").unwrap();
        let furniture = Furniture {
            program: "/bin/true".into(),
            files: vec![firmware.clone()],
            preload: "/bin/false".into(),
            kvm: false,
        };
        let home = dir.path().join("room");
        let root = fill(&home, &furniture).await.unwrap();
        let inside = root.join(firmware.strip_prefix("/").unwrap());
        let program = root.join("bin/true");
        let made = || fs::metadata(&program).unwrap().ino();
        let first = made();
        fill(&home, &furniture).await.unwrap();
        assert_eq!(made(), first);
        fs::write(&firmware, "another").unwrap();
        fill(&home, &furniture).await.unwrap();
        assert_eq!(fs::read_to_string(inside).unwrap(), "another");
        assert!(root.join("lib64/ld-linux-x86-64.so.2").is_file());
        assert!(root.join("dev").is_dir() && root.join(BOOT_DIR).is_dir());
    }
}
