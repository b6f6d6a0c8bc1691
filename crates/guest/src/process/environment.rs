//! What a command finds in its environment.

use std::collections::BTreeMap;

use super::users::User;

/// Where programs are looked for when nothing else is said.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of `user`, with what the template set (the text of its
/// `/etc/environment`) and then what the request set.
pub fn of(
    user: &User,
    template: &str,
    request: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut environment = base(user);
    environment.extend(parse(template));
    environment.extend(request.iter().map(|(key, value)| (key.clone(), value.clone())));
    environment
}

/// The first key or value of a request that no environment can hold.
pub fn find_invalid(request: &BTreeMap<String, String>) -> Option<&str> {
    request
        .iter()
        .find(|(key, value)| !is_key(key) || value.contains('\0'))
        .map(|(key, _)| key.as_str())
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '\0'])
}

fn base(user: &User) -> BTreeMap<String, String> {
    let pairs = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", &user.shell),
        ("LANG", "C.UTF-8"),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// `KEY=VALUE` lines as in `/etc/environment`: one pair of quotes round a value
/// is taken off, `export ` before a key too; nothing is expanded.
fn parse(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let key = key.trim();
        if key.starts_with('#') || !is_key(key) {
            return None;
        }
        let value = unquote(value.trim());
        (!value.contains('\0')).then(|| (key.to_owned(), value.to_owned()))
    })
}

fn unquote(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_quotes() {
        let text =
            "# A=1\n\nB=2\nexport C='three four'\n D = \"five\" \nE=\n=6\nno line\nF=\"x\nG=\"\n";
        let found: Vec<_> = parse(text).collect();
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            found,
            [("B", "2"), ("C", "three four"), ("D", "five"), ("E", ""), ("F", "\"x"), ("G", "\"")]
        );
    }

    #[test]
    fn what_no_environment_can_hold() {
        let of = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(find_invalid(&of("A", "b=c d")), None);
        for (key, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            assert_eq!(find_invalid(&of(key, value)), Some(key));
        }
    }
}
