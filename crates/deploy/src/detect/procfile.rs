//! A `Procfile`: one process in each line, `name: command`.

use std::collections::BTreeMap;

use pando_guest_protocol::supervise::is_process_name;
use pando_types::limits::MAX_APP_COMMAND_BYTES;

/// The most processes that are taken.
const MAX_PROCESSES: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Procfile {
    pub web: Option<String>,
    pub release: Option<String>,
    /// All others.
    pub workers: BTreeMap<String, String>,
}

impl Procfile {
    pub(super) fn parse(text: &str) -> Self {
        let mut procfile = Self::default();
        let lines = text.lines().filter_map(|line| {
            let (name, command) = line.split_once(':')?;
            let (name, command) = (name.trim(), command.trim());
            let good = is_process_name(name)
                && (1..=MAX_APP_COMMAND_BYTES).contains(&command.len())
                && !command.contains('\0');
            good.then(|| (name, command.to_owned()))
        });
        for (name, command) in lines.take(MAX_PROCESSES) {
            match name {
                "web" => procfile.web = Some(command),
                "release" => procfile.release = Some(command),
                name => {
                    procfile.workers.insert(name.to_owned(), command);
                }
            }
        }
        procfile
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn its_lines() {
        let text = "# all\r\nweb: gunicorn app:app -b :$PORT\r\nrelease:  ./migrate\r\nworker: rq worker\r\n\r\nbad name: x\r\nempty:\r\n";
        let procfile = Procfile::parse(text);
        assert_eq!(procfile.web.as_deref(), Some("gunicorn app:app -b :$PORT"));
        assert_eq!(procfile.release.as_deref(), Some("./migrate"));
        assert_eq!(
            procfile.workers,
            BTreeMap::from([("worker".to_owned(), "rq worker".to_owned())])
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            prop_assert!(Procfile::parse(&text).workers.len() <= MAX_PROCESSES);
        }
    }
}
