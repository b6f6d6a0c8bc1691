//! What hostile sources cannot do.

use proptest::prelude::*;

use super::super::files::{ABOVE_FILES, APP_FILES, HEADS, PYTHON_APPS, VERSION_FILES};
use super::super::*;
use super::{dir, plan, sources};

#[test]
fn a_package_json_that_is_too_large_is_named() {
    let mut sources = sources(&["package.json"], &[]);
    sources.app.too_large.insert("package.json".into());
    let error = detect(&Settings::default(), &sources).unwrap_err();
    assert_eq!(error.to_string(), "package.json is no JSON object: it is larger than 1 MiB");
}

/// Such a file once ended the whole server.
#[test]
fn the_deepest_toml_fits_a_small_stack() {
    let dotted = vec!["a"; 79].join(".");
    let text = format!("x={}1{}", format!("{{{dotted}=").repeat(79), "}".repeat(79));
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let all = small.spawn(move || {
        for file in ["pyproject.toml", "Pipfile", "Cargo.toml", "mise.toml", "rust-toolchain.toml"]
        {
            let files = sources(&["main.py"], &[(file, &text), ("go.mod", "module x\n")]);
            let _ = detect(&Settings::default(), &files);
        }
    });
    all.unwrap().join().unwrap();
}

/// Names and beginnings that lead deep into the planners.
fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    let names: Vec<&str> = APP_FILES
        .iter()
        .chain(&PYTHON_APPS)
        .chain(&VERSION_FILES)
        .chain(&HEADS)
        .chain(&ABOVE_FILES)
        .copied()
        .chain(["package.json", "pando.toml"])
        .collect();
    let beginnings = prop_oneof![
        Just("{\"scripts\":{\"build\":\"x\"},\"dependencies\":{\"vite\":\"1\",\"next\":\"1\"}}"),
        Just("{\"workspaces\":[\"**\"],\"packageManager\":\"yarn@4.0.0\",\"name\":\"$(x)\"}"),
        Just("{\"projects\":{\"../x\":{\"architect\":{\"build\":{\"options\":{\"ssr\":{}}}}}}}"),
        Just("flask\nfastapi\n"),
        Just("app = FastAPI()\n"),
        Just("[package]\nname='x'\n"),
        Just("[tool.poetry]\n"),
        Just("lts/*\n"),
        Just("web: x\n"),
        Just("[web]\ncommand = 'x'\n[workers.a]\ncommand = 'a'\n[env]\nA = 'x'\n"),
        Just(""),
    ];
    let one = (proptest::sample::select(names), beginnings, any::<String>(), any::<bool>())
        .prop_map(|(name, text, more, is_more)| {
            let text = if is_more { format!("{text}{more}") } else { text.to_owned() };
            (name.to_owned(), text)
        });
    proptest::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn any_package_json_ends_in_an_answer(text in "[ -~]{0,80}", start in any::<String>()) {
        let _ = plan(&[], &text);
        let package = serde_json::json!({ "main": start, "name": start }).to_string();
        let _ = plan(&[], &package);
    }

    #[test]
    fn any_sources_end_in_an_answer(app in texts(), above in texts(), nested: bool) {
        let pairs = |texts: &[(String, String)], path: &str| {
            let texts: Vec<_> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
            dir(path, &["a.b"], &texts)
        };
        let path = if nested { "apps/web" } else { "" };
        let above = if nested { vec![pairs(&above, "apps"), pairs(&above, "")] } else { vec![] };
        let sources = Sources { app: pairs(&app, path), above };
        let settings = Settings { host: Some("x.test".into()), ..Settings::default() };
        if let Ok(plan) = detect(&settings, &sources) {
            prop_assert!(plan.serve != Serve::Command(String::new()));
            let lines = plan.reasons.iter().chain(&plan.warnings);
            prop_assert!(!lines.clone().any(|line| line.contains(char::is_control)));
            prop_assert!(plan.build.is_none_or(|build| build.len() < 20_000));
            for tool in &plan.tools {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+-/:@".contains(letter);
                prop_assert!(tool.version.chars().all(plain), "{:?}", tool);
                prop_assert!(tool.name.chars().all(plain), "{:?}", tool);
            }
        }
    }
}
