//! Whole numbers in JSON. `60.0` is one, too: JSON knows one kind of number, and
//! many clients write every number that way.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// The greatest whole number that a double holds exactly, and every one below.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a whole number or null, for `deserialize_with`.
pub(crate) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    from.deserialize_any(Whole)
}

/// The same, where there must be one.
pub(crate) fn required_whole<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    whole(from)?.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &Whole))
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<i64>, E> {
        Ok(Some(value))
    }

    /// What is too great for an `i64` is too great for every field there is.
    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<i64>, E> {
        Ok(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<i64>, E> {
        if value.fract() != 0.0 || value.abs() > MAX_EXACT {
            return Err(E::invalid_type(Unexpected::Float(value), &self));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and an i64 holds it")]
        Ok(Some(value as i64))
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::SetLifecycle;

    fn read(number: &str) -> Result<Option<i64>, String> {
        let text = format!(r#"{{"ttl_seconds": {number}}}"#);
        let read = serde_json::from_str::<SetLifecycle>(&text);
        read.map(|set| set.ttl_seconds).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        assert_eq!(read("60"), Ok(Some(60)));
        assert_eq!(read("60.0"), Ok(Some(60)));
        assert_eq!(read("6e1"), Ok(Some(60)));
        assert_eq!(read("-60.0"), Ok(Some(-60)));
        assert_eq!(read("null"), Ok(None));
        assert_eq!(read("18446744073709551615"), Ok(Some(i64::MAX)));
        for wrong in ["60.5", "1e300", "\"60\"", "true", "[60]"] {
            assert!(read(wrong).unwrap_err().contains("expected a whole number"), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<SetLifecycle>("{}").unwrap().ttl_seconds, None);
    }
}
