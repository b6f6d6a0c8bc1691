//! When a cron expression is due: five fields, in UTC.

use chrono::{DateTime, Datelike, Utc};
use croner::parser::CronParser;
use pando_types::Timestamp;
use pando_types::limits::{MAX_CRON_BYTES, MAX_CRON_YEARS};

const FIELDS: usize = 5;

/// An expression that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron(String);

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCron {
    /// It is too long.
    #[error("it is longer than {MAX_CRON_BYTES} bytes")]
    Long,
    /// It has more fields, or fewer.
    #[error("it has {0} fields; there are {FIELDS}: minute, hour, day, month, day of the week")]
    Fields(usize),
    /// It holds what no field does.
    #[error("`{0}` stands in no field")]
    Character(char),
    /// A field is none.
    #[error("{0}")]
    Field(String),
}

impl Cron {
    /// Reads an expression; between its fields is one space then.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        if text.len() > MAX_CRON_BYTES {
            return Err(BadCron::Long);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() != FIELDS {
            return Err(BadCron::Fields(fields.len()));
        }
        // The parser knows more signs, which other crons do not.
        let is_known = |c: char| c.is_ascii_alphanumeric() || "*,/#-".contains(c);
        if let Some(unknown) = text.chars().find(|c| !is_known(*c) && !c.is_ascii_whitespace()) {
            return Err(BadCron::Character(unknown));
        }
        let cron = Self(fields.join(" "));
        cron.read("*").map_err(|error| BadCron::Field(error.to_string()))?;
        Ok(cron)
    }

    /// As it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first time after `after` at which it is due; none where it is not within
    /// [`MAX_CRON_YEARS`].
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = DateTime::<Utc>::from_timestamp(after.as_secs(), 0)?;
        let year = after.year();
        // Without these years, 30 February is sought until the year 5000, day by day.
        let years = format!("{year}-{}", year + i32::from(MAX_CRON_YEARS));
        let next = self.read(&years).ok()?.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp_millis()))
    }

    fn read(&self, years: &str) -> Result<croner::Cron, croner::errors::CronError> {
        CronParser::new().parse(&format!("0 {} {years}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-31T09:05:00.250Z, a Saturday.
    const NOW: Timestamp = Timestamp::from_millis(1_769_850_300_250);

    fn next(text: &str, after: Timestamp) -> Option<String> {
        Cron::parse(text).unwrap().next_after(after).map(Timestamp::to_rfc3339)
    }

    #[test]
    fn it_is_due_when_other_crons_are() {
        for (text, due) in [
            ("* * * * *", "2026-01-31T09:06:00.000Z"),
            ("5 9 * * *", "2026-02-01T09:05:00.000Z"),
            ("0  3 \t* * *", "2026-02-01T03:00:00.000Z"),
            ("*/15 8-9 * * *", "2026-01-31T09:15:00.000Z"),
            ("0 0 * * 7", "2026-02-01T00:00:00.000Z"),
            ("0 0 * * SUN", "2026-02-01T00:00:00.000Z"),
            ("0 0 1 jan,jul *", "2026-07-01T00:00:00.000Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00.000Z"),
            ("0 0 L * *", "2026-02-28T00:00:00.000Z"),
            // Either day will do.
            ("0 12 13 * fri", "2026-02-06T12:00:00.000Z"),
        ] {
            assert_eq!(next(text, NOW).as_deref(), Some(due), "{text}");
        }
    }

    #[test]
    fn what_is_never_due_is_not_sought_for_ever() {
        assert_eq!(next("* * 30 2 *", NOW), None);
        assert_eq!(next("* * 31 4,6,9,11 *", NOW), None);
        assert_eq!(next("* * * * *", Timestamp::from_millis(i64::MAX)), None);
        assert_eq!(next("* * * * *", Timestamp::from_millis(i64::MIN)), None);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let long = format!("{} * * * *", "1,".repeat(MAX_CRON_BYTES));
        for text in [
            "",
            "*",
            "* * * *",
            "* * * * * *",
            "0 * * * * * 2026",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "* * * * +1",
            "* * ? * *",
            "\u{661} * * * *",
            "* * * * \0",
            &long,
        ] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }

    mod any {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn whatever_is_read_has_a_next_time_after_or_none(
                text in "[0-9*,/#LWA-C -]{0,24}|(\\*|[0-9]{1,2}|\\*/[0-9]{1,2}) [0-9*/,-]{1,4} [0-9*L]{1,2} [0-9*]{1,2} [0-9*#L]{1,3}",
                after in -1_000_000_000_000_i64..=9_000_000_000_000,
            ) {
                if let Ok(cron) = Cron::parse(&text) {
                    let after = Timestamp::from_millis(after);
                    prop_assert!(cron.next_after(after).is_none_or(|next| next > after));
                    prop_assert_eq!(Cron::parse(cron.as_str()), Ok(cron));
                }
            }
        }
    }
}
