//! The control line: the host says who the machine is, and when it ends.

mod app_disk;
mod freezer;
mod mount;
mod orders;
mod port;
mod shutdown;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use pando_guest_protocol::CONTROL_PORT;
use pando_guest_protocol::control::{MAX_LINE_BYTES, ToHost};

pub use shutdown::power_off;

use self::orders::{Orders, failed};
use self::port::Port;
use crate::lease::Leases;
use crate::lines::{Line, Lines};
use crate::session::{self, Access, Services};
use crate::sys::{entropy, log, sock_diag};
use crate::{boot, identity};

const READ_BYTES: usize = 4096;

/// Why the control line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The hypervisor gave the machine no such port.
    #[error("no virtio port `{CONTROL_PORT}`: {0}")]
    NoPort(io::Error),
    /// The port failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Finds and opens the control port, within the runtime that will use it.
///
/// # Errors
/// [`ControlError::NoPort`].
pub fn find_port() -> Result<Port, ControlError> {
    let ports = Path::new("/sys/class/virtio-ports");
    let name = boot::wait_for_some(|| port_named(ports, CONTROL_PORT))
        .ok_or_else(|| ControlError::NoPort(io::ErrorKind::NotFound.into()))?;
    let device = Path::new("/dev").join(name);
    boot::wait_for(&device).and_then(|()| Port::open(&device)).map_err(ControlError::NoPort)
}

/// The port whose `name` file holds `name`. Names arrive a little after their ports do.
fn port_named(ports: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(ports).ok()?.flatten().find_map(|port| {
        let found = fs::read_to_string(port.path().join("name")).ok()?;
        (found.trim_end() == name).then(|| port.file_name().into())
    })
}

/// Reports the boot, then does what the host says. Ends only when the port fails.
pub async fn serve(mut port: Port, services: &Services, leases: &Leases) -> ControlError {
    match converse(&mut port, services, leases).await {
        Ok(never) => match never {},
        Err(error) => error.into(),
    }
}

/// Goes once through what every machine of the template goes through at its beginning.
async fn rehearse(access: &Access) -> io::Result<()> {
    session::rehearse(access).await?;
    identity::rehearse(Path::new("/")).map_err(io::Error::other)?;
    entropy::open()?;
    sock_diag::open()?;
    rustix::fs::sync();
    Ok(())
}

async fn converse(
    port: &mut Port,
    services: &Services,
    leases: &Leases,
) -> io::Result<std::convert::Infallible> {
    if let Err(error) = rehearse(&services.access).await {
        // It only saves time.
        log::info(format_args!("no rehearsal: {error}"));
    }
    let booted = ToHost::Booted { agent: env!("CARGO_PKG_VERSION").to_owned() };
    answer(port, &booted).await?;
    let mut orders = Orders::new(services, leases);
    let mut lines = Lines::new(MAX_LINE_BYTES);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = tokio::select! {
            // First: what the host says may be what was waited for.
            biased;
            count = port.read(&mut buffer) => count?,
            () = orders.overdue() => {
                orders.let_go();
                continue;
            }
        };
        for line in lines.push(&buffer[..count]) {
            let reply = match line {
                Line::Whole(bytes) => match serde_json::from_slice(&bytes) {
                    Ok(order) => orders.carry_out(order).await,
                    Err(error) => Some(failed(format!("a line that makes no sense: {error}"))),
                },
                Line::TooLong => Some(failed(format!("a line of over {MAX_LINE_BYTES} bytes"))),
            };
            let Some(reply) = reply else { continue };
            if let ToHost::Failed { message } = &reply {
                log::error(format_args!("control: {message}"));
            }
            // Nobody may be there to take it, and the workload is not held for that.
            let mut answered = pin!(answer(port, &reply));
            loop {
                tokio::select! {
                    biased;
                    sent = &mut answered => break sent?,
                    () = orders.overdue() => orders.let_go(),
                }
            }
        }
    }
}

async fn answer(port: &mut Port, message: &ToHost) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    port.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (port, name) in [("vport1p1", "other\n"), ("vport1p2", "pando.control\n")] {
            fs::create_dir(folder.path().join(port)).unwrap();
            fs::write(folder.path().join(port).join("name"), name).unwrap();
        }
        fs::create_dir(folder.path().join("vport1p3")).unwrap();
        assert_eq!(port_named(folder.path(), CONTROL_PORT), Some("vport1p2".into()));
        assert_eq!(port_named(folder.path(), "none"), None);
    }
}
