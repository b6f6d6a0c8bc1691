//! The files that name versions of many tools: `mise.toml` and `.tool-versions`.

use super::super::text;

/// The most tools that one file may name.
const MAX_TOOLS: usize = 32;

/// The files, the first over the later.
pub(super) const FILES: [&str; 3] = ["mise.toml", ".mise.toml", ".tool-versions"];

/// Each tool and its version, as the file has them.
pub(super) fn all(file: &str, whole: &str) -> Vec<(String, String)> {
    let mut tools = if file == ".tool-versions" {
        tool_versions(whole)
    } else {
        mise(whole).unwrap_or_default()
    };
    tools.retain(|(name, version)| is_name(name) && is_version(version));
    tools.truncate(MAX_TOOLS);
    tools
}

/// The version of one tool.
pub(super) fn version(file: &str, whole: &str, tool: &str) -> Option<String> {
    all(file, whole).into_iter().find(|(name, _)| name == tool).map(|(_, version)| version)
}

fn tool_versions(whole: &str) -> Vec<(String, String)> {
    let tools = text::lines(whole).filter_map(|line| {
        let mut words = line.split_whitespace();
        // More versions may follow: the first is the one that is used.
        Some((usual(words.next()?), words.next()?.to_owned()))
    });
    tools.collect()
}

fn mise(whole: &str) -> Option<Vec<(String, String)>> {
    let table = text::toml(whole)?;
    let tools = table.get("tools")?.as_table()?.iter().filter_map(|(name, value)| {
        let one = match value {
            toml::Value::Array(versions) => versions.first()?,
            one => one,
        };
        let version = match one {
            toml::Value::Table(table) => table.get("version")?,
            version => version,
        };
        let version = match version {
            toml::Value::String(version) => version.clone(),
            toml::Value::Integer(version) => version.to_string(),
            toml::Value::Float(version) => version.to_string(),
            _ => return None,
        };
        Some((usual(name), version))
    });
    Some(tools.collect())
}

/// A tool as mise calls it: asdf has other names for some.
fn usual(name: &str) -> String {
    match name {
        "nodejs" => "node",
        "golang" => "go",
        name => name,
    }
    .to_owned()
}

/// What may stand on a command line as the name of a tool.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/_.@-".contains(&byte);
    name.len() <= 128
        && name.bytes().all(plain)
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

/// What is a version, or a name for one (`lts/*`). A path or a ref of a repository is not.
fn is_version(version: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-/*".contains(&byte);
    (1..=64).contains(&version.len()) && version.bytes().all(plain)
}

/// What may stand on a command line as a version.
pub(super) fn is_plain(version: &str) -> bool {
    is_version(version)
        && !version.contains(['/', '*'])
        && version.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_they_name() {
        let text = "# all\r\nnodejs 20.11.1 18\r\ngolang  1.22\r\n--x 1\r\nok ref:main\r\n";
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(all(".tool-versions", text), [pair("node", "20.11.1"), pair("go", "1.22")]);
        let text = "[tools]\nnode = '20'\npython = ['3.12', '3.11']\n\"npm:x\" = { version = \"1\" }\ngo = 1.22\nruby = 3\nbad = true\n";
        assert_eq!(
            all("mise.toml", text),
            [
                pair("go", "1.22"),
                pair("node", "20"),
                pair("npm:x", "1"),
                pair("python", "3.12"),
                pair("ruby", "3")
            ]
        );
        assert_eq!(version("mise.toml", text, "ruby").as_deref(), Some("3"));
        assert!(all("mise.toml", "[tools").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            for file in FILES {
                prop_assert!(all(file, &text).len() <= MAX_TOOLS);
            }
        }
    }
}
