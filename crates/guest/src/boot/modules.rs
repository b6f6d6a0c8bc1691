//! Kernel modules, in the order in which the initramfs lists them.

use std::fs::{self, File};
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;

use super::{BootError, Step};
use crate::sys::log;

const FOLDER: &str = "/modules";
/// `MODULE_INIT_COMPRESSED_FILE`: the kernel unpacks it.
const COMPRESSED: i32 = 4;

/// Loads every module that `/modules/order` names. One that fails is logged and
/// passed over: what needed it says more clearly what is missing.
pub fn load() -> Result<(), BootError> {
    let order = Path::new(FOLDER).join("order");
    let order = fs::read_to_string(&order).step(format!("read {}", order.display()))?;
    for name in names(&order) {
        let file = File::open(Path::new(FOLDER).join(name)).step(format!("open module {name}"))?;
        let flags = if name.ends_with(".ko") { 0 } else { COMPRESSED };
        match finit_module(&file, c"", flags) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => log::error(format_args!("module {name}: {error}")),
        }
    }
    Ok(())
}

fn names(order: &str) -> impl Iterator<Item = &str> {
    order.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Gives back the memory of the module files; they are loaded and the initramfs is about to be hidden.
pub fn discard() {
    if let Err(error) = fs::remove_dir_all(FOLDER) {
        log::info(format_args!("{FOLDER} stays in memory: {error}"));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blank_lines_are_no_modules() {
        let found: Vec<_> = super::names("virtio.ko\n\n  virtio_blk.ko \n").collect();
        assert_eq!(found, ["virtio.ko", "virtio_blk.ko"]);
    }
}
