//! Host label → app's sandbox and port: the table that the edge reads on every
//! request, without I/O, and that each flip changes by one entry.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use pando_types::Generation;
use pando_types::route::{RouteChange, RouteTarget};

/// The route table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    table: Arc<RwLock<HashMap<String, Entry>>>,
}

#[derive(Debug, Clone)]
struct Entry {
    generation: Generation,
    target: Option<RouteTarget>,
}

impl Routes {
    /// Takes a change unless the table knows a later one of that host. A
    /// tombstone stays, so that a late change cannot bring a removed host back.
    pub fn apply(&self, change: &RouteChange) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let newer =
            table.get(&change.label).is_none_or(|entry| entry.generation < change.generation);
        if newer {
            table.insert(
                change.label.clone(),
                Entry { generation: change.generation, target: change.target.clone() },
            );
        }
    }

    /// Where `label` leads; `None` for a host that no app has.
    #[must_use]
    pub fn resolve(&self, label: &str) -> Option<RouteTarget> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(label)?.target.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::{AppId, SandboxId};

    fn change(generation: Generation, target: Option<RouteTarget>) -> RouteChange {
        RouteChange { app: AppId::new(), label: "shop-1a2b3c".into(), generation, target }
    }

    #[test]
    fn an_older_change_never_wins() {
        let routes = Routes::default();
        let first = Generation::first().next();
        let target = RouteTarget { sandbox: Some(SandboxId::new()), port: 3000 };
        routes.apply(&change(first.next(), Some(target.clone())));
        routes.apply(&change(first, None));
        assert_eq!(routes.resolve("shop-1a2b3c"), Some(target.clone()));
        routes.apply(&change(first.next().next(), None));
        routes.apply(&change(first.next(), Some(target)));
        assert_eq!(routes.resolve("shop-1a2b3c"), None);
    }
}
