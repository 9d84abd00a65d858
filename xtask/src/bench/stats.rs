//! Medians and tables.

/// The times of one thing, in microseconds.
#[derive(Debug, Default, Clone)]
pub(super) struct Times(Vec<u64>);

impl Times {
    /// Adds one.
    pub(super) fn add(&mut self, usec: u64) {
        self.0.push(usec);
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one.
    pub(super) fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// The one that 95 of 100 do not exceed.
    pub(super) fn p95(&self) -> f64 {
        self.quantile(95)
    }

    fn quantile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).map_or(f64::NAN, |&usec| milliseconds(usec))
    }
}

/// Microseconds as milliseconds. Exact below 2^32 µs, an hour; more is not measured here.
pub(super) fn milliseconds(usec: u64) -> f64 {
    f64::from(u32::try_from(usec).unwrap_or(u32::MAX)) / 1000.0
}

/// Prints one table: a row for each name, with the ratio to the first row's median.
pub(super) fn table(title: &str, rows: &[(String, Times)]) {
    let floor = rows.first().map_or(f64::NAN, |(_, times)| times.median());
    let head = format!("{title:<44} {:>9} {:>9} {:>5} {:>8}", "median ms", "p95 ms", "n", "x floor");
    crate::say::title(&head);
    for (name, times) in rows {
        let (median, p95) = (times.median(), times.p95());
        println!("{name:<44} {median:>9.2} {p95:>9.2} {:>5} {:>8.2}", times.count(), median / floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let mut times = Times::default();
        (1..=100).rev().for_each(|ms| times.add(ms * 1000));
        assert!((times.median() - 50.0).abs() < 1e-9 && (times.p95() - 95.0).abs() < 1e-9);
        assert_eq!(times.count(), 100);
        assert!(Times::default().median().is_nan());
    }
}
