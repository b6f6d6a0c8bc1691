//! Where a Python app is: the module and the name that a server is told.

use super::super::Sources;
use super::super::files::PYTHON_APPS;
use super::super::text;

/// Functions that make an app.
const FACTORIES: [&str; 2] = ["create_app", "make_app"];

/// What a server is told: `app.main:app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub module: String,
    pub name: String,
    /// The file it was found in.
    pub file: &'static str,
    /// Whether the name is a function that makes the app.
    pub is_factory: bool,
}

/// The app that calls a class: `app = FastAPI(…)`.
pub(super) fn of(sources: &Sources, class: &str) -> Option<Entry> {
    let found = |look: &dyn Fn(&str) -> Option<String>, is_factory: bool| {
        PYTHON_APPS.into_iter().find_map(|file| {
            let name = look(sources.text(file)?)?;
            Some(Entry { module: module(file), name, file, is_factory })
        })
    };
    found(&|code| made(code, class), false).or_else(|| found(&factory, true))
}

/// The first file that may be run.
pub(super) fn script(sources: &Sources) -> Option<&'static str> {
    PYTHON_APPS.into_iter().find(|file| !file.ends_with("__init__.py") && sources.has(file))
}

/// The name that a line at the left margin gives to a new object of a class.
fn made(code: &str, class: &str) -> Option<String> {
    let call = format!("{class}(");
    code.lines().find_map(|line| {
        let (before, value) = line.split_once('=')?;
        let value = value.trim_start();
        // `FastAPI(` and `fastapi.FastAPI(`
        let at = value.find(&call)?;
        if !(at == 0 || value[..at].ends_with('.')) || value[..at].contains(['(', ' ']) {
            return None;
        }
        let name = before.split(':').next()?.trim_end();
        is_identifier(name).then(|| name.to_owned())
    })
}

fn factory(code: &str) -> Option<String> {
    let names = code.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next());
    names.map(str::trim).find(|name| FACTORIES.contains(name)).map(str::to_owned)
}

pub(super) fn is_identifier(text: &str) -> bool {
    let mut letters = text.chars();
    text.len() <= 64
        && letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_')
        && letters.all(|letter| text::is_word(letter) && letter != '$' && letter.is_ascii())
}

fn module(file: &str) -> String {
    let module = file.trim_end_matches(".py").replace('/', ".");
    module.trim_end_matches(".__init__").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_makes() {
        let of = |code: &str| made(code, "FastAPI");
        assert_eq!(of("x = 1\napp = FastAPI(title='a')").as_deref(), Some("app"));
        assert_eq!(of("api: FastAPI = fastapi.FastAPI(").as_deref(), Some("api"));
        assert_eq!(of("    app = FastAPI()"), None);
        assert_eq!(of("app = make(FastAPI())"), None);
        assert_eq!(of("# app = FastAPI()"), None);
        assert_eq!(factory("def create_app(config=None):").as_deref(), Some("create_app"));
        assert_eq!(module("app/__init__.py"), "app");
        assert_eq!(module("app/main.py"), "app.main");
    }
}
