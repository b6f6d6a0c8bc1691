//! What is read, what is said of what is not, and that code, schema and documentation agree.

mod agreement;
mod bad;
mod documentation;

use proptest::prelude::*;

use super::*;
use crate::detect::{Framework, Protocol};

fn good(text: &str) -> Manifest {
    read(FILE_NAME, text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(good(""), Manifest::default());
    assert_eq!(good("# later\n[web]\n[env]\n"), Manifest::default());
}

#[test]
fn what_a_file_says() {
    let manifest = good(
        "[build]\nframework = 'nextjs'\ninstall = ''\nsecrets = ['NPM_TOKEN']\n\
         [web]\ncommand = 'node .'\nport = 8080\nhealth = { protocol = 'tcp', grace_seconds = 5 }\n\
         [workers.mailer]\ncommand = 'node mail.js'\n\
         [cron.nightly]\nschedule = '0  3 * * *'\ncommand = './nightly'\n\
         [env]\nPREVIEW = 'no'\n[preview.env]\nPREVIEW = 'yes'\n",
    );
    assert_eq!(manifest.build.framework, Some(Framework::Nextjs));
    assert_eq!(manifest.build.install.as_deref(), Some(""));
    assert_eq!(manifest.build.secrets, ["NPM_TOKEN"]);
    assert_eq!(
        (manifest.web.port, manifest.web.health.protocol),
        (Some(8080), Some(Protocol::Tcp))
    );
    assert_eq!(manifest.workers.unwrap()["mailer"].command, "node mail.js");
    assert_eq!(manifest.cron["nightly"].command, "./nightly");
    assert_eq!((&*manifest.env["PREVIEW"], &*manifest.preview.env["PREVIEW"]), ("no", "yes"));
    assert_eq!(good("[workers]").workers.map(|workers| workers.len()), Some(0));
}

#[test]
fn limits_hold_on_both_sides() {
    let workers = |most: usize| {
        (0..most).map(|i| format!("[workers.w{i}]\ncommand = 'x'\n")).collect::<String>()
    };
    let crons = |most: usize| {
        let one = |i| format!("[cron.c{i}]\nschedule = '* * * * *'\ncommand = 'x'\n");
        (0..most).map(one).collect::<String>()
    };
    let name = |bytes| format!("[workers.{}]\ncommand = 'x'\n", "a".repeat(bytes));
    let command = |bytes| format!("[web]\ncommand = '{}'\n", "x".repeat(bytes));
    let comment = |bytes| "#".repeat(bytes);
    for (good, bad) in [
        (workers(15), workers(16)),
        (crons(8), crons(9)),
        (name(32), name(33)),
        (command(4096), command(4097)),
        (comment(MAX_BYTES), comment(MAX_BYTES + 1)),
        ("web.port = 1".into(), "web.port = 0".into()),
        ("web.port = 0xFFFF".into(), "web.port = 65_536".into()),
        ("web.port = 1022".into(), "web.port = 1023".into()),
        ("resources.cpu = 8".into(), "resources.cpu = 9".into()),
        ("resources.memory_mb = 768".into(), "resources.memory_mb = 700".into()),
        ("preview.idle_minutes = 43200".into(), "preview.idle_minutes = 43201".into()),
        ("web.health.grace_seconds = 900".into(), "web.health.grace_seconds = 901".into()),
    ] {
        assert_eq!(check(FILE_NAME, &good), Ok(()));
        assert!(check(FILE_NAME, &bad).is_err(), "{bad}");
    }
}

/// Each key of a dotted one is a table, and so is each inline table: they multiply.
#[test]
fn the_deepest_file_fits_a_small_stack() {
    let dotted = vec!["a"; 79].join(".");
    for times in [1, 10, 64, 79, 400] {
        let inline = format!("{}1{}", format!("{{{dotted}=").repeat(times), "}".repeat(times));
        let list = format!("{}1{}", "[".repeat(times), "]".repeat(times));
        for text in [format!("x={inline}"), format!("x={list}"), format!("env={inline}")] {
            let small = std::thread::Builder::new().stack_size(1 << 20);
            let read = small.spawn(move || check(FILE_NAME, &text)).unwrap().join().unwrap();
            assert!(read.is_err());
        }
    }
}

/// How deep tables and lists lie in each other, of whatever could be read.
fn depth(text: &str) -> usize {
    use toml::de::{DeTable, DeValue};
    let (document, _) = DeTable::parse_recoverable(text);
    let mut deepest = 0;
    let mut rest: Vec<_> = document.get_ref().values().map(|value| (1, value.get_ref())).collect();
    while let Some((depth, value)) = rest.pop() {
        deepest = deepest.max(depth);
        match value {
            DeValue::Table(table) => {
                rest.extend(table.values().map(|value| (depth + 1, value.get_ref())));
            }
            DeValue::Array(list) => {
                rest.extend(list.iter().map(|value| (depth + 1, value.get_ref())));
            }
            _ => {}
        }
    }
    deepest
}

/// Pieces of tables, each some times, one after the other.
fn pieces() -> impl Strategy<Value = String> {
    let all = [
        "[", "]", "{", "}", "[[", "]]", "a.a.a.a=", "a.b", "a=", "x", ".", "=", ",", "\n", " ",
        "1", "'", "\"", "'''", "\"\"\"", "#", "\\",
    ];
    let piece = proptest::collection::vec(proptest::sample::select(all.to_vec()), 1..6);
    let times = (piece, 1..90_usize).prop_map(|(piece, times)| piece.concat().repeat(times));
    proptest::collection::vec(times, 1..6).prop_map(|all| all.concat())
}

proptest! {
    /// However wrong the text: what is left of it is dropped, too.
    #[test]
    fn what_is_read_is_shallow(text in pieces()) {
        if pando_types::toml::is_shallow(&text) {
            // A header and a dotted key below it add 80 each.
            let most = pando_types::toml::MAX_TOML_DEPTH + 160;
            prop_assert!(depth(&text) <= most, "{}", depth(&text));
        }
        let _ = check(FILE_NAME, &text);
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = check(FILE_NAME, &text);
    }

    #[test]
    fn what_looks_like_a_file_is_read(text in "([\\[\\]{}='\", \n.a-c0-9:#é\u{0}-]|web|env|cron|command|workers|\r\n){0,40}") {
        if let Err(problems) = check(FILE_NAME, &text) {
            let said = problems.to_string();
            prop_assert!(said.len() < 8 << 10);
            prop_assert!(!said.replace('\n', "").contains(char::is_control), "{said:?}");
        }
    }
}
