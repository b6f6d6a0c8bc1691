//! Which accelerator runs the guests.

use pando_vm::driver::Accelerator;
use pando_vm::sys::host;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accel {
    /// KVM where the processor shows it can, else TCG.
    Auto,
    /// KVM, come what may: for a paravirtual KVM together with a kernel that fits it.
    Kvm,
    /// Translation: slower, and works anywhere.
    Tcg,
}

impl Accel {
    /// The accelerator to use; says once, plainly, when guests will be slow.
    pub(crate) fn choose(self) -> Accelerator {
        match self {
            Self::Kvm => {
                if !host::has_kvm() {
                    tracing::warn!(
                        "KVM as asked, though the processor shows no vmx or svm: Debian's kernel \
                         may not boot, then --kernel names one that does"
                    );
                }
                Accelerator::Kvm
            }
            Self::Tcg => Accelerator::Tcg,
            Self::Auto if host::has_kvm() => Accelerator::Kvm,
            Self::Auto => {
                tracing::warn!(
                    "no hardware virtualization here (/dev/kvm and a vmx or svm processor flag): \
                     guests run by translation, 5 to 20 times slower"
                );
                Accelerator::Tcg
            }
        }
    }
}
