//! Which of GitHub's operations a request is.

use serde_json::{Map, Value};

/// The operation of this method and path.
pub(super) fn find<'a>(document: &'a Value, method: &str, path: &str) -> Result<&'a Value, String> {
    let paths = document["paths"].as_object().ok_or("the document has no paths")?;
    let template = most_literal(paths, path).ok_or("GitHub has no such path")?;
    paths[template]
        .get(method.to_ascii_lowercase())
        .ok_or_else(|| format!("GitHub has no {method} at {template}"))
}

/// Of the templates that fit, the one that says most of the path itself.
fn most_literal<'a>(paths: &'a Map<String, Value>, path: &str) -> Option<&'a str> {
    paths
        .keys()
        .filter_map(|template| Some((literals(template, path)?, template.as_str())))
        .max_by_key(|(literals, _)| *literals)
        .map(|(_, template)| template)
}

/// How many segments the template itself spells; none where it does not fit.
fn literals(template: &str, path: &str) -> Option<usize> {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    let mut count = 0;
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return Some(count),
            (Some("{ref}"), Some(_)) if expected.clone().next().is_none() => {
                // A branch's name may hold slashes, and GitHub takes them as they are.
                return Some(count);
            }
            (Some(expected), Some(given)) if expected.starts_with('{') => {
                if given.is_empty() {
                    return None;
                }
            }
            (Some(expected), Some(given)) if expected == given => count += 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_that_says_most_wins() {
        let paths = serde_json::json!({
            "/repos/{owner}/{repo}/commits/{ref}": {},
            "/repos/{owner}/{repo}/commits/{ref}/status": {},
            "/repos/{owner}/{repo}/issues/comments/{comment_id}": {},
            "/repos/{owner}/{repo}/issues/{issue_number}/comments": {},
        });
        let find = |path| most_literal(paths.as_object().unwrap(), path);
        assert_eq!(find("/repos/a/b/commits/main"), Some("/repos/{owner}/{repo}/commits/{ref}"));
        assert_eq!(find("/repos/a/b/commits/x/y"), Some("/repos/{owner}/{repo}/commits/{ref}"));
        assert_eq!(
            find("/repos/a/b/commits/x/status"),
            Some("/repos/{owner}/{repo}/commits/{ref}/status")
        );
        assert_eq!(
            find("/repos/a/b/issues/comments/7"),
            Some("/repos/{owner}/{repo}/issues/comments/{comment_id}")
        );
        assert_eq!(find("/repos/a/b/nowhere"), None);
    }
}
