//! Which line of a Dockerfile a build failed in, and whether it looks as if it began with
//! `base`. Nothing here decides what is built: that is all buildah's.

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instruction {
    /// Where it begins, counted from 1.
    line: usize,
    /// Its first word, in capitals.
    word: String,
    /// All of it on one line, as it is shown.
    text: String,
}

/// How much of an instruction is shown.
const MAX_SHOWN_CHARS: usize = 200;

/// What buildah said that it does: `STEP n/m: …`, before it where there are several
/// stages `[s/t] `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    stage: usize,
    number: usize,
    text: String,
}

impl Step {
    /// The step that a line of the log begins.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (stage, rest) = match line.strip_prefix('[') {
            Some(rest) => {
                let (stages, rest) = rest.split_once("] ")?;
                (stages.split_once('/')?.0.parse().ok()?, rest)
            }
            None => (1, line),
        };
        let (counts, text) = rest.strip_prefix("STEP ")?.split_once(": ")?;
        let number = counts.split_once('/')?.0.parse().ok()?;
        Some(Self { stage, number, text: text.to_owned() })
    }

    /// `Dockerfile:LINE: instruction`, where the step is found in the text.
    pub(super) fn place(&self, dockerfile: &str) -> Option<String> {
        let stages = stages(dockerfile);
        let word = self.text.split_whitespace().next()?.to_uppercase();
        let counted = stages.get(self.stage.checked_sub(1)?)?.get(self.number.checked_sub(1)?);
        // Triggers of a base image shift the numbers: then what it says is looked for.
        let same = |found: &&Instruction| found.text.eq_ignore_ascii_case(self.text.trim());
        let found = counted
            .filter(|found| found.word == word)
            .or_else(|| stages.iter().flatten().find(same))?;
        let shown: String = found.text.chars().take(MAX_SHOWN_CHARS).collect();
        Some(format!("Dockerfile:{}: {shown}", found.line))
    }
}

/// The names of `base`, as images.
const BASES: [&str; 3] = ["base", "pando/base", "code-interpreter"];

/// Whether an image may be one of `base` with something on it. A wrong guess costs time.
pub(super) fn may_be_of_base(dockerfile: &str) -> bool {
    instructions(dockerfile).iter().filter(|found| found.word == "FROM").any(|from| {
        let images = from.text.split_whitespace().skip(1).filter(|word| !word.starts_with("--"));
        let image = images.take(1).next().unwrap_or_default();
        let image = image.strip_prefix("localhost/").unwrap_or(image);
        BASES.contains(&image.strip_suffix(":latest").unwrap_or(image))
    })
}

/// The line of the first instruction with a here-document, which Debian's buildah takes for
/// instructions of their own.
pub(super) fn here_document(dockerfile: &str) -> Option<usize> {
    let is_one = |found: &Instruction| {
        ["RUN", "COPY", "ADD"].contains(&found.word.as_str())
            && found.text.split_whitespace().any(|word| word.len() > 2 && word.starts_with("<<"))
    };
    instructions(dockerfile).into_iter().find(is_one).map(|found| found.line)
}

/// The instructions of each stage. What stands before the first `FROM` is in none.
fn stages(dockerfile: &str) -> Vec<Vec<Instruction>> {
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for instruction in instructions(dockerfile) {
        if instruction.word == "FROM" {
            stages.push(Vec::new());
        }
        if let Some(stage) = stages.last_mut() {
            stage.push(instruction);
        }
    }
    stages
}

fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let escape = escape(dockerfile);
    let mut found = Vec::new();
    let mut open: Option<Instruction> = None;
    for (index, line) in dockerfile.lines().enumerate() {
        let line = line.trim();
        // Comments and empty lines may stand within an instruction, too.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix(escape) {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match &mut open {
            Some(instruction) => {
                instruction.text.push(' ');
                instruction.text.push_str(part);
            }
            None => {
                let word = part.split_whitespace().next().unwrap_or_default().to_uppercase();
                open = Some(Instruction { line: index + 1, word, text: part.to_owned() });
            }
        }
        if !goes_on {
            found.extend(open.take());
        }
    }
    found.extend(open);
    found
}

/// `# escape=` in the first lines says what continues a line.
fn escape(dockerfile: &str) -> char {
    for line in dockerfile.lines() {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        let Some((key, value)) = comment.split_once('=') else { break };
        if key.trim().eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOCKERFILE: &str = "# syntax=x\nARG V=1\nFROM debian:$V AS one\n\nRUN apt-get update && \\\n    # why\n    apt-get install -y x\nCOPY . /src\n\nfrom base\nCOPY --from=one /src /src\nrun make \\\n  all\n";

    fn place(line: &str) -> Option<String> {
        Step::of_line(line)?.place(DOCKERFILE)
    }

    #[test]
    fn a_step_is_found() {
        for (said, want) in [
            ("[1/2] STEP 1/3: FROM debian:1 AS one", "Dockerfile:3: FROM debian:$V AS one"),
            (
                "[1/2] STEP 2/3: RUN apt-get update &&     apt-get install -y x",
                "Dockerfile:5: RUN apt-get update && apt-get install -y x",
            ),
            ("[1/2] STEP 3/3: COPY . /src", "Dockerfile:8: COPY . /src"),
            ("[2/2] STEP 3/3: RUN make   all", "Dockerfile:12: run make all"),
            // As a base image's trigger shifts it.
            (
                "[2/2] STEP 9/9: COPY --from=one /src /src",
                "Dockerfile:11: COPY --from=one /src /src",
            ),
        ] {
            assert_eq!(place(said).as_deref(), Some(want), "{said}");
        }
    }

    #[test]
    fn what_is_no_step_is_none() {
        for line in [
            "",
            "STEP",
            "STEP 1: x",
            "STEP a/b: RUN",
            "--> 1234",
            "[1/2] x",
            "[x] STEP 1/1: RUN",
            "STEP 0/1: RUN x",
            "STEP 9/9: RUN nothing",
        ] {
            assert_eq!(place(line), None, "{line}");
        }
    }

    #[test]
    fn what_begins_with_base_is_guessed() {
        for dockerfile in [
            "FROM base",
            "FROM debian AS x\nRUN y\nfrom --platform=linux/amd64 localhost/pando/base:latest AS z",
        ] {
            assert!(may_be_of_base(dockerfile), "{dockerfile}");
        }
        for dockerfile in ["", "FROM", "FROM debian:12 AS base", "FROM other/base", "# FROM base"] {
            assert!(!may_be_of_base(dockerfile), "{dockerfile}");
        }
    }

    #[test]
    fn the_escape_may_be_another() {
        let dockerfile = "# escape=`\nFROM x\nRUN a `\n b \\\nRUN c\n";
        let lines: Vec<_> = instructions(dockerfile).iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 3, 5]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(dockerfile in ".{0,80}", line in "(\\[[0-9]{1,20}/2\\] )?STEP [0-9]{1,20}/[0-9]: .{0,9}") {
            if let Some(step) = Step::of_line(&line) {
                let _ = step.place(&dockerfile);
            }
        }
    }
}
