//! Whose lines there may be.

use pando_types::{Code, PublicError};

use crate::deployment::WEB;
use crate::detect::Plan;

/// Whether a deployment has a process, or a cron, of that name, said something or not.
pub(super) fn has(plan: &Plan, name: &str) -> bool {
    name == WEB
        || plan.processes.iter().any(|process| process.name == name)
        || plan.cron.iter().any(|cron| cron.name == name)
}

/// The refusal of another.
pub(super) fn missing(plan: &Plan, name: &str) -> PublicError {
    let quoted = |name: &str| format!("`{name}`");
    let others = plan.processes.iter().map(|process| quoted(&process.name));
    let processes = std::iter::once(quoted(WEB)).chain(others).collect::<Vec<_>>().join(", ");
    let cron = plan.cron.iter().map(|cron| quoted(&cron.name)).collect::<Vec<_>>().join(", ");
    let cron = if cron.is_empty() { cron } else { format!(", and of cron {cron}") };
    let message = format!("no process `{name}`: what is live has {processes}{cron}");
    PublicError { field: Some("process".to_owned()), ..PublicError::new(Code::NotFound, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(more: &serde_json::Value) -> Plan {
        let mut plan = serde_json::json!({
            "framework": "node", "serve": {"command": "npm start"}, "reasons": [],
        });
        plan.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn a_refusal_names_those_that_there_are() {
        let alone = plan(&serde_json::json!({}));
        assert!(has(&alone, "web") && !has(&alone, "worker"));
        let message = missing(&alone, "worker").message;
        assert_eq!(message, "no process `worker`: what is live has `web`");
        let cron = serde_json::json!({"name": "nightly", "schedule": "0 3 * * *", "command": "x", "timeout_seconds": 60});
        let more = serde_json::json!({
            "processes": [{"name": "worker", "command": "x"}], "cron": [cron],
        });
        let more = plan(&more);
        assert!(["web", "worker", "nightly"].iter().all(|name| has(&more, name)));
        let refusal = missing(&more, "nope");
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::NotFound, Some("process")));
        let want = "no process `nope`: what is live has `web`, `worker`, and of cron `nightly`";
        assert_eq!(refusal.message, want);
    }
}
