//! The host's way out.

use std::fs;

/// The MTU of a host without a default route.
const FALLBACK_MTU: u32 = 1500;

/// The MTU of the link that the default route leaves by, in bytes: what a guest's
/// packets must fit.
pub(super) fn mtu() -> u32 {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    default_device(&routes)
        .and_then(|device| fs::read_to_string(format!("/sys/class/net/{device}/mtu")).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(FALLBACK_MTU)
}

/// The device of the default route with the least metric, in `/proc/net/route`
/// (columns: Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask, …).
fn default_device(routes: &str) -> Option<String> {
    let rows = routes.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 7 && row[1] == "00000000" && row[7] == "00000000")
        .min_by_key(|row| row[6].parse::<u32>().unwrap_or(u32::MAX))
        .map(|row| row[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_least_metric_counts() {
        let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
            eth1 00000000 01 3 0 0 200 00000000 0 0 0\n\
            eth0 00000000 01 3 0 0 100 00000000 0 0 0\n\
            eth0 000200C0 00 1 0 0 0 00FFFFFF 0 0 0\n";
        assert_eq!(default_device(routes).as_deref(), Some("eth0"));
        assert_eq!(default_device("Iface\n"), None);
    }
}
