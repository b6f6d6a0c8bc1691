//! Which version of each tool: [`kinds`] says who is asked in which order, [`lines`]
//! which releases there are. The first that names a version is believed, and who
//! says something else is named in a warning.

mod kinds;
mod lines;
mod named;
mod read;

#[cfg(test)]
pub(super) use kinds::SHOWN;
pub(super) use kinds::{
    BUN, DENO, ELIXIR, ERLANG, GO, GRADLE, JAVA, Kind, MAVEN, NODE, NPM, PHP, PIPENV, PNPM, POETRY,
    PYTHON, RUBY, RUST, UV, YARN,
};
pub(in crate::detect) use read::yarnrc;

use kinds::Form;

use super::facts::Facts;
use super::plan::{Plan, Tool};
use super::range::{Range, Tilde};
use super::sources::Dir;
use super::text::shown;
use super::{DetectError, files};

/// What somebody says on a version.
struct Said {
    /// Who: a path in the repository, with the key in it.
    by: String,
    text: String,
    form: Form,
}

impl Said {
    fn sentence(&self, kind: &Kind) -> String {
        let (by, text) = (&self.by, shown(&self.text));
        match self.form {
            Form::Written => format!("{by} was written by {} {text}", kind.name),
            Form::Version | Form::AtLeast | Form::Range(_) => format!("{by} says {text}"),
        }
    }
}

/// Adds a tool in the version that the repository names.
pub(super) fn add(kind: &Kind, facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    if plan.tools.iter().any(|tool| tool.name == kind.name) {
        return Ok(());
    }
    let all = said(kind, facts);
    let Some((first, others)) = all.split_first() else {
        let why = "nothing names a version";
        push(plan, kind.name, format!("{}{}", kind.prefix, kind.default), why);
        return Ok(());
    };
    let version = resolve(kind, first).ok_or_else(|| DetectError::Version {
        tool: kind.name,
        file: first.by.clone(),
        said: shown(&first.text),
        known: known(kind),
    })?;
    for other in others {
        if contradicts(kind, &version, other) {
            let (first, other) = (first.sentence(kind), other.sentence(kind));
            plan.warn(format!("{first}, and {other}: {} {version} is used.", kind.name));
        }
    }
    let why = first.sentence(kind);
    push(plan, kind.name, format!("{}{version}", prefix(kind, &version)), &why);
    Ok(())
}

/// Whether the repository names a version.
pub(super) fn is_named(kind: &Kind, facts: &Facts<'_>) -> bool {
    !said(kind, facts).is_empty()
}

/// Whether nothing but a lockfile names a version.
pub(super) fn is_from_lockfile(kind: &Kind, facts: &Facts<'_>) -> bool {
    said(kind, facts).first().is_none_or(|said| said.form == Form::Written)
}

/// Adds a tool in a version that is known already.
pub(super) fn push(plan: &mut Plan, name: &str, version: String, why: &str) {
    plan.because(&format!("{name} {version}"), why);
    plan.tools.push(Tool { name: name.to_owned(), version, reason: why.to_owned() });
}

/// Adds what `mise.toml` and `.tool-versions` name besides.
pub(super) fn add_others(facts: &Facts<'_>, plan: &mut Plan) {
    for (dir, _) in dirs(facts) {
        for file in named::FILES {
            let Some(whole) = dir.text(file) else { continue };
            for (name, version) in named::all(file, whole) {
                if plan.tools.iter().any(|tool| tool.name == name) {
                    continue;
                }
                let known = all_kinds().into_iter().find(|kind| kind.name == name);
                let by = dir.path_of(file);
                let said = Said { by: by.clone(), text: version.clone(), form: Form::Version };
                let version = match known {
                    Some(kind) => resolve(kind, &said),
                    None => Some(version).filter(|version| named::is_plain(version)),
                };
                let Some(version) = version else { continue };
                push(plan, &name, version, &format!("{by} names it"));
            }
        }
    }
}

/// The Erlang for the Elixir that was chosen.
pub(super) fn erlang_for(elixir: &str) -> &'static str {
    let line = lines::ELIXIR_ERLANG
        .iter()
        .find(|(line, _)| elixir == *line || elixir.starts_with(&format!("{line}.")));
    line.map_or(lines::ERLANG[0], |(_, erlang)| erlang)
}

fn all_kinds() -> [&'static Kind; 19] {
    [
        &NODE, &PYTHON, &RUBY, &GO, &RUST, &PHP, &ELIXIR, &ERLANG, &JAVA, &DENO, &BUN, &PNPM,
        &YARN, &NPM, &UV, &POETRY, &PIPENV, &MAVEN, &GRADLE,
    ]
}

/// The folders that may name a version, and whether they are the app's own or its workspace's.
fn dirs<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (&'a Dir, bool)> {
    let root = facts.root().map(|root| root.path.clone());
    let own = std::iter::once((&facts.sources.app, true));
    own.chain(facts.sources.above.iter().map(move |dir| (dir, Some(&dir.path) == root.as_ref())))
}

/// All that is said, the first to be believed first: the nearest folder, and in it the order
/// of [`kinds`].
fn said(kind: &Kind, facts: &Facts<'_>) -> Vec<Said> {
    let mut all = Vec::new();
    for (dir, is_ours) in dirs(facts) {
        for file in named::FILES {
            let version = dir.text(file).and_then(|whole| named::version(file, whole, kind.name));
            let by = dir.path_of(file);
            all.extend(version.map(|text| Said { by, text, form: Form::Version }));
        }
        for source in kind.sources {
            // What is about a project as a whole counts only where it is the app's.
            if !is_ours && !files::VERSION_FILES.contains(&source.file) {
                continue;
            }
            let Some(text) = dir.text(source.file).and_then(source.read) else { continue };
            let by = dir.path_of(source.file);
            let by = match source.key {
                key if key.is_empty() || source.form == Form::Written => by,
                key => format!("{key} in {by}"),
            };
            all.push(Said { by, text, form: source.form });
        }
    }
    all
}

/// The version that mise is to install; none where there is no such.
fn resolve(kind: &Kind, said: &Said) -> Option<String> {
    let text = said.text.trim();
    if let Form::Range(tilde) = said.form {
        let range = Range::parse(text, tilde)?;
        // What is there already goes before what is newer.
        return range.newest_of(&[kind.default]).or_else(|| range.newest_of(kind.lines));
    }
    let text = text.strip_prefix(kind.prefix).unwrap_or(text);
    // `v22`, `ruby-3.3.6`, `go1.22`
    let text = ["v", kind.name]
        .into_iter()
        .filter_map(|word| Some(text.strip_prefix(word)?.trim_start_matches('-')))
        .find(|rest| begins_with_digit(rest))
        .unwrap_or(text);
    if kind.name == "node"
        && let Some(line) = node_alias(text)
    {
        return Some(line.to_owned());
    }
    if begins_with_digit(text) && named::is_plain(text) {
        let end = text.find(['x', 'X', '*']).unwrap_or(text.len());
        let version = text[..end].trim_end_matches('.');
        // What reads as a version is one; what does not is left to mise where words are.
        return (Range::prefix(version).is_some() || kind.words).then(|| version.to_owned());
    }
    // Some write a range where a version belongs.
    if let Some(newest) = Range::parse(text, Tilde::Npm).and_then(|it| it.newest_of(kind.lines)) {
        return Some(newest);
    }
    (kind.words && named::is_plain(text)).then(|| text.to_owned())
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_digit())
}

/// nvm's and mise's names for lines of Node.
fn node_alias(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let newest = || lines::NODE.iter().filter_map(|it| it.line.parse::<u32>().ok()).max();
    let lts = text.strip_prefix("lts").map(|rest| rest.trim_start_matches(['/', '-', '_']));
    match (text.as_str(), lts) {
        (_, Some("" | "*" | "latest")) => Some(lines::NODE[0].line),
        ("node" | "latest" | "current" | "stable", _) => {
            let newest = newest()?.to_string();
            lines::NODE.iter().map(|it| it.line).find(|line| *line == newest)
        }
        (_, Some(name)) => named_line(name),
        (name, None) => named_line(name),
    }
}

fn named_line(name: &str) -> Option<&'static str> {
    let line = lines::NODE.iter().find(|it| !it.lts.is_empty() && it.lts == name);
    line.map(|it| it.line)
}

/// What is put before a version; nothing before what has a word of its own.
fn prefix(kind: &Kind, version: &str) -> &'static str {
    if begins_with_digit(version) { kind.prefix } else { "" }
}

fn contradicts(kind: &Kind, version: &str, other: &Said) -> bool {
    let Some(chosen) = Range::prefix(version) else { return false };
    let wanted = match other.form {
        Form::Range(tilde) => Range::parse(&other.text, tilde),
        Form::AtLeast => Range::parse(&format!(">={}", other.text), Tilde::Npm),
        Form::Version | Form::Written => {
            resolve(kind, other).and_then(|version| Range::prefix(&version))
        }
    };
    wanted.is_some_and(|wanted| !wanted.meets(&chosen))
}

/// What could be written instead.
fn known(kind: &Kind) -> String {
    let mut known = kind.lines.join(", ");
    if kind.name == "node" {
        let names: Vec<String> = lines::NODE
            .iter()
            .filter(|it| !it.lts.is_empty())
            .map(|it| format!("lts/{}", it.lts))
            .collect();
        known.push_str(", lts/*, ");
        known.push_str(&names.join(", "));
    }
    known
}
