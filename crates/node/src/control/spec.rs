//! From a request to what a sandbox is to be: pure, with a reason for each refusal.

use std::collections::BTreeMap;
use std::time::Duration;

use pando_types::limits::{
    DEFAULT_CPU, DEFAULT_MEMORY_MIB, DEFAULT_TTL, MAX_CPU, MAX_EGRESS_DENY, MAX_LEASE,
    MAX_MEMORY_MIB, MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS, MAX_METADATA_TOTAL_BYTES,
    MAX_METADATA_VALUE_CHARS, MAX_TTL, MEMORY_STEP_MIB, MIN_MEMORY_MIB,
};
use pando_types::sandbox::{CreateSandbox, SetLifecycle};
use pando_types::snapshot::EXPLORE_TTL_KEY;
use pando_types::{PublicError, SnapshotId};
use pando_vm::driver::Shape;
use pando_vm::network::{Cidr, CidrError};

/// The template of a request that names none.
const DEFAULT_TEMPLATE: &str = "base";
/// What the public SDK sends when its user names no template.
const SDK_DEFAULT_TEMPLATE: &str = "code-interpreter";

/// A request that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub template: String,
    /// What it is made of instead.
    pub snapshot: Option<SnapshotId>,
    pub shape: Shape,
    pub ttl: Option<Duration>,
    pub persistent: bool,
    pub idle_timeout: Option<Duration>,
    pub egress_deny: Vec<Cidr>,
}

pub(super) fn wanted(request: &CreateSandbox) -> Result<Wanted, PublicError> {
    if let Some(pairs) = &request.metadata {
        metadata(pairs)?;
    }
    let snapshot = request.from_snapshot.as_deref().map(snapshot_id).transpose()?;
    let persistent = request.persistent.unwrap_or(false);
    let ttl = match request.ttl_seconds {
        Some(seconds) => Some(ttl(seconds)?),
        None if persistent => None,
        None => Some(DEFAULT_TTL),
    };
    let template = match request.template.as_deref() {
        None | Some(SDK_DEFAULT_TEMPLATE) => DEFAULT_TEMPLATE,
        Some(name) => name,
    };
    Ok(Wanted {
        template: template.to_owned(),
        snapshot,
        shape: shape(request.cpu, request.memory_mb)?,
        ttl,
        persistent,
        idle_timeout: idle_timeout(request.idle_timeout_seconds.unwrap_or(0))?,
        egress_deny: egress_deny(request.egress_deny.as_deref().unwrap_or_default())?,
    })
}

fn snapshot_id(text: &str) -> Result<SnapshotId, PublicError> {
    text.parse().map_err(|_| {
        PublicError::invalid("from_snapshot", "`from_snapshot` is the id of a snapshot: a UUID")
    })
}

/// How long a candidate lives that its metadata gives so many seconds.
pub(super) fn explore_ttl(text: &str) -> Result<Duration, PublicError> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.filter(|span| *span <= MAX_TTL).ok_or_else(|| {
        let most = MAX_TTL.as_secs();
        let message = format!("`{EXPLORE_TTL_KEY}` is a number of seconds, up to {most}");
        PublicError::invalid(format!("metadata.{EXPLORE_TTL_KEY}"), message)
    })
}

pub(super) fn metadata(pairs: &BTreeMap<String, String>) -> Result<(), PublicError> {
    let (mut count, mut total) = (0, 0);
    for (key, value) in pairs {
        count += 1;
        total += key.len() + value.len();
        let shown: String = key.chars().take(40).collect();
        let refused = |what: String| {
            Err(PublicError::invalid(format!("metadata.{shown}"), format!("a metadata {what}")))
        };
        if key.is_empty() || key.chars().count() > MAX_METADATA_KEY_CHARS {
            return refused(format!("key is of 1 to {MAX_METADATA_KEY_CHARS} characters"));
        }
        if value.chars().count() > MAX_METADATA_VALUE_CHARS {
            return refused(format!("value is of at most {MAX_METADATA_VALUE_CHARS} characters"));
        }
        if key.contains('\0') || value.contains('\0') {
            return refused("key or value holds no NUL".to_owned());
        }
    }
    if count > MAX_METADATA_PAIRS || total > MAX_METADATA_TOTAL_BYTES {
        return Err(PublicError::invalid(
            "metadata",
            format!(
                "metadata is at most {MAX_METADATA_PAIRS} pairs, of {MAX_METADATA_TOTAL_BYTES} \
                 bytes together"
            ),
        ));
    }
    Ok(())
}

fn egress_deny(asked: &[String]) -> Result<Vec<Cidr>, PublicError> {
    const FIELD: &str = "egress_deny";
    if asked.len() > MAX_EGRESS_DENY {
        let text = format!("{FIELD} holds at most {MAX_EGRESS_DENY} addresses or networks");
        return Err(PublicError::invalid(FIELD, text));
    }
    let read = |text: &String| {
        text.parse().map_err(|error: CidrError| {
            PublicError::invalid(FIELD, error.to_string())
                .hint("write an address or a network, such as 203.0.113.0/24; IPv6 is off")
        })
    };
    asked.iter().map(read).collect()
}

/// What becomes of a lifecycle, where anything does: `ttl` is `None` for no deadline, and the outer
/// `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LifecycleChange {
    pub ttl: Option<Option<Duration>>,
    pub persistent: Option<bool>,
    pub idle_timeout: Option<Option<Duration>>,
}

pub(super) fn lifecycle(request: &SetLifecycle) -> Result<LifecycleChange, PublicError> {
    let asked = request.ttl_seconds.map(ttl).transpose()?;
    let ttl = match (asked, request.persistent) {
        (Some(ttl), _) => Some(Some(ttl)),
        (None, Some(true)) => Some(None),
        // What is no longer persistent must end some day.
        (None, Some(false)) => Some(Some(DEFAULT_TTL)),
        (None, None) => None,
    };
    let idle_timeout = request.idle_timeout_seconds.map(idle_timeout).transpose()?;
    Ok(LifecycleChange { ttl, persistent: request.persistent, idle_timeout })
}

/// After how long it is put to sleep: never, if that is 0.
fn idle_timeout(seconds: i64) -> Result<Option<Duration>, PublicError> {
    let most = MAX_TTL.as_secs();
    match u64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(seconds) if seconds <= most => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(PublicError::invalid(
            "idle_timeout_seconds",
            format!("`idle_timeout_seconds` is {seconds}; it must be from 0 (never) to {most}"),
        )),
    }
}

/// For how long it is kept awake.
pub(super) fn lease(seconds: i64) -> Result<Duration, PublicError> {
    let most = MAX_LEASE.as_secs();
    match u64::try_from(seconds) {
        Ok(seconds) if (1..=most).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(PublicError::invalid(
            "seconds",
            format!("`seconds` is {seconds}; it must be from 1 to {most}"),
        )),
    }
}

fn ttl(seconds: i64) -> Result<Duration, PublicError> {
    let most = MAX_TTL.as_secs();
    match u64::try_from(seconds) {
        Ok(seconds) if (1..=most).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(PublicError::invalid(
            "ttl_seconds",
            format!("`ttl_seconds` is {seconds}; it must be from 1 to {most}"),
        )),
    }
}

pub(super) fn shape(cpu: Option<i64>, memory_mb: Option<i64>) -> Result<Shape, PublicError> {
    let cpu = match cpu {
        None => DEFAULT_CPU,
        Some(cpu) => {
            u32::try_from(cpu).ok().filter(|cpu| (1..=MAX_CPU).contains(cpu)).ok_or_else(|| {
                PublicError::invalid(
                    "cpu",
                    format!("`cpu` is {cpu}; it must be from 1 to {MAX_CPU}"),
                )
            })?
        }
    };
    let fits = |mib: &u32| {
        (MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(mib) && mib.is_multiple_of(MEMORY_STEP_MIB)
    };
    let memory_mib = match memory_mb {
        None => DEFAULT_MEMORY_MIB,
        Some(mib) => u32::try_from(mib).ok().filter(fits).ok_or_else(|| {
            PublicError::invalid(
                "memory_mb",
                format!(
                    "`memory_mb` is {mib}; it must be from {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB} \
                     in steps of {MEMORY_STEP_MIB}"
                ),
            )
        })?,
    };
    Ok(Shape { cpu, memory_mib })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(request: CreateSandbox) -> Option<String> {
        wanted(&request).unwrap_err().field
    }

    #[test]
    fn what_is_absent_has_a_default() {
        let wanted = wanted(&CreateSandbox::default()).unwrap();
        assert_eq!(wanted.template, "base");
        assert_eq!(wanted.shape, Shape { cpu: 2, memory_mib: 2048 });
        assert_eq!(wanted.ttl, Some(DEFAULT_TTL));
    }

    #[test]
    fn persistent_without_a_ttl_has_no_deadline() {
        let request = CreateSandbox { persistent: Some(true), ..CreateSandbox::default() };
        assert_eq!(wanted(&request).unwrap().ttl, None);
        let request = CreateSandbox { ttl_seconds: Some(9), ..request };
        assert_eq!(wanted(&request).unwrap().ttl, Some(Duration::from_secs(9)));
    }

    #[test]
    fn every_limit_names_its_field() {
        for ttl in [0, -1, i64::MIN, 30 * 24 * 3600 + 1] {
            let request = CreateSandbox { ttl_seconds: Some(ttl), ..CreateSandbox::default() };
            assert_eq!(field(request).as_deref(), Some("ttl_seconds"));
        }
        for cpu in [0, -1, 9, i64::MAX] {
            let request = CreateSandbox { cpu: Some(cpu), ..CreateSandbox::default() };
            assert_eq!(field(request).as_deref(), Some("cpu"));
        }
        for mib in [0, 511, 513, 16385, i64::MAX] {
            let request = CreateSandbox { memory_mb: Some(mib), ..CreateSandbox::default() };
            assert_eq!(field(request).as_deref(), Some("memory_mb"));
        }
    }

    #[test]
    fn metadata_has_its_limits() {
        let with = |pairs: Vec<(String, String)>| CreateSandbox {
            metadata: Some(pairs.into_iter().collect()),
            ..CreateSandbox::default()
        };
        let pair = |key: usize, value: usize| vec![("k".repeat(key), "v".repeat(value))];
        assert!(wanted(&with(pair(64, 512))).is_ok());
        for bad in [pair(0, 1), pair(65, 1), pair(1, 513), vec![("k\0".into(), "v".into())]] {
            assert!(field(with(bad)).is_some_and(|field| field.starts_with("metadata.")));
        }
        let many = |count: usize, size: usize| -> Vec<_> {
            (0..count).map(|number| (number.to_string(), "v".repeat(size))).collect()
        };
        assert!(wanted(&with(many(64, 1))).is_ok());
        assert_eq!(field(with(many(65, 1))).as_deref(), Some("metadata"));
        assert_eq!(field(with(many(33, 512))).as_deref(), Some("metadata"));
    }

    #[test]
    fn what_a_guest_may_not_reach_is_checked() {
        for deny in [vec!["10.0.0.0/33".to_owned()], vec!["10.0.0.0/8".to_owned(); 65]] {
            let request = CreateSandbox { egress_deny: Some(deny), ..CreateSandbox::default() };
            let error = wanted(&request).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("egress_deny"));
        }
    }

    #[test]
    fn a_snapshot_is_named_by_its_id() {
        let of = |id: &str| {
            wanted(&CreateSandbox { from_snapshot: Some(id.into()), ..CreateSandbox::default() })
        };
        assert_eq!(of("x").unwrap_err().field.as_deref(), Some("from_snapshot"));
        let id = SnapshotId::new();
        assert_eq!(of(&id.to_string()).unwrap().snapshot, Some(id));
    }

    #[test]
    fn a_candidates_life_is_a_number_of_seconds() {
        assert_eq!(explore_ttl("600"), Ok(Duration::from_secs(600)));
        assert_eq!(explore_ttl(" 1.5 "), Ok(Duration::from_millis(1500)));
        for text in ["", "soon", "0", "-1", "NaN", "inf", "1e300", "2592001"] {
            let error = explore_ttl(text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("metadata.explore_ttl"), "{text}");
        }
    }
}
