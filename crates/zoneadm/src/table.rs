//! Tables: columns as wide as what stands in them, for terminals and for programs.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use zone_sys::stdio::terminal_columns;

/// The least that a column that can be cut is cut to.
const LEAST: usize = 12;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) name: &'static str,
    /// It is at least this wide.
    pub(crate) least: usize,
    /// Numbers stand at its right.
    pub(crate) right: bool,
    /// What does not fit on a terminal may be cut at its beginning.
    pub(crate) cut: bool,
}

/// A column of text.
pub(crate) const fn text(name: &'static str, least: usize) -> Head {
    Head { name, least, right: false, cut: false }
}

/// A column of paths.
pub(crate) const fn path(name: &'static str, least: usize) -> Head {
    Head { name, least, right: false, cut: true }
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str, least: usize) -> Head {
    Head { name, least, right: true, cut: false }
}

/// Rows under heads.
#[derive(Debug, Default)]
pub(crate) struct Table {
    heads: Vec<Head>,
    rows: Vec<(Vec<String>, Option<String>)>,
}

impl Table {
    pub(crate) fn new(heads: impl IntoIterator<Item = Head>) -> Self {
        Self { heads: heads.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, and what follows its last column.
    pub(crate) fn row(&mut self, cells: Vec<String>, note: Option<String>) {
        self.rows.push((cells, note));
    }

    /// The lines for somebody who reads them, `most` columns wide if there is a terminal.
    pub(crate) fn lines(&self, most: Option<usize>) -> Vec<String> {
        let widths = self.widths(most);
        let heads: Vec<String> = self.heads.iter().map(|head| head.name.to_owned()).collect();
        let mut lines = vec![self.line(&heads, None, &widths)];
        lines.extend(self.rows.iter().map(|(cells, note)| self.line(cells, note.as_deref(), &widths)));
        lines
    }

    /// The lines for programs, as RFC 4180 has them but for their ends.
    pub(crate) fn csv(&self) -> Vec<String> {
        let heads = self.heads.iter().map(|head| head.name.to_lowercase()).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|(cells, _)| cells);
        std::iter::once(&heads)
            .chain(rows)
            .map(|cells| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","))
            .collect()
    }

    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let cells = |at: usize| self.rows.iter().filter_map(move |(cells, _)| cells.get(at));
        let mut widths: Vec<usize> = (0..self.heads.len())
            .map(|at| {
                let head = self.heads[at];
                cells(at).map(|cell| cell.width()).chain([head.least, head.name.width()]).max().unwrap_or(0)
            })
            .collect();
        let whole: usize = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
        let mut over = most.map_or(0, |most| whole.saturating_sub(most));
        for (width, head) in widths.iter_mut().zip(&self.heads) {
            if head.cut {
                let less = over.min(width.saturating_sub(LEAST));
                *width -= less;
                over -= less;
            }
        }
        widths
    }

    fn line(&self, cells: &[String], note: Option<&str>, widths: &[usize]) -> String {
        let padded = cells.iter().zip(&self.heads).zip(widths).map(|((cell, head), &width)| {
            let cell = if head.cut { cut(cell, width) } else { cell.clone() };
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            if head.right { blanks + &cell } else { cell + &blanks }
        });
        let line = padded.collect::<Vec<_>>().join(" ");
        match note {
            Some(note) => format!("{line} {note}"),
            None => line,
        }
    }
}

/// How wide tables may be: what was asked for, else what the terminal has.
pub(crate) fn width(asked: Option<u16>) -> Option<usize> {
    asked.map(usize::from).or_else(terminal_columns)
}

/// The end of a text that is too wide: the end of a path says more than its beginning.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut from = text.len();
    for (at, character) in text.char_indices().rev() {
        let Some(rest) = left.checked_sub(character.width().unwrap_or(0)) else { break };
        (left, from) = (rest, at);
    }
    format!("…{}", &text[from..])
}

/// The beginning of a text that is too wide.
pub(crate) fn begin(text: &str, width: usize) -> &str {
    let mut left = width;
    for (at, character) in text.char_indices() {
        let Some(rest) = left.checked_sub(character.width().unwrap_or(0)) else { return &text[..at] };
        left = rest;
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([number("ID", 4), text("NAME", 6), path("PATH", 5), text("IP", 2)]);
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        table.row(row(["0", "global", "/", "excl"]), None);
        table.row(row(["4711", "日本", "/var/lib/zones/日本", "excl"]), Some("boot".into()));
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        assert_eq!(
            table().lines(None),
            [
                "  ID NAME   PATH                IP  ",
                "   0 global /                   excl",
                "4711 日本   /var/lib/zones/日本 excl boot",
            ]
        );
    }

    #[test]
    fn a_terminal_that_is_too_narrow_gets_the_ends_of_paths() {
        let lines = table().lines(Some(30));
        assert_eq!(lines[2], "4711 日本   …b/zones/日本 excl boot");
        assert!(lines[..2].iter().all(|line| line.width() == 30), "{lines:?}");
        assert_eq!(table().lines(Some(80)), table().lines(None));
    }

    #[test]
    fn a_wide_text_is_cut_by_its_columns() {
        assert_eq!((begin("sleep 9", 5), begin("日本語", 5), begin("日本", 4)), ("sleep", "日本", "日本"));
    }

    #[test]
    fn programs_get_every_character() {
        let mut table = Table::new([text("A", 1), text("B-C", 9)]);
        table.row(vec!["x,y".into(), "say \"a\"".into()], None);
        assert_eq!(table.csv(), ["a,b-c", "\"x,y\",\"say \"\"a\"\"\""]);
    }
}
