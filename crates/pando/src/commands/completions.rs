//! `pando completions`.

use std::io::Write;

use clap_complete::{Shell, generate};

use crate::error::Failure;
use crate::output;

/// For which shell. bash: `source <(pando completions bash)`; zsh: write it to a file `_pando` in
/// a folder of `$fpath`; fish: write it to `~/.config/fish/completions/pando.fish`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the shell's own code that completes `tree`.
pub fn run(args: &CompletionsArgs, mut tree: clap::Command) -> Result<(), Failure> {
    let mut code = Vec::new();
    generate(args.shell, &mut tree, "pando", &mut code);
    std::io::stdout().write_all(&code).map_err(output::not_written)
}
