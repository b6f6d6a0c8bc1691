//! What a Python app depends on, by name.

use std::collections::BTreeMap;

use super::super::Sources;
use super::super::text;

/// The most names that are kept.
const MAX_NEEDS: usize = 5_000;
const REQUIREMENTS: [&str; 4] = [
    "requirements.txt",
    "requirements/base.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
];

/// Names of packages as PyPI compares them, and the file that has each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::detect) struct Needs {
    files: BTreeMap<String, &'static str>,
}

impl Needs {
    pub(in crate::detect) fn of(sources: &Sources) -> Self {
        let mut needs = Self::default();
        for file in REQUIREMENTS {
            for line in sources.text(file).into_iter().flat_map(text::lines) {
                needs.add(line, file);
            }
        }
        let table = |file: &str| sources.text(file).and_then(text::toml);
        if let Some(project) = table("pyproject.toml") {
            let list = project.get("project").and_then(|it| it.get("dependencies")?.as_array());
            for line in list.into_iter().flatten().filter_map(toml::Value::as_str) {
                needs.add(line, "pyproject.toml");
            }
            let poetry = project.get("tool").and_then(|it| it.get("poetry")?.get("dependencies"));
            needs.add_table(poetry, "pyproject.toml");
        }
        if let Some(pipfile) = table("Pipfile") {
            needs.add_table(pipfile.get("packages"), "Pipfile");
        }
        needs
    }

    /// The file that names a package.
    pub(in crate::detect) fn file_of(&self, name: &str) -> Option<&'static str> {
        self.files.get(name).copied()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A table of packages, with their extras.
    fn add_table(&mut self, table: Option<&toml::Value>, file: &'static str) {
        for (name, value) in table.and_then(toml::Value::as_table).into_iter().flatten() {
            self.add(name, file);
            let extras = value.get("extras").and_then(toml::Value::as_array);
            for extra in extras.into_iter().flatten().filter_map(toml::Value::as_str) {
                self.add(&format!("{name}[{extra}]"), file);
            }
        }
    }

    /// A requirement: `Django[argon2]>=5 ; python_version > "3"`.
    fn add(&mut self, requirement: &str, file: &'static str) {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let end = requirement.find(|letter| !is_name(letter)).unwrap_or(requirement.len());
        let name = usual(&requirement[..end]);
        if name.is_empty() || name.starts_with('-') || self.files.len() >= MAX_NEEDS {
            return;
        }
        let rest = requirement[end..].trim_start();
        let extras = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        for extra in extras.into_iter().flat_map(|(extras, _)| extras.split(',')).take(16) {
            self.files.entry(format!("{name}[{}]", usual(extra.trim()))).or_insert(file);
        }
        self.files.entry(name).or_insert(file);
    }
}

fn usual(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sources::Dir;

    #[test]
    fn requirements_of_all_kinds() {
        let texts = [
            ("requirements.txt", "-r base.txt\nDjango>=5 # web\nfastapi[standard,all]==0.1;x\n"),
            (
                "pyproject.toml",
                "[project]\ndependencies=['Flask_Login~=1']\n[tool.poetry.dependencies]\npython='^3.9'\nuvicorn={extras=['standard'],version='*'}\n",
            ),
            ("Pipfile", "[packages]\ngunicorn='*'\n"),
        ];
        let texts = texts.into_iter().map(|(file, text)| (file.to_owned(), text.to_owned()));
        let app = Dir { texts: texts.collect(), ..Dir::default() };
        let needs = Needs::of(&Sources { app, above: Vec::new() });
        for (name, file) in [
            ("django", "requirements.txt"),
            ("fastapi", "requirements.txt"),
            ("fastapi[standard]", "requirements.txt"),
            ("flask-login", "pyproject.toml"),
            ("uvicorn[standard]", "pyproject.toml"),
            ("gunicorn", "Pipfile"),
        ] {
            assert_eq!(needs.file_of(name), Some(file), "{name}");
        }
        assert!(!needs.has("-r") && !needs.has("flask"));
    }
}
