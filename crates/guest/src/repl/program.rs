//! Starting an interpreter with its end of a session.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pando_guest_protocol::repl::{Language, OpenRepl};
use pando_guest_protocol::session::{Exec, Failure};

use crate::process::{self, Interpreter};
use crate::session::{blocking, refused};

/// The variable that names the descriptor of the channel.
const CHANNEL_VARIABLE: &str = "PANDO_REPL_FD";

struct Program {
    argv: &'static [&'static str],
    file: &'static str,
    text: &'static str,
}

fn program(language: Language) -> Program {
    match language {
        Language::Python => {
            Program { argv: &["python3"], file: "python.py", text: include_str!("python.py") }
        }
        Language::Javascript => {
            Program { argv: &["node"], file: "node.js", text: include_str!("node.js") }
        }
        Language::Bash => Program {
            argv: &["bash", "--noprofile", "--norc"],
            file: "shell.bash",
            text: include_str!("shell.bash"),
        },
    }
}

/// Starts the interpreter of a session, whose end of it is put into `folder`.
pub async fn start(open: OpenRepl, folder: PathBuf) -> Result<Interpreter, Failure> {
    let Program { argv, file, text } = program(open.language);
    let path = blocking(move || {
        write(&folder, file, text).map_err(|error| refused(folder.display(), &error))
    })
    .await?;
    let mut argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    argv.push(path);
    let exec = Exec {
        argv,
        cwd: open.cwd,
        env: open.env,
        user: open.user,
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    };
    Ok(process::interpreter(exec, CHANNEL_VARIABLE, process::may_start().await)?)
}

/// Writes it each time: whatever code did to it before, this session gets what belongs to it.
fn write(folder: &Path, file: &str, text: &str) -> io::Result<String> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let path = folder.join(file);
    // Beside it and renamed over it: another session may be starting from it.
    let fresh = folder.join(format!("{file}.new"));
    fs::write(&fresh, text)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o644))?;
    fs::rename(&fresh, &path)?;
    Ok(path.to_string_lossy().into_owned())
}
