use proptest::prelude::*;

use super::*;

const ASKED: Question<'static> = Question { id: 7, name: "a.example", kind: Kind::Cname };

/// An answer to `asked` with these records: owner, kind, class, data.
fn answer(asked: &Question<'_>, flags: u16, records: &[(&[u8], u16, u16, &[u8])]) -> Vec<u8> {
    let mut bytes = question(asked).unwrap();
    bytes[2..4].copy_from_slice(&(IS_ANSWER | flags).to_be_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for (owner, kind, class, data) in records {
        bytes.extend_from_slice(owner);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(class.to_be_bytes());
        bytes.extend([0, 0, 0, 60]);
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').flat_map(|label| {
        let mut bytes = vec![u8::try_from(label.len()).unwrap()];
        bytes.extend(label.as_bytes());
        bytes
    });
    labels.chain([0]).collect()
}

/// To the name in the question.
const POINTER: &[u8] = &[0xc0, 12];

#[test]
fn aliases_and_texts_are_read() {
    let target = name("B.Example");
    let bytes = answer(&ASKED, 0, &[(POINTER, 5, 1, &target)]);
    assert_eq!(values(&bytes, &ASKED), Ok(vec![b"b.example".to_vec()]));
    // `b` and a pointer to `example` in the question.
    let bytes = answer(&ASKED, 0, &[(&name("A.example"), 5, 1, &[1, b'b', 0xc0, 14])]);
    assert_eq!(values(&bytes, &ASKED), Ok(vec![b"b.example".to_vec()]));

    let asked = Question { kind: Kind::Txt, ..ASKED };
    let records: &[(&[u8], u16, u16, &[u8])] = &[
        (&name("c.example"), 16, 1, b"\x03one\x00\x03two"),
        (POINTER, 5, 1, &target),
        (&target, 5, 1, &name("c.example")),
        (&name("other.example"), 16, 1, b"\x03not"),
        (&name("c.example"), 16, 3, b"\x03not"),
        (&name("c.example"), 99, 1, b"\xff"),
        (&name("c.example"), 16, 1, b""),
    ];
    let bytes = answer(&asked, 0, records);
    assert_eq!(values(&bytes, &asked), Ok(vec![b"onetwo".to_vec(), Vec::new()]));
}

#[test]
fn a_name_that_is_not_there_has_nothing_and_a_resolver_that_fails_says_so() {
    assert_eq!(values(&answer(&ASKED, 0, &[]), &ASKED), Ok(Vec::new()));
    assert_eq!(values(&answer(&ASKED, 3, &[]), &ASKED), Ok(Vec::new()));
    assert_eq!(values(&answer(&ASKED, 2, &[]), &ASKED), Err(Fault::Refused(2)));
    assert_eq!(values(&answer(&ASKED, IS_TRUNCATED, &[]), &ASKED), Err(Fault::Truncated));
}

#[test]
fn what_is_to_another_question_is_not_read() {
    let ours = answer(&ASKED, 0, &[]);
    for other in [
        Question { id: 8, ..ASKED },
        Question { name: "b.example", ..ASKED },
        Question { kind: Kind::Txt, ..ASKED },
    ] {
        assert_eq!(values(&ours, &other), Err(Fault::NotOurs));
    }
    assert_eq!(values(&question(&ASKED).unwrap(), &ASKED), Err(Fault::NotOurs));
    assert_eq!(values(&ours[..20], &ASKED), Err(Fault::NotOurs));
    assert_eq!(values(&[], &ASKED), Err(Fault::NotOurs));
}

#[test]
fn a_pointer_never_leads_in_a_circle_or_astray() {
    let records = HEADER_BYTES + name(ASKED.name).len() + 4;
    let here = u8::try_from(records).unwrap();
    let data = here + 12;
    for owner in [&[0xc0, here][..], &[0xc0, here + 2], &[0xff, 0xff], &[0x80, 1], &[0x40], &[0xc0]]
    {
        let bytes = answer(&ASKED, 0, &[(owner, 5, 1, &[0])]);
        assert_eq!(values(&bytes, &ASKED), Err(Fault::Malformed), "{owner:?}");
    }
    // A label and a pointer back to it: it would never end.
    let bytes = answer(&ASKED, 0, &[(POINTER, 5, 1, &[1, b'x', 0xc0, data])]);
    assert_eq!(values(&bytes, &ASKED), Err(Fault::Malformed));
    for data in [&b"\x05ab\0"[..], b"\x01a", b"\x01a\0\0"] {
        let bytes = answer(&ASKED, 0, &[(POINTER, 5, 1, data)]);
        assert_eq!(values(&bytes, &ASKED), Err(Fault::Malformed), "{data:?}");
    }
    let mut short = answer(&ASKED, 0, &[(POINTER, 16, 1, b"\x02a")]);
    let asked = Question { kind: Kind::Txt, ..ASKED };
    short[records - 4..records - 2].copy_from_slice(&16u16.to_be_bytes());
    assert_eq!(values(&short, &asked), Err(Fault::Malformed));
}

#[test]
fn only_names_are_asked_for() {
    let label = "a".repeat(64);
    let long = "a.".repeat(130) + "b";
    for name in ["", ".", "a..b", "a.", &label, &long] {
        assert!(question(&Question { name, ..ASKED }).is_none(), "{name}");
    }
    let most = "a.".repeat(126) + "b";
    assert!(question(&Question { name: &most, ..ASKED }).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_bytes_end_in_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..120), records in any::<u16>(), flags in 0u16..16, txt in any::<bool>()) {
        let asked = Question { kind: if txt { Kind::Txt } else { Kind::Cname }, ..ASKED };
        let mut bytes = answer(&asked, flags & !7, &[]);
        bytes[6..8].copy_from_slice(&records.to_be_bytes());
        bytes.extend(&tail);
        if let Ok(all) = values(&bytes, &asked) {
            prop_assert!(all.iter().all(|value| value.len() <= 4 * bytes.len().max(256)));
        }
        let _ = values(&tail, &asked);
    }

    #[test]
    fn an_answer_that_changed_on_its_way_ends_in_an_answer(at in 0usize..60, byte in any::<u8>()) {
        let target = name("b.example");
        let mut bytes = answer(&ASKED, 0, &[(POINTER, 5, 1, &target), (POINTER, 16, 1, b"\x01a")]);
        if let Some(it) = bytes.get_mut(at) {
            *it = byte;
        }
        let _ = values(&bytes, &ASKED);
    }
}
