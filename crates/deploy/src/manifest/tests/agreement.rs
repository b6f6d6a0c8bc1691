//! The schema takes what the code takes, over files that are good and bad in each key.

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json, json};

use super::super::keys::{FILE, MAX_BUILD_SECRETS, Named, Table, Value, Whole};
use super::super::*;

/// Good and bad ones, of those that a schema can tell apart.
fn leaf(value: &Value) -> BoxedStrategy<Json> {
    let texts = |texts: &[&str]| {
        let mut all: Vec<Json> = texts.iter().map(|text| json!(text)).collect();
        all.extend([json!(1), json!(true), json!(["x"]), json!({ "x": "x" })]);
        all
    };
    let long = "x".repeat(4097);
    let all = match value {
        Value::Command | Value::CommandOrNone => {
            texts(&["x", "./run --port $PORT", "a\nb", "", " \t", "a\0", &long[1..], &long])
        }
        Value::Framework => texts(&["nextjs", "dockerfile", "next", ""]),
        Value::Protocol => texts(&["http", "tcp", "https", ""]),
        Value::UrlPath => {
            let (most, more) = (format!("/{}", &long[..511]), format!("/{}", &long[..512]));
            texts(&["/", "/a?b=c&d", "/~!\"$", "", "a", "/#", "/a b", "/é", "/\n", &most, &more])
        }
        Value::Folder => texts(&[
            "dist",
            "./a/b/",
            ".",
            "a b",
            "é",
            "..a/b..",
            "",
            " ",
            "/",
            "/a",
            " /a",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a\u{7}",
            "a\u{85}",
            &long[..256],
            &long[..257],
        ]),
        Value::Cron => {
            texts(&["0 3 * * *", "*/5 * * * mon-fri", "0 0 L * *", "often", "@daily", "* * * *"])
        }
        Value::Port => [-1, 0, 1, 80, 1022, 1023, 1024, 65535, 65536].map(Json::from).to_vec(),
        Value::Whole(Whole { least, most, step }) => {
            let (least, most, step) = (i64::from(*least), i64::from(*most), i64::from(*step));
            [least - 1, least, least + 1, least + step, most, most + 1, most + step, i64::MAX]
                .map(Json::from)
                .to_vec()
        }
        Value::Flag => vec![json!(true), json!(false), json!("true"), json!(1)],
        Value::VariableNames => {
            let many = |count| (0..count).map(|i| json!(format!("A{i}"))).collect::<Json>();
            vec![
                json!([]),
                json!(["NPM_TOKEN", "_a1"]),
                json!(["PORT"]),
                json!(["1A"]),
                json!([""]),
                json!([1]),
                json!("A"),
                many(MAX_BUILD_SECRETS),
                many(MAX_BUILD_SECRETS + 1),
                json!([&long[..256]]),
                json!([&long[..257]]),
            ]
        }
        Value::Variables => vec![
            json!({}),
            json!({ "A": "", "preview": "x" }),
            json!({ "PORT": "1" }),
            json!({ "A-B": "x" }),
            json!({ "A": 1 }),
            json!({ "A": "a\0" }),
            json!({ &long[..257]: "x" }),
            json!("A"),
            json!([]),
        ],
        Value::Table(_) | Value::Named(_) => vec![json!("x"), json!([])],
    };
    select(all).boxed()
}

fn value(value: &'static Value) -> BoxedStrategy<Json> {
    match value {
        Value::Table(inner) => prop_oneof![20 => table(inner), 1 => leaf(value)].boxed(),
        Value::Named(found) => prop_oneof![20 => named(found), 1 => leaf(value)].boxed(),
        value => leaf(value),
    }
}

fn named(named: &'static Named) -> BoxedStrategy<Json> {
    let names = select(vec!["a", "a-b-", "mailer2", "web", "release", "A", "1a", "-a", "a_b", ""]);
    let some = proptest::collection::vec((names, table(&named.each)), 0..3)
        .prop_map(|all| all.into_iter().map(|(name, each)| (name.to_owned(), each)).collect());
    let each = match named.what {
        "worker" => json!({ "command": "x" }),
        _ => json!({ "command": "x", "schedule": "* * * * *" }),
    };
    let many = (named.most - 1..=named.most + 1)
        .prop_map(move |count| (0..count).map(|i| (format!("n{i}"), each.clone())).collect());
    prop_oneof![4 => some, 1 => many].prop_map(Json::Object).boxed()
}

fn table(table: &'static Table) -> BoxedStrategy<Json> {
    let mut whole = Just(Map::new()).boxed();
    for key in table.keys {
        let one = proptest::option::weighted(0.4, value(&key.value));
        whole = (whole, one)
            .prop_map(|(mut whole, one)| {
                whole.extend(one.map(|one| (key.name.to_owned(), one)));
                whole
            })
            .boxed();
    }
    let unknown = proptest::option::weighted(0.03, Just(json!("x")));
    (whole, unknown)
        .prop_map(|(mut whole, unknown)| {
            whole.extend(unknown.map(|unknown| ("unknown".to_owned(), unknown)));
            Json::Object(whole)
        })
        .boxed()
}

fn agree(validator: &Validator, file: &Json) -> bool {
    let text = toml::to_string(file).unwrap();
    let read = check(FILE_NAME, &text);
    let valid = validator.validate(file).map_err(|error| error.to_string());
    assert_eq!(read.is_ok(), valid.is_ok(), "{text}\n{read:?}\n{valid:?}");
    valid.is_ok()
}

#[test]
fn a_file_of_one_key_is_good_in_both_or_in_none() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for key in FILE.keys {
        let strategy = value(&key.value);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..400 {
            let tree = strategy.new_tree(&mut runner).unwrap();
            let file = json!({ key.name: proptest::strategy::ValueTree::current(&tree) });
            if agree(&validator, &file) { good += 1 } else { bad += 1 }
        }
        assert!(good > 0 && bad > 0, "{}: {good} good, {bad} bad", key.name);
    }
}
