//! The list of the points, as programs of a build for tests print it.

use crate::{POINTS, Step};
use std::io::Write;
use std::process::ExitCode;

/// Prints the list, if `--failpoints` is the first word of the command line: as a table, or with `--json` behind
/// it. `steps` are those of the platform.
pub fn ask(steps: impl FnOnce() -> Vec<Step>) -> Option<ExitCode> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let json = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--failpoints"] => false,
        ["--failpoints", "--json"] => true,
        _ => return None,
    };
    let rows = rows(&steps());
    let text = if json { self::json(&rows) } else { table(&rows) };
    let printed = std::io::stdout().lock().write_all(text.as_bytes());
    Some(if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Program, name, what is done before, what comes next, why no sweep comes there, and the errors of a call.
type Row = [String; 6];

fn rows(steps: &[Step]) -> Vec<Row> {
    let row = |words: [&str; 6]| words.map(str::to_owned);
    let mut rows: Vec<Row> = POINTS
        .iter()
        .map(|point| {
            let (except, errors) = (point.except.unwrap_or(""), point.errors.join(" "));
            row([point.program, point.name, point.after, point.before, except, &errors])
        })
        .collect();
    for step in steps {
        let name = step.name;
        let mut add = |group: &str, after: String, before: &str| {
            rows.push(row(["zoneadmd", &format!("{group}.{name}"), &after, before, "", ""]));
        };
        if step.built {
            add("step", format!("step {name} is taken"), "the next step");
        }
        if step.built && step.kept {
            add("intent", format!("the journal says that step {name} will be taken"), "it is taken");
            add("done", format!("the journal says that step {name} was taken"), "the next step");
        }
        if step.kept {
            add("undo", format!("step {name} is undone"), "the step before it is undone");
        }
        if step.changed {
            add("update", format!("what a change of the zone means to step {name} is done"), "the next step");
        }
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let width = |column: usize, title: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(title.len())
    };
    let (program, name, after) = (width(0, "PROGRAM"), width(1, "POINT"), width(2, "AFTER"));
    let line = |[one, two, three, four, _, errors]: &Row| {
        let errors = if errors.is_empty() { String::new() } else { format!(" ({errors})") };
        format!("{one:program$}  {two:name$}  {three:after$}  {four}{errors}\n")
    };
    let head = ["PROGRAM", "POINT", "AFTER", "BEFORE", "", ""].map(str::to_owned);
    std::iter::once(&head).chain(rows).map(line).collect()
}

fn json(rows: &[Row]) -> String {
    let object = |row: &Row| {
        let fields = ["program", "name", "after", "before", "except", "errors"].into_iter().zip(row);
        // The texts are ours: nothing in them needs an escape, and a test sees to that.
        let fields: Vec<_> = fields.map(|(key, value)| format!("\"{key}\": \"{value}\"")).collect();
        format!("  {{{}}}", fields.join(", "))
    };
    let objects: Vec<_> = rows.iter().map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ERRORS;

    #[test]
    fn the_errors_of_the_list_are_known() {
        let known = |name: &&&str| ERRORS.iter().any(|(error, _)| error == *name);
        for point in POINTS {
            assert_eq!(point.errors.iter().filter(known).count(), point.errors.len(), "{point:?}");
        }
    }

    #[test]
    fn the_list_can_be_printed_and_has_no_name_twice() {
        let rows = rows(&[
            Step { name: "cgroup", built: true, kept: true, changed: true },
            Step { name: "dev", built: true, kept: false, changed: false },
            Step { name: "images", built: false, kept: true, changed: false },
        ]);
        assert_eq!(table(&rows).lines().count(), rows.len() + 1);
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| (&row[0], &row[1])).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(row[..4].iter().all(|text| !text.is_empty()), "{row:?}");
            assert!(row.iter().all(|text| !text.contains(['"', '\\']) && !text.contains(char::is_control)));
        }
        assert!(names.contains(&(&"zoneadmd".to_owned(), &"undo.cgroup".to_owned())));
        assert!(!names.contains(&(&"zoneadmd".to_owned(), &"undo.dev".to_owned())));
        assert!(names.contains(&(&"zoneadmd".to_owned(), &"undo.images".to_owned())));
        assert!(!names.iter().any(|(_, name)| *name == "step.images" || *name == "done.images"));
    }
}
