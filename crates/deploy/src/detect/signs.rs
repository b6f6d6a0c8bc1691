//! By what a framework is recognised.

use super::facts::Facts;

/// Something that an app has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// `package.json` names it among its dependencies, of whichever kind.
    Npm(&'static str),
    /// `package.json` has this script.
    Script(&'static str),
    /// A Python dependency.
    Pip(&'static str),
    /// A gem of the `Gemfile`.
    Gem(&'static str),
    /// A file or, with `/`, a folder.
    File(&'static str),
    /// A file that mentions this.
    Text(&'static str, &'static str),
}

impl Sign {
    /// Why it holds; none where it does not.
    pub(super) fn holds(self, facts: &Facts<'_>) -> Option<String> {
        let holds = match self {
            Self::Npm(name) => facts.depends_on(name),
            Self::Script(name) => {
                facts.package.as_ref().is_some_and(|package| package.script(name).is_some())
            }
            Self::Pip(name) => return facts.needs.file_of(name).map(|file| self.said(file)),
            Self::Gem(name) => facts.has_gem(name),
            Self::File(name) => facts.sources.has(name),
            Self::Text(file, text) => {
                facts.sources.text(file).is_some_and(|whole| whole.contains(text))
            }
        };
        holds.then(|| self.said(""))
    }

    fn said(self, file: &str) -> String {
        match self {
            Self::Npm(name) => format!("package.json depends on {name}"),
            Self::Script(name) => format!("package.json has a {name} script"),
            Self::Pip(name) => format!("{file} names {name}"),
            Self::Gem(name) => format!("Gemfile names {name}"),
            Self::File(name) => format!("{name} is there"),
            Self::Text(file, text) => format!("{file} mentions {text}"),
        }
    }

    /// As the documentation shows it.
    #[cfg(test)]
    pub(super) fn shown(self) -> String {
        match self {
            Self::Npm(name) => format!("npm `{name}`"),
            Self::Script(name) => format!("script `{name}`"),
            Self::Pip(name) => format!("pip `{name}`"),
            Self::Gem(name) => format!("gem `{name}`"),
            Self::File(name) => format!("`{name}`"),
            Self::Text(file, text) => format!("`{file}` with `{text}`"),
        }
    }
}
