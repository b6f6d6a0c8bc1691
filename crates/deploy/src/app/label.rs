//! Labels of hosts: readable, unique, and the same for the life of the app, or of
//! the pull request, over its close and reopening.

use pando_types::AppId;

/// The longest label that DNS takes (RFC 1035).
const MAX_LABEL_BYTES: usize = 63;
/// Digits of the id that keep two apps of one name apart.
const ID_DIGITS: usize = 6;

/// The label of an app.
pub(crate) fn app(name: &str, id: AppId) -> String {
    assemble("", name, id)
}

/// The label of a preview: made from its parent, so that it never changes.
pub(crate) fn preview(pr_number: u64, parent_name: &str, parent: AppId) -> String {
    assemble(&format!("pr-{pr_number}-"), parent_name, parent)
}

fn assemble(prefix: &str, name: &str, id: AppId) -> String {
    let digits = &id.short()[..ID_DIGITS];
    let room = MAX_LABEL_BYTES - prefix.len() - digits.len() - 1;
    let slug: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(room)
        .collect();
    let slug = slug.to_ascii_lowercase();
    let slug = slug.trim_matches('-');
    format!("{prefix}{}-{digits}", if slug.is_empty() { "app" } else { slug })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_label_is_one_for_dns(name in "[ -~]{0,80}", number in any::<u64>()) {
            let id = AppId::new();
            for label in [app(&name, id), preview(number, &name, id)] {
                prop_assert!(label.len() <= MAX_LABEL_BYTES);
                prop_assert!(!label.starts_with('-') && !label.ends_with('-'));
                prop_assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
                // `<port>-<uuid>` names a sandbox's port.
                let rest = label.split_once('-').map(|(_, rest)| rest).unwrap_or_default();
                prop_assert!(rest.parse::<pando_types::SandboxId>().is_err());
            }
        }
    }

    #[test]
    fn labels_are_readable() {
        let id: AppId = "1a2b3c4d-0000-4000-8000-000000000000".parse().unwrap();
        assert_eq!(app("shop", id), "shop-1a2b3c");
        assert_eq!(preview(7, "shop", id), "pr-7-shop-1a2b3c");
    }
}
