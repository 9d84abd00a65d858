//! Medians and percentiles of what was measured.

/// What was measured of one thing, each in its table's unit.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// Adds a time in microseconds, to a table of milliseconds.
    pub(super) fn add(&mut self, usec: u64) {
        self.0.push(milliseconds(usec));
    }

    /// Adds whatever the table has.
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one.
    pub(super) fn median(&self) -> f64 {
        self.quantile(500)
    }

    /// The one that 95 of 100 do not exceed.
    pub(super) fn p95(&self) -> f64 {
        self.quantile(950)
    }

    /// The least.
    pub(super) fn least(&self) -> f64 {
        self.quantile(0)
    }

    fn quantile(&self, of_thousand: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (sorted.len() * of_thousand).div_ceil(1000).max(1) - 1;
        sorted.get(rank).copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Microseconds as milliseconds. Exact below 2^32 µs, an hour; more is not measured here.
pub(super) fn milliseconds(usec: u64) -> f64 {
    f64::from(u32::try_from(usec).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let mut times = Samples::default();
        (1..=100).rev().for_each(|ms| times.add(ms * 1000));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(times.median(), 50.0) && near(times.p95(), 95.0) && near(times.least(), 1.0));
        assert_eq!(times.count(), 100);
        assert!(Samples::default().median().is_nan());
    }
}
