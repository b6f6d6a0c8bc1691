//! The command line of a machine, as a pure function.
//!
//! A device state fits only the machine that saved it, so boot and restore share
//! every device here: same order, same ids, same sizes. The `microvm` machine
//! (QEMU's docs/system/i386/microvm.rst) has no PCI and finds its virtio-mmio
//! devices by ACPI.

use std::path::Path;

use crate::driver::{Accelerator, Disks, MachineName, SPARE_DISK_BYTES, Shape};
use pando_guest_protocol::{CONTROL_PORT, GUEST_MAC};

/// How the memory file is mapped, and what that is for.
pub(super) enum Start<'a> {
    /// Boot this kernel with writes to memory going into the file.
    Boot { kernel: &'a Path, initramfs: &'a Path, command_line: &'a str },
    /// Load device state from this inherited descriptor, with writes to memory staying private.
    Restore { state_fd: i32 },
}

/// All that the command line says.
pub(super) struct Arguments<'a> {
    pub name: &'a MachineName,
    pub accelerator: Accelerator,
    pub shape: Shape,
    pub memory: &'a Path,
    pub disks: &'a Disks,
    /// Inherited descriptors of the two listening sockets.
    pub monitor_fd: i32,
    pub control_fd: i32,
    pub start: Start<'a>,
}

/// Sparse translation blocks: 256 MiB is the smallest cache at which builds do not slow down.
const TCG: &str = "tcg,thread=multi,tb-size=256";

impl Arguments<'_> {
    pub(super) fn to_vec(&self) -> Vec<String> {
        let mut arguments = Vec::with_capacity(64);
        let mut push = |flag: &str, value: String| {
            arguments.push(flag.to_owned());
            if !value.is_empty() {
                arguments.push(value);
            }
        };
        let shared = matches!(self.start, Start::Boot { .. });
        let memory = format!("{}M", self.shape.memory_mib);

        push("-name", format!("{},debug-threads=on", self.name.to_argument()));
        push("-M", "microvm,acpi=on,memory-backend=ram".into());
        push(
            "-object",
            format!(
                "memory-backend-file,id=ram,size={memory},mem-path={},share={}",
                escape(self.memory),
                if shared { "on" } else { "off" },
            ),
        );
        push("-m", memory);
        push("-smp", self.shape.cpu.to_string());
        let (cpu, accelerator) = match self.accelerator {
            Accelerator::Kvm => ("host", "kvm"),
            Accelerator::Tcg => ("max", TCG),
        };
        push("-cpu", cpu.into());
        push("-accel", accelerator.into());
        for flag in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            push(flag, String::new());
        }
        push("-display", "none".into());
        push(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into(),
        );

        push("-blockdev", file_disk("root", &self.disks.root));
        push("-device", "virtio-blk-device,drive=root,serial=pando-root".into());
        for (index, spare) in self.disks.spares.iter().enumerate() {
            let id = format!("spare{index}");
            let backend = match spare {
                Some(path) => file_disk(&id, path),
                None => {
                    format!("driver=null-co,node-name={id},size={SPARE_DISK_BYTES},read-zeroes=on")
                }
            };
            push("-blockdev", backend);
            push("-device", format!("virtio-blk-device,drive={id},serial=pando-{id}"));
        }
        push("-netdev", "tap,id=net0,ifname=tap0,script=no,downscript=no".into());
        push("-device", format!("virtio-net-device,netdev=net0,mac={GUEST_MAC}"));
        push("-device", "virtio-rng-device".into());
        push("-chardev", format!("socket,id=control,fd={},server=on,wait=off", self.control_fd));
        push("-device", "virtio-serial-device".into());
        push("-device", format!("virtserialport,chardev=control,name={CONTROL_PORT}"));
        push("-chardev", "file,id=console,path=console.log".into());
        push("-serial", "chardev:console".into());
        push("-chardev", format!("socket,id=monitor,fd={},server=on,wait=off", self.monitor_fd));
        push("-mon", "chardev=monitor,mode=control".into());

        // A device state saved without memory carries no configuration section.
        push("-global", "migration.send-configuration=off".into());
        match &self.start {
            // A restored guest has long booted: it would only cost the copy in memory.
            Start::Boot { kernel, initramfs, command_line } => {
                push("-kernel", kernel.display().to_string());
                push("-initrd", initramfs.display().to_string());
                push("-append", (*command_line).to_owned());
            }
            Start::Restore { state_fd } => push("-incoming", format!("fd:{state_fd}")),
        }
        arguments
    }
}

/// Guest writes go through the page cache and a guest's flush is an `fdatasync`
/// of the file: a guest's fsync reaches the host's disk.
fn file_disk(id: &str, path: &Path) -> String {
    format!(
        "driver=raw,node-name={id},discard=unmap,file.driver=file,file.aio=threads,\
         file.discard=unmap,file.filename={}",
        escape(path)
    )
}

/// In QEMU's option syntax a comma within a value is doubled.
fn escape(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(start: Start<'_>) -> Vec<String> {
        let name = MachineName { owner: "n".into(), machine: "m".into() };
        let disks = Disks {
            root: "/d/a,b/root.raw".into(),
            spares: [None, Some("/d/layer.raw".into()), None],
        };
        Arguments {
            name: &name,
            accelerator: Accelerator::Tcg,
            shape: Shape { cpu: 2, memory_mib: 2048 },
            memory: Path::new("/m"),
            disks: &disks,
            monitor_fd: 10,
            control_fd: 11,
            start,
        }
        .to_vec()
    }

    #[test]
    fn boot_and_restore_differ_only_in_how_memory_starts() {
        let boot = arguments(Start::Boot {
            kernel: Path::new("/k"),
            initramfs: Path::new("/i"),
            command_line: "quiet",
        });
        let restore = arguments(Start::Restore { state_fd: 12 });
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|argument| !those.contains(argument)).cloned().collect()
        };
        let memory = "memory-backend-file,id=ram,size=2048M,mem-path=/m,share=";
        assert_eq!(
            only(&boot, &restore),
            [&format!("{memory}on"), "-kernel", "/k", "-initrd", "/i", "-append", "quiet"]
        );
        assert_eq!(only(&restore, &boot), [&format!("{memory}off"), "-incoming", "fd:12"]);
    }

    #[test]
    fn a_comma_in_a_path_cannot_start_an_option() {
        let all = arguments(Start::Restore { state_fd: 12 }).join(" ");
        assert!(all.contains("file.filename=/d/a,,b/root.raw"));
    }

    #[test]
    fn an_empty_spare_has_no_file() {
        let all = arguments(Start::Restore { state_fd: 12 }).join(" ");
        assert!(all.contains("driver=null-co,node-name=spare0,size=68719476736"));
        assert!(all.contains("node-name=spare1,discard=unmap,file.driver=file"));
    }
}
