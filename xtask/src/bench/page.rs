//! `docs/benchmarks.md`: what was measured in one run, written by itself.

use super::report::{HEADS, Table};
use super::{chart, machine::Machine, stage};
use crate::{paths, say};
use anyhow::{Context, Result};
use std::fmt::Write;

const HEAD: &str = "# Benchmarks

Written by `cargo xtask bench all`, as is its chart: edit neither. Ours, the peers and the floor took turns in one run, on the same root and init.
The *floor* is the least that the same can cost on this machine; \"x floor\" is the ratio of the medians to it, \"x peer\" that to the best of the peers. Compare
only figures of one run. What they mean, and where the time goes, is in [performance](performance.md).

";

/// Writes the page and its chart.
pub(super) fn write(machine: &Machine, tables: &[Table]) -> Result<()> {
    let docs = paths::top().join("docs");
    for (name, text) in [("benchmarks.md", page(machine, tables)), ("benchmarks.svg", chart::draw(tables))] {
        let path = docs.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say::note(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn page(machine: &Machine, tables: &[Table]) -> String {
    let mut page = HEAD.to_owned();
    page += "| | |\n|---|---|\n";
    let after = [("Load after", stage::load())];
    for (name, fact) in machine.facts.iter().chain(&after) {
        let _ = writeln!(page, "| {name} | {} |", cell(fact));
    }
    page += "\n![The medians of starts, stops and commands as bars](benchmarks.svg)\n";
    for table in tables {
        let symbol = table.unit.symbol();
        let _ = writeln!(page, "\n## {}\n\n| {symbol} | {} |", table.title, HEADS.join(" | "));
        let _ = writeln!(page, "|---|{}", "---:|".repeat(HEADS.len()));
        for (name, cells) in table.cells() {
            let cells = match cells {
                Ok(cells) => cells.join(" | "),
                Err(why) => format!("left out: {}{}", cell(why), " |".repeat(HEADS.len() - 1)),
            };
            let _ = writeln!(page, "| {} | {cells} |", cell(name));
        }
        if !table.note.is_empty() {
            let _ = writeln!(page, "\n{}", table.note);
        }
    }
    page
}

/// A text that does not end its cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Unit, Who};

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let samples = [1.0, 2.0, 3.0].into_iter().collect();
        let table = Table::new("Start", Unit::Milliseconds)
            .row(Who::Floor, "floor", &samples)
            .left_out(Who::Peer, "other", "a | b")
            .note("A note.");
        let machine = Machine { facts: vec![("Kernel", "6.18".to_owned())] };
        let page = page(&machine, &[table]);
        let rows = page.lines().skip_while(|line| *line != "## Start").filter(|line| line.starts_with('|'));
        let cells: Vec<usize> = rows.map(|row| row.replace("\\|", "").matches('|').count()).collect();
        assert_eq!(cells, [8, 8, 8, 8]);
        assert!(page.contains("| Kernel | 6.18 |") && page.ends_with("A note.\n"));
    }
}
