//! The guest kernel: Debian's cloud kernel as a downloaded package, or what the
//! operator names instead.
//!
//! The package is unpacked, never installed: the host keeps its own kernel. Its
//! virtio drivers are modules, so their load order is worked out here once, and
//! the initramfs carries them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pando_vm::sys::command::{self, CommandError, Tool};
use pando_vm::sys::durable;

use crate::data::DataDir;

/// The package that always names the current cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";
/// What a guest needs of its kernel; a kernel that has one built in has no module of that name.
const MODULES: [&str; 9] = [
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "ext4",
    "overlay",
    "xfs",
    // Lists and cuts the connections that a copied machine holds to elsewhere.
    "tcp_diag",
];
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// A kernel image and its modules in load order.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub image: PathBuf,
    pub modules: Vec<PathBuf>,
}

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The package could not be had.
    #[error("cannot get the guest kernel package `{META_PACKAGE}`; name one with --kernel PATH")]
    Package(#[source] CommandError),
    /// The package is not what it should be.
    #[error("the kernel package holds no {0}")]
    Incomplete(&'static str),
    /// A tool failed on it.
    #[error("cannot unpack the kernel package")]
    Unpack(#[source] CommandError),
    /// A file.
    #[error("cannot use the kernel in {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Kernel {
    /// The operator's kernel: an image with everything built in, or a Debian
    /// kernel package (`.deb`).
    pub(crate) async fn of_operator(data: &DataDir, path: &Path) -> Result<Self, KernelError> {
        if path.extension().is_none_or(|extension| extension != "deb") {
            let readable = fs::File::open(path);
            readable.map_err(|source| KernelError::Io { path: path.to_owned(), source })?;
            return Ok(Self { image: path.to_owned(), modules: Vec::new() });
        }
        let bytes =
            fs::read(path).map_err(|source| KernelError::Io { path: path.to_owned(), source })?;
        let version = format!("deb-{}", &blake3::hash(&bytes).to_hex()[..16]);
        Self::from_package(data, path, &version).await
    }

    /// Debian's cloud kernel: what an earlier bake downloaded, or the current one.
    pub(crate) async fn of_debian(data: &DataDir) -> Result<Self, KernelError> {
        let current = data.kernels().join("current");
        if let Ok(version) = fs::read_to_string(&current) {
            let home = data.kernels().join(folder(version.trim()));
            // An earlier Pando may have kept other modules of it.
            if home.exists() {
                return Self::load(&home);
            }
        }
        let package = current_package().await?;
        let staging = data.staging().join("kernel-download");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| KernelError::Io { path, source }
        };
        durable::remove_dir(&staging).map_err(io(&staging))?;
        fs::create_dir_all(&staging).map_err(io(&staging))?;
        // Without a sandbox user: `_apt` may not write where we download to.
        Tool::new("apt-get", ["-o", "APT::Sandbox::User=root", "download", &package])
            .dir(&staging)
            .limit(DOWNLOAD_LIMIT)
            .run()
            .await
            .map_err(KernelError::Package)?;
        let downloaded = fs::read_dir(&staging)
            .and_then(|mut entries| entries.next().transpose())
            .map_err(io(&staging))?
            .ok_or(KernelError::Incomplete("file"))?
            .path();
        let version = downloaded
            .file_stem()
            .map_or_else(|| package.clone(), |stem| stem.to_string_lossy().replace('%', "_"));
        let kernel = Self::from_package(data, &downloaded, &version).await?;
        durable::write_file(&current, version.as_bytes()).map_err(io(&current))?;
        durable::remove_dir(&staging).map_err(io(&staging))?;
        Ok(kernel)
    }

    async fn from_package(
        data: &DataDir,
        package: &Path,
        version: &str,
    ) -> Result<Self, KernelError> {
        let home = data.kernels().join(folder(version));
        if home.exists() {
            return Self::load(&home);
        }
        let staging = data.staging().join(format!("kernel-{version}"));
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| KernelError::Io { path, source }
        };
        durable::remove_dir(&staging).map_err(io(&staging))?;
        let unpacked = staging.join("unpacked");
        fs::create_dir_all(&unpacked).map_err(io(&staging))?;
        let root = unpacked.display().to_string();
        command::run("dpkg-deb", &["-x", &package.display().to_string(), &root], None)
            .await
            .map_err(KernelError::Unpack)?;
        let image = find(&unpacked.join("boot"), "vmlinuz-")
            .ok_or(KernelError::Incomplete("kernel image"))?;
        let release = image
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
            .ok_or(KernelError::Incomplete("kernel image"))?;
        command::run("depmod", &["-b", &root, &release], None)
            .await
            .map_err(KernelError::Unpack)?;
        let files = load_order(&root, &release).await?;
        let kept = staging.join("kept");
        fs::create_dir_all(kept.join("modules")).map_err(io(&kept))?;
        fs::copy(&image, kept.join("vmlinuz")).map_err(io(&image))?;
        let mut order = String::new();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            fs::copy(&file, kept.join("modules").join(&name)).map_err(io(&file))?;
            order.push_str(&name);
            order.push('\n');
        }
        fs::write(kept.join("modules/order"), order).map_err(io(&kept))?;
        durable::rename(&kept, &home).map_err(io(&home))?;
        durable::remove_dir(&staging).map_err(io(&staging))?;
        Self::load(&home)
    }

    fn load(home: &Path) -> Result<Self, KernelError> {
        let order = home.join("modules/order");
        let names = fs::read_to_string(&order)
            .map_err(|source| KernelError::Io { path: order.clone(), source })?;
        let modules = names.lines().map(|name| home.join("modules").join(name)).collect();
        Ok(Self { image: home.join("vmlinuz"), modules })
    }
}

/// The folder of a kernel with these modules: another choice of them is another folder.
fn folder(version: &str) -> String {
    format!("{version}-{}", &blake3::hash(MODULES.join(" ").as_bytes()).to_hex()[..8])
}

/// The package that the meta package names now. A fresh machine has no package
/// lists yet: then they are fetched first.
async fn current_package() -> Result<String, KernelError> {
    let ask = || command::run("apt-cache", &["depends", "--important", META_PACKAGE], None);
    let shown = match ask().await {
        Ok(shown) => shown,
        Err(_) => {
            let update = Tool::new("apt-get", ["update", "-qq"]).limit(DOWNLOAD_LIMIT);
            update.run().await.map_err(KernelError::Package)?;
            ask().await.map_err(KernelError::Package)?
        }
    };
    concrete_package(&String::from_utf8_lossy(&shown.stdout))
        .ok_or(KernelError::Incomplete("dependency on a kernel image"))
}

/// The load order of all that [`MODULES`] need.
async fn load_order(root: &str, release: &str) -> Result<Vec<PathBuf>, KernelError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let arguments = ["-S", release, "-d", root, "--show-depends", module];
        let shown =
            command::run("modprobe", &arguments, None).await.map_err(KernelError::Unpack)?;
        for file in module_files(&String::from_utf8_lossy(&shown.stdout)) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// The files in `modprobe --show-depends` output; `builtin …` lines name none.
fn module_files(shown: &str) -> Vec<PathBuf> {
    shown
        .lines()
        .filter_map(|line| line.strip_prefix("insmod "))
        .filter_map(|rest| rest.split_whitespace().next())
        .map(PathBuf::from)
        .collect()
}

/// The package that `apt-cache depends` names as the image.
fn concrete_package(shown: &str) -> Option<String> {
    shown
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(str::to_owned)
}

fn find(dir: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_concrete_package_is_the_image() {
        let shown = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-41-cloud-amd64\n";
        assert_eq!(concrete_package(shown).as_deref(), Some("linux-image-6.1.0-41-cloud-amd64"));
        assert_eq!(concrete_package("nothing"), None);
    }

    #[test]
    fn built_in_modules_have_no_file() {
        let shown = "insmod /r/lib/modules/6/virtio.ko \nbuiltin ext4\ninsmod /r/b.ko debug=1\n";
        let files = module_files(shown);
        assert_eq!(files, [PathBuf::from("/r/lib/modules/6/virtio.ko"), PathBuf::from("/r/b.ko")]);
    }
}
