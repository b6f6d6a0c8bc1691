//! The demo's repository: a small Node app with one dependency, in `demo/hello`.

/// Its name.
pub(crate) const NAME: &str = "pando/hello";
/// Its default branch.
pub(crate) const BRANCH: &str = "main";
/// Its files.
pub(crate) const FILES: &[(&str, &[u8])] = &[
    (".gitignore", b"node_modules/\n"),
    ("README.md", include_bytes!("../demo/hello/README.md")),
    ("message.txt", include_bytes!("../demo/hello/message.txt")),
    ("package.json", include_bytes!("../demo/hello/package.json")),
    ("package-lock.json", include_bytes!("../demo/hello/package-lock.json")),
    ("public/leaf.svg", include_bytes!("../demo/hello/public/leaf.svg")),
    ("public/style.css", include_bytes!("../demo/hello/public/style.css")),
    ("server.js", include_bytes!("../demo/hello/server.js")),
];
/// A branch that is one commit ahead, ready for a pull request.
pub(crate) const PROPOSED_BRANCH: &str = "change-the-greeting";
/// What that commit changes.
pub(crate) const PROPOSED_FILES: &[(&str, &[u8])] =
    &[("message.txt", b"Good morning from a pull request.\n")];
/// What that commit says.
pub(crate) const PROPOSED_MESSAGE: &str = "Change the greeting";
