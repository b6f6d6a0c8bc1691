//! Who a restored machine is.
//!
//! Clones of one snapshot wake up equal in everything: random pool, clock, names.
//! [`adopt`] makes them different, in an order that matters: the pool first, so
//! that nothing drawn later can be the same in two of them.

mod hex;
mod names;

use std::io;
use std::path::Path;

use pando_guest_protocol::control::{Identity, Who};

pub use hex::decode as decode_hex;
pub use names::rehearse;

use crate::sys::clock;
use crate::sys::entropy::{self, SEED_BYTES};

/// Why a machine could not become another.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The host sent something malformed; nothing was changed.
    #[error("{field} is malformed")]
    Malformed {
        /// Which part.
        field: &'static str,
    },
    /// The system refused a step.
    #[error("{step}: {source}")]
    Step {
        /// Which one.
        step: String,
        /// Its answer.
        source: io::Error,
    },
}

/// Becomes `identity`: random pool, clock, and where it is a new machine hostname and
/// machine id. `root` is `/` but in tests.
///
/// # Errors
/// [`IdentityError`]; after [`IdentityError::Step`] the machine is partly changed and must not serve.
pub fn adopt(identity: &Identity, root: &Path) -> Result<(), IdentityError> {
    let seed: [u8; SEED_BYTES] = validate(identity)?;
    entropy::reseed(seed).map_err(step("reseed the random pool"))?;
    clock::set(identity.wall_clock_ns).map_err(step("set the clock"))?;
    let Who::Copy { hostname, machine_id } = &identity.who else { return Ok(()) };
    rustix::system::sethostname(hostname.as_bytes())
        .map_err(|error| step("set the hostname")(error.into()))?;
    names::write(root, hostname, machine_id)
}

fn step(name: impl Into<String>) -> impl FnOnce(io::Error) -> IdentityError {
    move |source| IdentityError::Step { step: name.into(), source }
}

/// Checks every part before any is used. Gives the decoded seed.
fn validate(identity: &Identity) -> Result<[u8; SEED_BYTES], IdentityError> {
    let malformed = |field| IdentityError::Malformed { field };
    if let Who::Copy { hostname, machine_id } = &identity.who {
        if !names::is_hostname(hostname) {
            return Err(malformed("hostname"));
        }
        decode_hex::<16>(machine_id).ok_or(malformed("machine_id"))?;
    }
    decode_hex(&identity.seed).ok_or(malformed("seed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(hostname: &str, machine_id: &str) -> Identity {
        let who = Who::Copy { hostname: hostname.into(), machine_id: machine_id.into() };
        Identity {
            seed: "5a".repeat(32),
            wall_clock_ns: 0,
            token: "00".repeat(32),
            who,
            mounts: Vec::new(),
        }
    }

    #[test]
    fn a_whole_identity_is_valid() {
        let copy = identity("stem-1", "0123456789abcdef0123456789abcdef");
        assert_eq!(validate(&copy).unwrap(), [0x5a; 32]);
        assert_eq!(validate(&Identity { who: Who::Woken, ..copy }).unwrap(), [0x5a; 32]);
    }

    #[test]
    fn what_is_malformed_is_named() {
        let good = "0123456789abcdef0123456789abcdef";
        let unseeded = Identity { seed: String::new(), ..identity("stem-1", good) };
        let cases = [
            ("hostname", identity("a b", good)),
            ("machine_id", identity("stem-1", &format!("{good}0"))),
            ("machine_id", identity("stem-1", &"g".repeat(32))),
            ("seed", unseeded.clone()),
            ("seed", Identity { who: Who::Woken, ..unseeded }),
        ];
        for (field, spoiled) in cases {
            let error = validate(&spoiled).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }
}
