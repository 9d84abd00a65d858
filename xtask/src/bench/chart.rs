//! The chart of a page: the medians of some tables as bars.

use super::report::{Row, Table, Who};
use std::fmt::Write;

/// The tables that are drawn, by how their titles begin.
const DRAWN: [&str; 4] = ["Start", "Stop", "A command", "Memory of an idle zone, private, of 100"];

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 290.0;
const LONGEST: f64 = 380.0;
const LINE: f64 = 20.0;

/// Draws the chart, as SVG.
pub(super) fn draw(tables: &[Table]) -> String {
    let drawn = |table: &&Table| DRAWN.iter().any(|title| table.title.starts_with(title));
    let (mut body, mut y) = (String::new(), LINE);
    for table in tables.iter().filter(drawn) {
        let bars: Vec<(&Row, f64)> = table.rows.iter().filter_map(|row| Some((row, median(row)?))).collect();
        let longest = bars.iter().map(|(_, median)| *median).fold(0.0, f64::max);
        let title = format!("{}, {} (median)", table.title, table.unit.symbol());
        let _ = writeln!(body, "<text x=\"12\" y=\"{y}\" font-weight=\"bold\">{}</text>", escaped(&title));
        y += LINE;
        for (row, median) in bars {
            let length = if longest > 0.0 { median / longest * LONGEST } else { 0.0 };
            let (name, middle) = (escaped(&row.name), y - 11.0);
            let (colour, after) = (colour(row.who), LEFT + length + 6.0);
            let _ = writeln!(body, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0);
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{middle:.0}\" width=\"{length:.1}\" height=\"13\" fill=\"{colour}\"/>"
            );
            let _ = writeln!(body, "<text x=\"{after:.1}\" y=\"{y}\">{median:.1}</text>");
            y += LINE;
        }
        y += LINE / 2.0;
    }
    // A background of its own: it has to be read on a dark page as well.
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\" role=\"img\">\n\
         <title>Medians of one run: the floor grey, ours blue, peers orange</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn median(row: &Row) -> Option<f64> {
    let samples = row.found.as_ref().ok()?;
    Some(samples.median()).filter(|median| median.is_finite())
}

fn colour(who: Who) -> &'static str {
    match who {
        Who::Floor => "#9aa0a6",
        Who::Ours => "#1f77b4",
        Who::Peer => "#e08a3c",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::Unit;

    #[test]
    fn a_bar_is_as_long_as_its_median() {
        let of = |median: f64| std::iter::once(median).collect();
        let table = Table::new("Start & run", Unit::Milliseconds)
            .row(Who::Ours, "ours", &of(1.0))
            .row(Who::Peer, "peer", &of(4.0))
            .left_out(Who::Peer, "absent", "not installed");
        let svg = draw(&[table]);
        assert!(svg.contains("width=\"95.0\"") && svg.contains("width=\"380.0\""), "{svg}");
        assert!(svg.contains("Start &amp; run") && !svg.contains("absent"));
    }
}
