//! Fields of a change: absent, null and there are three different things to say.

use serde::{Deserialize, Deserializer};

use crate::number;

/// Reads a field that is there, null or not, for `deserialize_with` beside `default`.
pub(crate) fn present<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}

/// The same for a whole number.
pub(crate) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<i64>>, D::Error> {
    number::whole(from).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::app::UpdateApp;

    #[test]
    fn absent_and_null_are_told_apart() {
        let read = |text: &str| serde_json::from_str::<UpdateApp>(text).unwrap();
        let nothing = read("{}");
        assert_eq!((nothing.framework, nothing.port), (None, None));
        let null = read(r#"{"framework": null, "port": null}"#);
        assert_eq!((null.framework, null.port), (Some(None), Some(None)));
        let there = read(r#"{"framework": "node", "port": 80.0}"#);
        assert_eq!((there.framework, there.port), (Some(Some("node".into())), Some(Some(80))));
    }
}
