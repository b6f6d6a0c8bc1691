//! Questions and answers of DNS as bytes (RFC 1035, section 4). Pure.

/// The class of the internet.
const IN: u16 = 1;
const HEADER_BYTES: usize = 12;
/// Bits of a header's second word.
const IS_ANSWER: u16 = 1 << 15;
const OPCODE: u16 = 0b1111 << 11;
const IS_TRUNCATED: u16 = 1 << 9;
const RECURSION_DESIRED: u16 = 1 << 8;
const RESPONSE_CODE: u16 = 0b1111;
const NO_SUCH_NAME: u16 = 3;
/// The longest name, and label.
const MAX_NAME_BYTES: usize = 255;
const MAX_LABEL_BYTES: usize = 63;
/// The records of an answer that are read, and the aliases that are followed in it.
const MAX_RECORDS: u16 = 64;
const MAX_ALIASES: usize = 8;

/// The kinds of records that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cname,
    Txt,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::Cname => 5,
            Self::Txt => 16,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// Tells the answer from another's.
    pub id: u16,
    /// In lower case, without the dot that ends it.
    pub name: &'a str,
    pub kind: Kind,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none to our question: the right one may still come.
    NotOurs,
    /// It is ours, and cannot be read.
    Malformed,
    /// It did not fit in a datagram.
    Truncated,
    /// The resolver could not, with this response code.
    Refused(u16),
}

/// The question's bytes; `None` for what is no name.
pub(super) fn question(asked: &Question<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + asked.name.len() + 6);
    for word in [asked.id, RECURSION_DESIRED, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for label in asked.name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|_| label.len() <= MAX_LABEL_BYTES)?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
        if label.is_empty() {
            return None;
        }
    }
    bytes.push(0);
    if bytes.len() - HEADER_BYTES > MAX_NAME_BYTES {
        return None;
    }
    for word in [asked.kind.number(), IN] {
        bytes.extend(word.to_be_bytes());
    }
    Some(bytes)
}

/// What an answer says: the values of the records that were asked for, as bytes (a name in lower
/// case). Of a name that has none, or is not there, nothing.
pub(super) fn values(bytes: &[u8], asked: &Question<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let mut reader = Reader { bytes, at: 0 };
    let mut word = || reader.word().ok_or(Fault::NotOurs);
    let (id, flags, questions, records) = (word()?, word()?, word()?, word()?);
    reader.at = HEADER_BYTES;
    if id != asked.id || flags & IS_ANSWER == 0 || flags & OPCODE != 0 || questions != 1 {
        return Err(Fault::NotOurs);
    }
    let name = reader.name().ok_or(Fault::NotOurs)?;
    let (kind, class) = (reader.word(), reader.word());
    if name != asked.name || (kind, class) != (Some(asked.kind.number()), Some(IN)) {
        return Err(Fault::NotOurs);
    }
    match flags & RESPONSE_CODE {
        0 => {}
        NO_SUCH_NAME => return Ok(Vec::new()),
        code => return Err(Fault::Refused(code)),
    }
    if flags & IS_TRUNCATED != 0 {
        return Err(Fault::Truncated);
    }
    let all = (0..records.min(MAX_RECORDS)).map(|_| reader.record());
    let all = all.collect::<Option<Vec<Record>>>().ok_or(Fault::Malformed)?;
    let of = |owner: &str, kind: Kind| {
        let owner = owner.to_owned();
        all.iter().filter(move |it| it.kind == kind.number() && it.owner == owner)
    };
    let mut owner = asked.name.to_owned();
    // A resolver follows aliases, and says so in the same answer.
    for _ in 0..if asked.kind == Kind::Txt { MAX_ALIASES } else { 0 } {
        let Some(alias) = of(&owner, Kind::Cname).next() else { break };
        owner = String::from_utf8_lossy(&alias.value).into_owned();
    }
    Ok(of(&owner, asked.kind).map(|it| it.value.clone()).collect())
}

struct Record {
    owner: String,
    kind: u16,
    value: Vec<u8>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn word(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name in lower case, its labels parted by dots; what is no graphic character, or a dot, is
    /// written as `\` and its number. A pointer leads further to the front each time, so none
    /// leads in a circle.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        // Where to go on, after the first pointer; and before what the next one must lead.
        let (mut after, mut before) = (None, self.at);
        let mut length = 0;
        loop {
            let first = usize::from(*self.take(1)?.first()?);
            match first >> 6 {
                0 if first == 0 => break,
                0 => {
                    length += first + 1;
                    if length >= MAX_NAME_BYTES {
                        return None;
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    for byte in self.take(first)? {
                        match byte.to_ascii_lowercase() {
                            byte @ b'!'..=b'~' if byte != b'.' => name.push(char::from(byte)),
                            byte => name.push_str(&format!("\\{byte:03}")),
                        }
                    }
                }
                0b11 => {
                    let second = usize::from(*self.take(1)?.first()?);
                    let target = (first & 0b11_1111) << 8 | second;
                    if target >= before {
                        return None;
                    }
                    after.get_or_insert(self.at);
                    (self.at, before) = (target, target);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }

    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let (kind, class) = (self.word()?, self.word()?);
        self.take(4)?;
        let length = usize::from(self.word()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let value = match kind {
            _ if class != IN => Vec::new(),
            kind if kind == Kind::Cname.number() => {
                let target = self.name()?.into_bytes();
                (self.at == end).then_some(target)?
            }
            kind if kind == Kind::Txt.number() => self.strings(end)?,
            _ => Vec::new(),
        };
        self.at = end;
        // What is of another class is nobody's.
        let owner = if class == IN { owner } else { String::new() };
        Some(Record { owner, kind, value })
    }

    /// The strings of a TXT record, which are one text in pieces.
    fn strings(&mut self, end: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        while self.at < end {
            let length = usize::from(*self.take(1)?.first()?);
            text.extend_from_slice(self.take(length)?);
        }
        (self.at == end).then_some(text)
    }
}

#[cfg(test)]
mod tests;
