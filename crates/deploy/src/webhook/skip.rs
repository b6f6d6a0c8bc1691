//! Words by which a commit asks not to be deployed. The rule, which `docs/apps.md` tells: any of
//! them, in any case, anywhere in the message of the commit that a push ends at, or in the title of
//! a pull request. A webhook about a pull request does not hold its commits' messages.

const WORDS: [&str; 4] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip pando]"];

/// The word that is in a text.
pub(super) fn word(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    WORDS.into_iter().find(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_anywhere_and_nothing_else_is_one() {
        for (text, found) in [
            ("Typo [skip ci]", Some("[skip ci]")),
            ("[CI Skip] ä", Some("[ci skip]")),
            ("Title\n\nBody.\n[no ci]\n", Some("[no ci]")),
            ("x[Skip Pando]x", Some("[skip pando]")),
            ("", None),
            ("skip ci", None),
            ("[skip  ci]", None),
            ("[skip]", None),
        ] {
            assert_eq!(word(text), found, "{text}");
        }
    }
}
