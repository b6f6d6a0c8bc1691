//! How each file says which version it wants.

use serde_json::Value;

use super::super::text;
use super::lines::{PNPM_OF_LOCKFILE, YARN_OF_METADATA};

/// The first line that says something.
pub(super) fn first_line(whole: &str) -> Option<String> {
    text::lines(whole).next().map(str::to_owned)
}

/// The text at a path of keys.
pub(super) fn json(whole: &str, keys: &[&str]) -> Option<String> {
    let value: Value = serde_json::from_str(whole).ok()?;
    let found = keys.iter().try_fold(&value, |value, key| value.get(key))?;
    filled(found.as_str()?)
}

/// The text at a path of keys.
pub(super) fn toml(whole: &str, keys: &[&str]) -> Option<String> {
    let (first, rest) = keys.split_first()?;
    let table = text::toml(whole)?;
    let found = rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))?;
    filled(found.as_str()?)
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// `devEngines.runtime`: one engine or a list of them.
pub(super) fn dev_engine(whole: &str) -> Option<String> {
    let value: Value = serde_json::from_str(whole).ok()?;
    let runtime = value.get("devEngines")?.get("runtime")?;
    let one = match runtime {
        Value::Array(all) => all.iter().find(|one| one["name"] == "node")?,
        one => (one["name"] == "node").then_some(one)?,
    };
    filled(one.get("version")?.as_str()?)
}

/// Heroku's `python-3.12.1`, and the bare version of others.
pub(super) fn runtime_txt(whole: &str) -> Option<String> {
    let line = first_line(whole)?;
    Some(line.strip_prefix("python-").unwrap_or(&line).to_owned())
}

/// `ruby "3.3.1"`, `ruby '~> 3.3', '>= 3.3.1'`.
pub(super) fn gemfile(whole: &str) -> Option<String> {
    let line = whole.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("ruby")?;
        rest.starts_with([' ', '(', '\t']).then_some(rest)
    })?;
    // `ruby file: ".ruby-version"` is read where that file is.
    let first = line.trim_start_matches([' ', '(', '\t']);
    let quoted: Vec<&str> = first.split(['"', '\'']).skip(1).step_by(2).take(4).collect();
    text::literal(first)?;
    filled(&quoted.into_iter().filter(|it| !it.contains('/')).collect::<Vec<_>>().join(", "))
}

/// `   ruby 3.3.1p55` under `RUBY VERSION`.
pub(super) fn gemfile_lock(whole: &str) -> Option<String> {
    let mut lines = whole.lines().skip_while(|line| line.trim() != "RUBY VERSION").skip(1);
    let version = lines.next()?.trim().strip_prefix("ruby ")?;
    filled(version.split('p').next()?)
}

/// `go 1.22` or `toolchain go1.22.3`.
pub(super) fn go_mod(whole: &str, key: &str) -> Option<String> {
    whole.lines().find_map(|line| {
        let line = line.split("//").next()?.trim();
        let version = line.strip_prefix(key)?.strip_prefix(' ')?.trim();
        if version == "default" {
            return None;
        }
        filled(version.strip_prefix("go").unwrap_or(version))
    })
}

/// `17`, `1.8`, and what jEnv puts before: `openjdk64-17.0.2`.
pub(super) fn java_version(whole: &str) -> Option<String> {
    first_line(whole).map(|line| java_line(&line).to_owned())
}

/// Java 8 has two names.
fn java_line(version: &str) -> &str {
    version.strip_prefix("1.").filter(|rest| *rest == "8").unwrap_or(version)
}

/// `name=value` of a properties file.
pub(super) fn property(whole: &str, name: &str) -> Option<String> {
    let value = text::lines(whole).find_map(|line| {
        let (key, value) = line.split_once(['=', ':'])?;
        (key.trim() == name).then_some(value)
    })?;
    filled(java_line(value.trim()))
}

/// What Maven compiles for.
pub(super) fn pom(whole: &str) -> Option<String> {
    const TAGS: [&str; 4] =
        ["java.version", "maven.compiler.release", "maven.compiler.target", "release"];
    TAGS.iter().find_map(|tag| {
        let rest = whole.split_once(&format!("<{tag}>"))?.1;
        let value = rest.split_once('<')?.0.trim();
        is_number(java_line(value)).then(|| java_line(value).to_owned())
    })
}

/// What Gradle compiles for.
pub(super) fn gradle(whole: &str) -> Option<String> {
    let toolchain = ["JavaLanguageVersion.of(", "jvmToolchain("].iter().find_map(|call| {
        let inside = whole.split_once(call)?.1.split_once(')')?.0;
        filled(inside.trim_matches(['"', '\'', ' ']))
    });
    let compatibility = || {
        let value = text::assigned(whole, "sourceCompatibility")?;
        let value = value.rsplit("VERSION_").next()?.trim_matches(['"', '\'', ' ']);
        filled(&value.replace('_', "."))
    };
    let found = toolchain.or_else(compatibility)?;
    is_number(java_line(&found)).then(|| java_line(&found).to_owned())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 8 && text.bytes().all(|it| it.is_ascii_digit() || it == b'.')
}

/// The pnpm that wrote the lockfile.
pub(super) fn pnpm_lock(whole: &str) -> Option<String> {
    let version = whole.lines().find_map(|line| line.strip_prefix("lockfileVersion:"))?;
    let version = version.trim().trim_matches(['"', '\'']);
    let written = PNPM_OF_LOCKFILE.iter().find(|(lockfile, _)| version.starts_with(lockfile));
    written.map(|(_, pnpm)| (*pnpm).to_owned())
}

/// The Yarn that wrote the lockfile.
pub(super) fn yarn_lock(whole: &str) -> Option<String> {
    if !whole.contains("__metadata:") {
        return whole.contains("yarn lockfile v1").then(|| "1".to_owned());
    }
    let after = whole.split_once("__metadata:")?.1;
    let version = after.lines().find_map(|line| line.trim().strip_prefix("version:"))?;
    let version: u64 = version.trim().parse().ok()?;
    let written = YARN_OF_METADATA.iter().find(|(metadata, _)| version >= *metadata);
    written.map(|(_, yarn)| (*yarn).to_owned())
}

/// `yarnPath: .yarn/releases/yarn-4.1.0.cjs`.
pub(super) fn yarn_path(whole: &str) -> Option<String> {
    let path = whole.lines().find_map(|line| line.strip_prefix("yarnPath:"))?;
    let name = path.trim().trim_matches(['"', '\'']).rsplit('/').next()?;
    filled(name.strip_prefix("yarn-")?.strip_suffix(".cjs")?)
}

/// `# This file is automatically @generated by Poetry 1.8.3 and …`.
pub(super) fn poetry_lock(whole: &str) -> Option<String> {
    let after = whole.lines().next()?.split_once("generated by Poetry ")?.1;
    filled(after.split(' ').next()?)
}

/// The value of a key of `.yarnrc.yml`.
pub(in crate::detect) fn yarnrc<'a>(whole: &'a str, key: &str) -> Option<&'a str> {
    let value = whole.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_file_in_its_own_way() {
        let is = |found: Option<String>, wanted: &str| assert_eq!(found.as_deref(), Some(wanted));
        is(first_line("\r\n# why\r\nlts/iron # x\r\n"), "lts/iron");
        is(runtime_txt("python-3.11.4\n"), "3.11.4");
        is(gemfile("source 'x'\nruby '~> 3.3', \">= 3.3.1\"\n"), "~> 3.3, >= 3.3.1");
        assert_eq!(gemfile("ruby file: '.ruby-version'"), None);
        is(gemfile_lock("GEM\nRUBY VERSION\n   ruby 3.3.1p55\n"), "3.3.1");
        is(go_mod("module x\n\ngo 1.22 // old\ntoolchain go1.22.3\n", "go"), "1.22");
        is(go_mod("go 1.22\ntoolchain go1.22.3\n", "toolchain"), "1.22.3");
        is(property("a=b\njava.runtime.version = 17\n", "java.runtime.version"), "17");
        is(pom("<properties><java.version>1.8</java.version>"), "8");
        assert_eq!(pom("<java.version>${x}</java.version>"), None);
        is(gradle("languageVersion = JavaLanguageVersion.of(21)"), "21");
        is(gradle("sourceCompatibility = JavaVersion.VERSION_1_8"), "8");
        is(gradle("sourceCompatibility = '17'"), "17");
        is(pnpm_lock("lockfileVersion: '6.0'\n"), "8");
        is(pnpm_lock("lockfileVersion: 5.4\n"), "7");
        is(yarn_lock("# yarn lockfile v1\n"), "1");
        is(yarn_lock("__metadata:\n  version: 8\n  cacheKey: 10\n"), "4");
        is(yarn_path("nodeLinker: pnp\nyarnPath: .yarn/releases/yarn-3.6.4.cjs\n"), "3.6.4");
        is(poetry_lock("# This file is automatically @generated by Poetry 1.8.3 and x\n"), "1.8.3");
        is(dev_engine(r#"{"devEngines":{"runtime":{"name":"node","version":"^22"}}}"#), "^22");
        is(java_version("1.8\n"), "8");
        assert_eq!(text::assigned_literal("elixir: \"~> 1.14\",", "elixir"), Some("~> 1.14"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>(), head in "(go |ruby |__metadata:|yarnPath:|ruby \"|<release>|RUBY VERSION\n)?") {
            let text = format!("{head}{text}");
            for kind in super::super::kinds::SHOWN {
                for source in kind.sources {
                    let _ = (source.read)(&text);
                }
            }
        }
    }
}
