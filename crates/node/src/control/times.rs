//! How long creates take, part by part.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The parts of a create, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The org's quota, and the row.
    Admit,
    /// The wait for its turn, and the machine, until its agent answers.
    Make,
    /// What was made goes into the row.
    Record,
    /// All of it.
    Whole,
}

impl Phase {
    const fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Make => "make",
            Self::Record => "record",
            Self::Whole => "whole",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    phase: &'static str,
}

/// The times of creates that succeeded. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct CreateTimes(Family<Labels, Histogram, fn() -> Histogram>);

impl Default for CreateTimes {
    fn default() -> Self {
        // From a row's write to a bake that others wait for: 2 ms to 65 s.
        Self(Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.002, 2.0, 16))))
    }
}

impl CreateTimes {
    pub(super) fn observe(&self, phase: Phase, span: Duration) {
        self.0.get_or_create(&Labels { phase: phase.word() }).observe(span.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Seconds that successful creates took, by phase";
        registry.register("sandbox_create_duration_seconds", help, self.0.clone());
    }
}
