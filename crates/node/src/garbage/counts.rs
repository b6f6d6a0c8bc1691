//! What was removed, for the operator.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// How many things were removed since the server started, and what came free.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    things: Family<OfKind, Counter>,
    bytes: Family<OfKind, Counter>,
}

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "What can be made anew and was removed because the disk was short";
        registry.register("evictions", help, self.things.clone());
        let help = "What came free of the disk by that, in bytes";
        registry.register("evicted_bytes", help, self.bytes.clone());
    }

    pub(super) fn add(&self, kind: &'static str, bytes: u64) {
        self.things.get_or_create(&OfKind { kind }).inc();
        self.bytes.get_or_create(&OfKind { kind }).inc_by(bytes);
    }
}
