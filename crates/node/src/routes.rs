//! Host label → app's sandbox and port, and domain → label: the tables that the edge reads on
//! every request, without I/O, and that each flip changes by one entry.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use pando_types::Generation;
use pando_types::route::{DomainChange, RouteChange, RouteTarget};

/// The route tables. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<RwLock<Tables>>);

/// A domain leads wherever the label does that it stands for, so one change of a label's entry
/// moves all of an app's names at once.
#[derive(Debug, Default)]
struct Tables {
    labels: HashMap<String, Entry<RouteTarget>>,
    domains: HashMap<String, Entry<String>>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    generation: Generation,
    value: Option<T>,
}

impl Routes {
    /// Takes a change unless the table knows a later one of that host. A
    /// tombstone stays, so that a late change cannot bring a removed host back.
    pub fn apply(&self, change: &RouteChange) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        put(&mut tables.labels, &change.label, change.generation, change.target.as_ref());
    }

    /// The same for a domain.
    pub fn apply_domain(&self, change: &DomainChange) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        put(&mut tables.domains, &change.name, change.generation, change.label.as_ref());
    }

    /// Where `label` leads; `None` for a host that no app has.
    #[must_use]
    pub fn resolve(&self, label: &str) -> Option<RouteTarget> {
        self.tables().labels.get(label)?.value.clone()
    }

    /// Whether `name`, in lower case, is the domain of an app.
    #[must_use]
    pub fn is_domain(&self, name: &str) -> bool {
        self.tables().domains.get(name).is_some_and(|entry| entry.value.is_some())
    }

    /// Where the domain `name` leads; `None` for one that no app has.
    #[must_use]
    pub fn resolve_domain(&self, name: &str) -> Option<RouteTarget> {
        let tables = self.tables();
        let label = tables.domains.get(name)?.value.as_ref()?;
        tables.labels.get(label)?.value.clone()
    }

    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put<T: Clone>(
    table: &mut HashMap<String, Entry<T>>,
    key: &str,
    generation: Generation,
    value: Option<&T>,
) {
    if table.get(key).is_none_or(|entry| entry.generation < generation) {
        table.insert(key.to_owned(), Entry { generation, value: value.cloned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::{AppId, SandboxId};

    const LABEL: &str = "shop-1a2b3c";
    const DOMAIN: &str = "shop.example.com";

    fn change(generation: Generation, target: Option<RouteTarget>) -> RouteChange {
        RouteChange { app: AppId::new(), label: LABEL.into(), generation, target }
    }

    fn named(generation: Generation, label: Option<&str>) -> DomainChange {
        DomainChange { name: DOMAIN.into(), generation, label: label.map(str::to_owned) }
    }

    fn target() -> RouteTarget {
        RouteTarget { sandbox: Some(SandboxId::new()), port: 3000 }
    }

    #[test]
    fn an_older_change_never_wins() {
        let routes = Routes::default();
        let first = Generation::first().next();
        let target = target();
        routes.apply(&change(first.next(), Some(target.clone())));
        routes.apply(&change(first, None));
        assert_eq!(routes.resolve(LABEL), Some(target.clone()));
        routes.apply(&change(first.next().next(), None));
        routes.apply(&change(first.next(), Some(target)));
        assert_eq!(routes.resolve(LABEL), None);
    }

    #[test]
    fn a_domain_leads_where_its_label_does() {
        let routes = Routes::default();
        let first = Generation::first().next();
        routes.apply_domain(&named(first, Some(LABEL)));
        assert!(routes.is_domain(DOMAIN) && !routes.is_domain(LABEL));
        assert_eq!(routes.resolve_domain(DOMAIN), None);
        for generation in [first, first.next()] {
            let target = target();
            routes.apply(&change(generation, Some(target.clone())));
            assert_eq!(routes.resolve_domain(DOMAIN), Some(target));
        }
        routes.apply_domain(&named(first.next(), None));
        routes.apply_domain(&named(first, Some(LABEL)));
        assert!(!routes.is_domain(DOMAIN));
        assert_eq!(routes.resolve_domain(DOMAIN), None);
        assert!(routes.resolve(LABEL).is_some());
    }
}
