//! The name of a branch, as a user gives it.

use pando_types::PublicError;

use crate::git::is_branch;

/// Refuses what is no branch's name in `field`.
pub(crate) fn judge(field: &str, text: &str) -> Result<(), PublicError> {
    short(field, text)?;
    if is_branch(text) {
        return Ok(());
    }
    let message = format!("{field} is not a name that git takes for a branch");
    Err(PublicError::invalid(field, message))
}

/// Refuses the full name of a ref in `field`, which takes a branch: forges tell of pushes by the
/// short one, so nothing would ever fit. That git lets a branch itself be called `refs/heads/x`
/// helps nobody.
pub(crate) fn short(field: &str, text: &str) -> Result<(), PublicError> {
    if !text.starts_with("refs/") {
        return Ok(());
    }
    let message = format!("{field} is the full name of a ref, and not that of a branch");
    let short = text.strip_prefix("refs/heads/").filter(|short| is_branch(short));
    let hint = short.map_or_else(
        || "branches alone are deployed, by their short names: main".to_owned(),
        |short| format!("give the short name: {short}"),
    );
    Err(PublicError::invalid(field, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_is_refused_with_the_short_one() {
        let hint = |name| short("git_branch", name).err().and_then(|refused| refused.hint);
        assert_eq!(hint("refs/heads/feature/x").as_deref(), Some("give the short name: feature/x"));
        let others = "branches alone are deployed, by their short names: main";
        for name in ["refs/tags/v1", "refs/heads/", "refs/pull/7/head"] {
            assert_eq!(hint(name).as_deref(), Some(others), "{name}");
        }
        for name in ["refs", "refsx/y", "heads/main"] {
            assert_eq!(short("git_branch", name), Ok(()), "{name}");
        }
    }
}
