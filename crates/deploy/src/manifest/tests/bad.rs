//! Bad files, each with all that is said of it: `snapshots/` holds the words.

use super::super::*;

const BAD: [&str; 31] = [
    "[web]\ncomand = 'node .'",
    "[web]\ncommand = 'node .'\nport = '3000'\n\n[resources]\ncpu = 2.0\nmemory_mb = 700",
    "command = 'node .'",
    "[wbe]\nport = 1",
    "[deploy]\nport = 1",
    "[preview]\nenabled = false\nttl_hours = 72\nseed = './seed'",
    "[database]\nname = 'shop'",
    "[web]\nport = 1023",
    "[web]\ncommand = ' '",
    "[web]\ncommand = ['node', '.']",
    "[web]\ncommand = 'node .'\nfolder = 'dist'",
    "[web]\nsingle_page = true",
    "[web]\nfolder = '../dist'",
    "[web]\nhealth = '/healthz'",
    "[web.health]\nprotocol = 'tcp'\npath = '/'",
    "[web.health]\npath = 'healthz'\nprotocol = 'HTTP'",
    "[build]\nframework = 'next'",
    "[build]\nframework = 'cobol'",
    "[build]\nsecrets = 'NPM_TOKEN'",
    "[build]\nsecrets = ['NPM_TOKEN', 'NPM-TOKEN', 1]",
    "[workers]\nmailer = 'node mail.js'",
    "[workers.mailer]\n[workers.web]\ncommand = 'x'\n[workers.Mailer]\ncommand = 'x'",
    "[cron.nightly]\nschedule = '0 25 * * *'\ncommand = './x'\ntimeout_seconds = 0",
    "[cron.often]\nschedule = '@daily'\ncommand = './x'",
    "[cron.never]\nschedule = '0 0 30 2 *'\ncommand = './x'",
    "[env]\nDEBUG = true\n2FA = 'x'\nPORT = '80'\n'A B' = 'x'",
    "[env]\npreview = { A = 'x' }",
    "[web]\nport = 1\nport = 2",
    "[web\nport = 1",
    "[env]\nA = \"tab\there, é \\q and a line that goes on and on and on and on and on and on and on and on\"",
    "a=1\nb=1\nc=1\nd=1\ne=1\nf=1\ng=1\nh=1\ni=1\nj=1\nk=1\nl=1",
];

#[test]
fn all_that_is_said() {
    let mut said = String::new();
    for text in BAD {
        let problems = check(FILE_NAME, text).expect_err(text);
        said.push_str(&format!("---\n{text}\n---\n{problems}\n\n"));
    }
    let large = check("apps/web/pando.toml", &"#".repeat(MAX_BYTES + 1)).unwrap_err();
    said.push_str(&format!("{large}\n"));
    insta::assert_snapshot!(said);
}
