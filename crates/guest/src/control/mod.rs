//! The control line: the host says who the machine is, and when it ends.

mod port;
mod shutdown;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pando_guest_protocol::CONTROL_PORT;
use pando_guest_protocol::control::{MAX_LINE_BYTES, ToGuest, ToHost};

pub use shutdown::power_off;

use self::port::Port;
use crate::lines::{Line, Lines};
use crate::session::{self, Access, Token};
use crate::sys::log;
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
pub async fn serve(mut port: Port, access: &Access) -> ControlError {
    match converse(&mut port, access).await {
        Ok(never) => match never {},
        Err(error) => error.into(),
    }
}

async fn converse(port: &mut Port, access: &Access) -> io::Result<std::convert::Infallible> {
    if let Err(error) = session::rehearse(access).await {
        // It only saves time.
        log::info(format_args!("no rehearsal: {error}"));
    }
    let booted = ToHost::Booted { agent: env!("CARGO_PKG_VERSION").to_owned() };
    answer(port, &booted).await?;
    let mut lines = Lines::new(MAX_LINE_BYTES);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = port.read(&mut buffer).await?;
        for line in lines.push(&buffer[..count]) {
            let reply = match line {
                Line::Whole(bytes) => match serde_json::from_slice(&bytes) {
                    Ok(ToGuest::Shutdown) => shutdown::shut_down(access).await,
                    Ok(ToGuest::Clock { wall_clock_ns }) => {
                        if let Err(error) = identity::set_clock(wall_clock_ns) {
                            log::error(format_args!("control: set the clock: {error}"));
                        }
                        continue;
                    }
                    Ok(request) => carry_out(request, access),
                    Err(error) => failed(format!("a line that makes no sense: {error}")),
                },
                Line::TooLong => failed(format!("a line of over {MAX_LINE_BYTES} bytes")),
            };
            if let ToHost::Failed { message } = &reply {
                log::error(format_args!("control: {message}"));
            }
            answer(port, &reply).await?;
        }
    }
}

/// Without awaiting: on the runtime's only thread nothing else happens meanwhile.
fn carry_out(request: ToGuest, access: &Access) -> ToHost {
    match request {
        ToGuest::Restored(new) => {
            access.suspend();
            let Some(token) = Token::parse(&new.token) else {
                return failed("token is malformed".to_owned());
            };
            match identity::adopt(&new, Path::new("/")) {
                Ok(()) => {
                    access.open(token);
                    ToHost::Ready
                }
                Err(error) => failed(error.to_string()),
            }
        }
        ToGuest::Attached { token } => match Token::parse(&token) {
            Some(token) => {
                access.replace(token);
                ToHost::Attached
            }
            None => failed("token is malformed".to_owned()),
        },
        ToGuest::Clock { .. } | ToGuest::Freeze | ToGuest::Thaw { .. } | ToGuest::Shutdown => {
            failed("not at this point".to_owned())
        }
    }
}

fn failed(message: String) -> ToHost {
    ToHost::Failed { message }
}

async fn answer(port: &mut Port, message: &ToHost) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    port.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::control::{Identity, Who};

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

    #[test]
    fn attaching_replaces_the_token() {
        let access = Access::default();
        let (first, second) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(
            carry_out(ToGuest::Attached { token: first.clone() }, &access),
            ToHost::Attached
        );
        assert!(access.admit(&first).is_some());
        assert_eq!(
            carry_out(ToGuest::Attached { token: second.clone() }, &access),
            ToHost::Attached
        );
        assert!(access.admit(&first).is_none());
        let malformed = ToGuest::Attached { token: "short".into() };
        assert!(matches!(carry_out(malformed, &access), ToHost::Failed { .. }));
        assert!(access.admit(&second).is_some());
    }

    #[test]
    fn a_malformed_restore_leaves_the_machine_closed() {
        let access = Access::default();
        let token = "01".repeat(32);
        carry_out(ToGuest::Attached { token: token.clone() }, &access);
        let identity =
            Identity { seed: "00".into(), wall_clock_ns: 0, token: token.clone(), who: Who::Woken };
        let reply = carry_out(ToGuest::Restored(identity), &access);
        assert!(matches!(reply, ToHost::Failed { .. }), "{reply:?}");
        assert!(access.admit(&token).is_none());
    }
}
