//! A list of durations and what can be said of it.

use std::time::Duration;

/// Durations in the order measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Adds those of another.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The nearest-rank percentile, in milliseconds; 0 of nothing.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut sample = Sample::default();
        for millis in [40, 10, 30, 20] {
            sample.push(Duration::from_millis(millis));
        }
        assert_eq!([50, 75, 99].map(|percent| sample.percentile(percent)), [20.0, 30.0, 40.0]);
        assert_eq!(Sample::default().percentile(50), 0.0);
    }
}
