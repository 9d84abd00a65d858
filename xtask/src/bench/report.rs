//! Tables of what was measured: on the terminal, as JSON, and for the page.

use super::stats::Samples;
use crate::say;
use serde_json::{Value, json};

/// What the figures of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Of time; less is better.
    Milliseconds,
    /// Of time; less is better.
    Microseconds,
    /// Of memory; less is better.
    Kilobytes,
    /// Of text; more is better.
    MegabytesPerSecond,
    /// Of traffic; more is better.
    GigabitsPerSecond,
}

impl Unit {
    /// Its symbol.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Kilobytes => "kB",
            Self::MegabytesPerSecond => "MB/s",
            Self::GigabitsPerSecond => "Gbit/s",
        }
    }

    fn is_more_better(self) -> bool {
        matches!(self, Self::MegabytesPerSecond | Self::GigabitsPerSecond)
    }
}

/// Who a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The least that it can cost here.
    Floor,
    /// This project.
    Ours,
    /// Another manager.
    Peer,
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What was measured.
    pub(super) name: String,
    /// Whose it is.
    pub(super) who: Who,
    /// The figures, or why there are none.
    pub(super) found: Result<Samples, String>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its title.
    pub(super) title: String,
    /// What its figures are.
    pub(super) unit: Unit,
    /// Its rows; that of the floor first, if there is one.
    pub(super) rows: Vec<Row>,
    /// What has to be known to read it.
    pub(super) note: String,
}

impl Table {
    /// Makes an empty table.
    pub(super) fn new(title: &str, unit: Unit) -> Self {
        Self { title: title.to_owned(), unit, rows: Vec::new(), note: String::new() }
    }

    /// Adds what is to be known.
    pub(super) fn note(mut self, text: &str) -> Self {
        text.clone_into(&mut self.note);
        self
    }

    /// Adds a row with figures.
    pub(super) fn row(mut self, who: Who, name: &str, samples: &Samples) -> Self {
        self.rows.push(Row { name: name.to_owned(), who, found: Ok(samples.clone()) });
        self
    }

    /// Adds a row with the reason why it has no figures.
    pub(super) fn left_out(mut self, who: Who, name: &str, why: &str) -> Self {
        self.rows.push(Row { name: name.to_owned(), who, found: Err(why.to_owned()) });
        self
    }

    /// Whether it has rows of ours, and figures in each of them.
    pub(super) fn has_all_of_ours(&self) -> bool {
        let mut ours = self.rows.iter().filter(|row| row.who == Who::Ours).peekable();
        let measured = |row: &Row| row.found.as_ref().is_ok_and(|samples| samples.count() > 0);
        ours.peek().is_some() && ours.all(measured)
    }

    /// The median of the floor.
    fn floor(&self) -> Option<f64> {
        self.medians(Who::Floor).next()
    }

    /// The best median of the peers.
    fn best(&self) -> Option<f64> {
        let better = if self.unit.is_more_better() { f64::max } else { f64::min };
        self.medians(Who::Peer).reduce(better)
    }

    fn medians(&self, who: Who) -> impl Iterator<Item = f64> {
        let rows = self.rows.iter().filter(move |row| row.who == who);
        rows.filter_map(|row| row.found.as_ref().ok())
            .map(Samples::median)
            .filter(|median| median.is_finite())
    }

    /// Each row as cells: its name, median, 95th percentile, least, number, ratio to the floor and to the best peer; or its
    /// name and the reason.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&str, Result<[String; 6], &str>)> {
        let (floor, best) = (self.floor(), self.best());
        self.rows.iter().map(move |row| {
            let cells = |samples: &Samples| {
                let median = samples.median();
                let ratio = |to: Option<f64>| {
                    let ratio = to.filter(|to| *to > 0.0).map(|to| median / to);
                    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
                };
                let to_best = if row.who == Who::Peer { None } else { best };
                let count = samples.count().to_string();
                [
                    digits(median),
                    digits(samples.p95()),
                    digits(samples.least()),
                    count,
                    ratio(floor),
                    ratio(to_best),
                ]
            };
            (row.name.as_str(), row.found.as_ref().map(cells).map_err(String::as_str))
        })
    }

    /// Prints it.
    pub(super) fn print(&self) {
        let symbol = self.unit.symbol();
        let head = HEADS.map(|head| format!("{head:>9}")).concat();
        say::title(&format!("{:<46}{head}", format!("{}, {symbol}", self.title)));
        for (name, cells) in self.cells() {
            match cells {
                Ok(cells) => println!("{name:<46}{}", cells.map(|cell| format!("{cell:>9}")).concat()),
                Err(why) => println!("{name:<46} left out: {why}"),
            }
        }
        if !self.note.is_empty() {
            say::note(&self.note);
        }
    }

    /// Tells it to a program.
    pub(super) fn to_json(&self) -> Value {
        let (floor, best) = (self.floor(), self.best());
        let rows = self.rows.iter().map(|row| match &row.found {
            Ok(samples) => json!({
                "name": row.name, "who": format!("{:?}", row.who).to_lowercase(), "median": samples.median(),
                "p95": samples.p95(), "min": samples.least(), "n": samples.count(),
                "to_floor": floor.map(|floor| samples.median() / floor),
                "to_best_peer": best.map(|best| samples.median() / best),
            }),
            Err(why) => {
                json!({ "name": row.name, "who": format!("{:?}", row.who).to_lowercase(), "left_out": why })
            }
        });
        json!({ "title": self.title, "unit": self.unit.symbol(), "note": self.note, "rows": rows.collect::<Vec<_>>() })
    }
}

/// What the cells of a row are.
pub(super) const HEADS: [&str; 6] = ["median", "p95", "min", "n", "x floor", "x peer"];

/// A figure with as many digits as say something.
fn digits(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    #[test]
    fn ratios_are_to_the_floor_and_to_the_best_peer() {
        let table = Table::new("Start", Unit::Milliseconds)
            .row(Who::Floor, "floor", &samples(&[2.0]))
            .row(Who::Ours, "boot", &samples(&[4.0, 3.0, 5.0]))
            .row(Who::Peer, "slow", &samples(&[16.0]))
            .row(Who::Peer, "quick", &samples(&[8.0]))
            .left_out(Who::Peer, "absent", "not installed");
        let cells: Vec<_> = table.cells().collect();
        assert_eq!(cells[1].1.clone().unwrap(), ["4.00", "5.00", "3.00", "3", "2.00", "0.50"]);
        assert_eq!(cells[2].1.clone().unwrap()[4..], ["8.00", "-"]);
        assert_eq!(cells[4], ("absent", Err("not installed")));
        assert_eq!(table.to_json()["rows"][1]["to_best_peer"], 0.5);
    }

    #[test]
    fn the_best_of_rates_is_the_highest() {
        let table = Table::new("Text", Unit::MegabytesPerSecond)
            .row(Who::Ours, "zlogin", &samples(&[30.0]))
            .row(Who::Peer, "one", &samples(&[10.0]))
            .row(Who::Peer, "other", &samples(&[20.0]));
        assert_eq!(table.cells().next().unwrap().1.unwrap()[4..], ["-", "1.50"]);
    }
}
