//! What the kernel command line says to the agent.

use std::fs;

use super::{BootError, Step};

/// Fits in common tunnels, so it works under an uplink that the host did not look at.
const DEFAULT_MTU_BYTES: u16 = 1400;
/// The least that IPv4 guarantees to carry whole.
const LEAST_MTU_BYTES: u16 = 576;

/// The parameters that are the agent's.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `pando.mtu`: the link's largest packet.
    pub mtu_bytes: u16,
}

/// Reads `/proc/cmdline`.
pub fn read() -> Result<Parameters, BootError> {
    Ok(parse(&fs::read_to_string("/proc/cmdline").step("read the kernel command line")?))
}

/// As the kernel does, the last of two equal parameters counts. A value that makes no sense counts as absent.
fn parse(line: &str) -> Parameters {
    let mtu_bytes = line
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("pando.mtu="))
        .filter_map(|value| value.parse().ok())
        .rfind(|bytes| *bytes >= LEAST_MTU_BYTES)
        .unwrap_or(DEFAULT_MTU_BYTES);
    Parameters { mtu_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_is_read_or_has_a_default() {
        assert_eq!(parse("quiet pando.mtu=1280\n").mtu_bytes, 1280);
        assert_eq!(parse("pando.mtu=1280 pando.mtu=9000").mtu_bytes, 9000);
        for senseless in ["", "pando.mtu=", "pando.mtu=12", "pando.mtu=70000", "xpando.mtu=900"] {
            assert_eq!(parse(senseless).mtu_bytes, DEFAULT_MTU_BYTES, "{senseless}");
        }
    }
}
