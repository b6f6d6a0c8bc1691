//! What is wanted, judged whole before anything is stopped or started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::session::{Exec, Failure, FailureKind};
use pando_guest_protocol::supervise::{MAX_GRACE_MS, MAX_SUPERVISED, Supervise, is_process_name};

/// How one process is started, and how long it has to end.
#[derive(Clone, PartialEq)]
pub struct Spec {
    /// What is started.
    pub exec: Exec,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// The processes by name.
pub type Wanted = BTreeMap<Arc<str>, Arc<Spec>>;

/// Takes a list of processes.
///
/// # Errors
/// [`FailureKind::Invalid`], which says of which process what is wrong.
pub fn judge(list: Supervise) -> Result<Wanted, Failure> {
    let Supervise { env: shared, processes } = list;
    if processes.len() > MAX_SUPERVISED {
        let count = processes.len();
        return Err(invalid(format!("{count} processes: there are {MAX_SUPERVISED} at most")));
    }
    let mut wanted = Wanted::new();
    for process in processes {
        let name = process.name;
        if !is_process_name(&name) {
            let shown: String = name.chars().take(64).collect();
            return Err(invalid(format!("`{shown}` is no name of a process")));
        }
        if process.argv.is_empty() {
            return Err(invalid(format!("process {name}: argv is empty")));
        }
        if process.grace_ms > MAX_GRACE_MS {
            return Err(invalid(format!("process {name}: grace_ms is over {MAX_GRACE_MS}")));
        }
        let mut env = shared.clone();
        env.extend(process.env);
        let exec = Exec {
            argv: process.argv,
            cwd: process.cwd,
            env,
            user: process.user,
            timeout_ms: None,
            detached_log: None,
            log_name: None,
            root: process.root,
        };
        let spec = Spec { exec, grace: Duration::from_millis(process.grace_ms) };
        if wanted.insert(name.as_str().into(), Arc::new(spec)).is_some() {
            return Err(invalid(format!("process {name} is named twice")));
        }
    }
    Ok(wanted)
}

fn invalid(message: String) -> Failure {
    Failure { kind: FailureKind::Invalid, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::supervise::Supervised;

    fn process(name: &str) -> Supervised {
        Supervised {
            name: name.into(),
            argv: vec!["true".into()],
            cwd: None,
            env: BTreeMap::new(),
            user: None,
            root: None,
            grace_ms: 0,
        }
    }

    fn refusal(processes: Vec<Supervised>) -> String {
        let refused = judge(Supervise { env: BTreeMap::new(), processes });
        let Err(failure) = refused else { panic!("it is taken") };
        assert_eq!(failure.kind, FailureKind::Invalid);
        failure.message
    }

    #[test]
    fn what_is_wrong_is_said_of_whom() {
        assert!(refusal(vec![process("web"), process("web")]).contains("web is named twice"));
        assert!(refusal(vec![process("no.name")]).contains("`no.name`"));
        assert!(refusal(vec![Supervised { argv: vec![], ..process("web") }]).contains("argv"));
        let long = Supervised { grace_ms: MAX_GRACE_MS + 1, ..process("web") };
        assert!(refusal(vec![long]).contains("grace_ms"));
        let many = (0..=MAX_SUPERVISED).map(|number| process(&format!("p{number}"))).collect();
        assert!(refusal(many).contains("17 processes"));
    }

    #[test]
    fn its_own_environment_is_over_the_shared_one() {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        let web = Supervised { env: pairs(&[("A", "own"), ("PORT", "1")]), ..process("web") };
        let list = Supervise {
            env: pairs(&[("A", "shared"), ("B", "b")]),
            processes: vec![web, process("worker")],
        };
        let wanted = judge(list).unwrap();
        let env = |name: &str| &wanted[name].exec.env;
        assert_eq!(*env("web"), pairs(&[("A", "own"), ("B", "b"), ("PORT", "1")]));
        assert_eq!(*env("worker"), pairs(&[("A", "shared"), ("B", "b")]));
    }
}
