//! The command line of a machine, as a pure function.
//!
//! A device state fits only the machine that saved it, so boot and restore share
//! every device here: same order, same ids, same sizes. The `microvm` machine
//! (QEMU's docs/system/i386/microvm.rst) has no PCI and finds its virtio-mmio
//! devices by ACPI.

use crate::cage::{BOOT_DIR, MEMORY_PATH};
use crate::driver::{Accelerator, Caching, MachineName, SPARE_DISK_BYTES, SPARE_DISKS, Shape};
use pando_guest_protocol::control::spare_serial;
use pando_guest_protocol::{CONTROL_PORT, GUEST_MAC};

/// The names of what a machine boots, in [`BOOT_DIR`].
pub(super) const KERNEL: &str = "kernel";
pub(super) const INITRAMFS: &str = "initramfs";
/// How much of a restored guest's console QEMU keeps, in bytes. It is in memory:
/// a file would grow as long as the guest likes.
const CONSOLE_BYTES: usize = 64 << 10;

/// How the memory file is mapped, and what that is for.
pub(super) enum Start<'a> {
    /// Boot the kernel in the room with writes to memory going into the file.
    Boot { command_line: &'a str, console_fd: i32 },
    /// Load device state from this inherited descriptor, with writes to memory staying private.
    Restore { state_fd: i32 },
}

/// The descriptors of the disks; an empty spare has none.
pub(super) struct DiskDescriptors {
    pub root: i32,
    pub spares: [Option<i32>; SPARE_DISKS],
}

/// All that the command line says.
pub(super) struct Arguments<'a> {
    pub name: &'a MachineName,
    pub accelerator: Accelerator,
    pub shape: Shape,
    pub disks: DiskDescriptors,
    pub caching: Caching,
    pub tap_fd: i32,
    /// Inherited descriptors of the two listening sockets.
    pub monitor_fd: i32,
    pub control_fd: i32,
    pub start: Start<'a>,
}

/// Sparse translation blocks: 256 MiB is the smallest cache at which builds do not slow down.
const TCG: &str = "tcg,thread=multi,tb-size=256";

/// What a translated processor is without. `erms`: with it kernels and C libraries copy
/// and clear by `rep movsb` and `rep stosb`, which are translated into a loop of single
/// bytes, 8 times slower than what they do otherwise. The other three cost on every entry
/// into the kernel, switch and page walk, and guard a guest's kernel from its own user.
const TCG_CPU: &str = "max,erms=off,smap=off,la57=off,pku=off";

/// The processor that a guest finds.
pub(super) fn cpu(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "host",
        Accelerator::Tcg => TCG_CPU,
    }
}

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
                MEMORY_PATH,
                if shared { "on" } else { "off" },
            ),
        );
        push("-m", memory);
        push("-smp", self.shape.cpu.to_string());
        push("-cpu", cpu(self.accelerator).into());
        push(
            "-accel",
            match self.accelerator {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => TCG,
            }
            .into(),
        );
        for flag in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            push(flag, String::new());
        }
        push("-display", "none".into());
        push(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into(),
        );

        let disk = |id: &str, fd: i32| [file_set(fd), file_disk(id, fd, self.caching)];
        let [set, backend] = disk("root", self.disks.root);
        push("-add-fd", set);
        push("-blockdev", backend);
        push("-device", "virtio-blk-device,drive=root,serial=pando-root".into());
        for (index, spare) in self.disks.spares.iter().enumerate() {
            let id = format!("spare{index}");
            let backend = match spare {
                Some(fd) => {
                    let [set, backend] = disk(&id, *fd);
                    push("-add-fd", set);
                    backend
                }
                None => {
                    format!("driver=null-co,node-name={id},size={SPARE_DISK_BYTES},read-zeroes=on")
                }
            };
            push("-blockdev", backend);
            let serial = spare_serial(index);
            push("-device", format!("virtio-blk-device,drive={id},serial={serial}"));
        }
        push("-netdev", format!("tap,id=net0,fd={}", self.tap_fd));
        // It need not tell a network where it is now: its tap leads to the host alone.
        let network = format!("virtio-net-device,netdev=net0,mac={GUEST_MAC},guest_announce=off");
        push("-device", network);
        push("-device", "virtio-rng-device".into());
        push("-chardev", format!("socket,id=control,fd={},server=on,wait=off", self.control_fd));
        push("-device", "virtio-serial-device".into());
        push("-device", format!("virtserialport,chardev=control,name={CONTROL_PORT}"));
        match &self.start {
            Start::Boot { console_fd, .. } => {
                push("-add-fd", file_set(*console_fd));
                push("-chardev", format!("file,id=console,path={}", in_set(*console_fd)));
            }
            Start::Restore { .. } => {
                push("-chardev", format!("ringbuf,id=console,size={CONSOLE_BYTES}"));
            }
        }
        push("-serial", "chardev:console".into());
        push("-chardev", format!("socket,id=monitor,fd={},server=on,wait=off", self.monitor_fd));
        push("-mon", "chardev=monitor,mode=control".into());

        // A device state saved without memory carries no configuration section.
        push("-global", "migration.send-configuration=off".into());
        match &self.start {
            // A restored guest has long booted: it would only cost the copy in memory.
            Start::Boot { command_line, .. } => {
                push("-kernel", format!("/{BOOT_DIR}/{KERNEL}"));
                push("-initrd", format!("/{BOOT_DIR}/{INITRAMFS}"));
                push("-append", (*command_line).to_owned());
            }
            Start::Restore { state_fd } => push("-incoming", format!("fd:{state_fd}")),
        }
        arguments
    }
}

/// A guest's flush is an `fdatasync` of the file: a guest's fsync reaches the host's disk.
fn file_disk(id: &str, fd: i32, caching: Caching) -> String {
    let direct = match caching {
        Caching::Host => "off",
        Caching::None => "on",
    };
    format!(
        "driver=raw,node-name={id},discard=unmap,cache.direct={direct},file.driver=file,\
         file.aio=threads,file.discard=unmap,file.cache.direct={direct},file.filename={}",
        in_set(fd)
    )
}

/// Makes an inherited descriptor one that QEMU opens by path; each is its own set.
fn file_set(fd: i32) -> String {
    format!("fd={fd},set={fd}")
}

fn in_set(fd: i32) -> String {
    format!("/dev/fdset/{fd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(start: Start<'_>) -> Vec<String> {
        let name = MachineName { owner: "n".into(), machine: "m".into() };
        Arguments {
            name: &name,
            accelerator: Accelerator::Tcg,
            shape: Shape { cpu: 2, memory_mib: 2048 },
            disks: DiskDescriptors { root: 20, spares: [None, Some(21), None] },
            caching: Caching::Host,
            tap_fd: 13,
            monitor_fd: 10,
            control_fd: 11,
            start,
        }
        .to_vec()
    }

    #[test]
    fn boot_and_restore_differ_only_in_how_memory_and_console_start() {
        let boot = arguments(Start::Boot { command_line: "quiet", console_fd: 14 });
        let restore = arguments(Start::Restore { state_fd: 12 });
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|argument| !those.contains(argument)).cloned().collect()
        };
        let memory = "memory-backend-file,id=ram,size=2048M,mem-path=/memory,share=";
        assert_eq!(
            only(&boot, &restore),
            [
                &format!("{memory}on"),
                "fd=14,set=14",
                "file,id=console,path=/dev/fdset/14",
                "-kernel",
                "/boot/kernel",
                "-initrd",
                "/boot/initramfs",
                "-append",
                "quiet"
            ]
        );
        assert_eq!(
            only(&restore, &boot),
            [&format!("{memory}off"), "ringbuf,id=console,size=65536", "-incoming", "fd:12"]
        );
    }

    #[test]
    fn an_empty_spare_has_no_file() {
        let all = arguments(Start::Restore { state_fd: 12 }).join(" ");
        assert!(all.contains("driver=null-co,node-name=spare0,size=68719476736"));
        assert!(all.contains("-add-fd fd=21,set=21"));
        assert!(all.contains("node-name=spare1,discard=unmap,cache.direct=off,file.driver=file"));
    }
}
