//! The way out of a shell that does not answer: at the start of a line, `~.`.

/// What came of some keys.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// These go to the shell.
    Keys(Vec<u8>),
    /// The shell is to be left.
    Leave,
}

/// Watches for the two keys. A `~` at the start of a line is held back until the next key.
#[derive(Debug)]
pub struct Escape {
    at_start: bool,
    held: bool,
}

impl Default for Escape {
    fn default() -> Self {
        Self { at_start: true, held: false }
    }
}

impl Escape {
    /// Lets keys pass.
    pub fn pass(&mut self, keys: &[u8]) -> Typed {
        let mut passed = Vec::with_capacity(keys.len() + 1);
        for key in keys {
            if std::mem::take(&mut self.held) {
                if *key == b'.' {
                    return Typed::Leave;
                }
                passed.push(b'~');
                // Typed twice, it is meant.
                if *key == b'~' {
                    continue;
                }
            } else if self.at_start && *key == b'~' {
                self.held = true;
                self.at_start = false;
                continue;
            }
            self.at_start = matches!(key, b'\r' | b'\n');
            passed.push(*key);
        }
        Typed::Keys(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pieces: &[&str]) -> Option<String> {
        let mut escape = Escape::default();
        let mut all = Vec::new();
        for piece in pieces {
            match escape.pass(piece.as_bytes()) {
                Typed::Keys(keys) => all.extend(keys),
                Typed::Leave => return None,
            }
        }
        Some(String::from_utf8(all).unwrap())
    }

    #[test]
    fn two_keys_at_the_start_of_a_line_leave() {
        assert_eq!(passed(&["~."]), None);
        assert_eq!(passed(&["ls\r", "~", "."]), None);
        assert_eq!(passed(&["ls ~.\r"]).as_deref(), Some("ls ~.\r"));
        assert_eq!(passed(&["~~."]).as_deref(), Some("~."));
        assert_eq!(passed(&["~/bin/x\r~", "a"]).as_deref(), Some("~/bin/x\r~a"));
    }
}
