//! What a build's owner is told of its failure.

use pando_guest_protocol::session::ExecDone;
use pando_types::limits::MAX_BUILD_TIME;

use super::builder::Heard;
use super::dockerfile;

/// What buildah says of a word that begins no instruction.
const UNKNOWN: &str = "Unknown instruction";

/// Of buildah that ended without an image.
pub(super) fn of_build(dockerfile: &str, done: &ExecDone, heard: Heard) -> String {
    let cause = if done.timed_out {
        format!("the build took longer than {} minutes", MAX_BUILD_TIME.as_secs() / 60)
    } else {
        let said = heard.cause.as_deref().map(cause).filter(|cause| !cause.is_empty());
        said.unwrap_or_else(|| format!("buildah ended with exit code {}", done.exit_code))
    };
    if cause.contains(UNKNOWN)
        && let Some(line) = dockerfile::here_document(dockerfile)
    {
        return format!(
            "Dockerfile:{line}: here-documents (`<<`) are not known to this buildah: join commands by `&& \\`, or COPY a file"
        );
    }
    match heard.step.and_then(|step| step.place(dockerfile)) {
        Some(place) => format!("{place}: {cause}"),
        None => cause,
    }
}

/// Of what fills the new disk.
pub(super) fn of_filling(is_full: bool, size_mib: u32, done: &ExecDone, heard: Heard) -> String {
    let said = heard.cause.unwrap_or_else(|| format!("exit code {}", done.exit_code));
    if done.timed_out {
        "filling the root disk took too long".to_owned()
    } else if is_full {
        format!(
            "it does not fit into `size_mb`={size_mib} ({said}): build it with a greater `size_mb`"
        )
    } else {
        format!("the root disk could not be filled: {said}")
    }
}

/// What buildah's last words say, without what the place says already.
fn cause(said: &str) -> String {
    let said = said.strip_prefix("Error: ").or_else(|| said.strip_prefix("error ")).unwrap_or(said);
    let said = match said.strip_prefix("building at STEP \"") {
        Some(step) => step.split_once("\": ").map_or(said, |(_, rest)| rest),
        None => said,
    };
    let said = said.strip_prefix("while running runtime: ").unwrap_or(said);
    // It shows the insides of its parser.
    let said = said.split_once(" &imagebuilder.").map_or(said, |(said, _)| said);
    let is_pull = ["docker://", "pinging container registry", "unable to copy from source"];
    if is_pull.iter().any(|sign| said.contains(sign)) {
        return format!("the image could not be had from its registry: {said}");
    }
    said.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::templates::dockerfile::Step;

    const DONE: ExecDone = ExecDone { exit_code: 1, timed_out: false, duration_ms: 1 };

    fn heard(step: &str, cause: &str) -> Heard {
        Heard { step: Step::of_line(step), cause: Some(cause.to_owned()) }
    }

    #[test]
    fn a_failed_step_names_its_line() {
        let said = "Error: building at STEP \"RUN exit 7\": while running runtime: exit status 7";
        let text =
            of_build("FROM base\n\nRUN exit 7\n", &DONE, heard("STEP 2/2: RUN exit 7", said));
        assert_eq!(text, "Dockerfile:3: RUN exit 7: exit status 7");
    }

    #[test]
    fn a_registry_that_is_not_there_is_told() {
        let said = "Error: creating build container: initializing source docker://x:latest: pinging container registry x: dial tcp: no such host";
        let text = of_build("FROM x\n", &DONE, heard("STEP 1/1: FROM x", said));
        assert!(text.starts_with("Dockerfile:1: FROM x: the image could not be had"), "{text}");
    }

    #[test]
    fn whatever_it_says_there_is_a_cause() {
        let done = ExecDone { timed_out: true, ..DONE };
        assert_eq!(of_build("", &done, Heard::default()), "the build took longer than 30 minutes");
        assert_eq!(of_build("", &DONE, Heard::default()), "buildah ended with exit code 1");
        assert_eq!(of_build("", &DONE, heard("", "Error: ")), "buildah ended with exit code 1");
        assert!(of_filling(true, 64, &DONE, heard("", "x")).contains("`size_mb`=64 (x)"));
    }

    #[test]
    fn what_buildah_does_not_know_is_named() {
        let said = "Error: building at STEP \"set -e\": Build error: Unknown instruction: \"SET\" &imagebuilder.Step{Env:[]string{}}";
        let dockerfile = "FROM base\nRUN <<EOT\nset -e\nEOT\n";
        let text = of_build(dockerfile, &DONE, heard("STEP 3/4: set -e", said));
        assert!(text.starts_with("Dockerfile:2: here-documents"), "{text}");
        let text = of_build("FROM base\nset -e\n", &DONE, heard("STEP 2/2: set -e", said));
        assert_eq!(text, "Dockerfile:2: set -e: Build error: Unknown instruction: \"SET\"");
    }
}
