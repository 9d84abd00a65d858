//! Makes the table of texts from the PO files: sorted by their English, all texts of a language behind one another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// In the order of `Language`, but for English.
const LANGUAGES: [&str; 2] = ["de", "fr"];

fn main() {
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).expect("cargo says where");
    let mut texts: BTreeMap<String, [String; LANGUAGES.len()]> = BTreeMap::new();
    for (at, language) in LANGUAGES.iter().enumerate() {
        let path = Path::new("po").join(format!("{language}.po"));
        println!("cargo::rerun-if-changed={}", path.display());
        let catalog = polib::po_file::parse(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        for message in catalog.messages().filter(|message| !message.is_fuzzy()) {
            let text = message.msgstr().unwrap_or_default().to_owned();
            texts.entry(message.msgid().to_owned()).or_default()[at] = text;
        }
    }
    std::fs::write(out.join("texts.rs"), table(&texts)).expect("the table can be written");
}

/// The source of the table: a string for each column, and where in it the text of each row ends.
fn table(texts: &BTreeMap<String, [String; LANGUAGES.len()]>) -> String {
    let mut columns = vec![String::new(); LANGUAGES.len() + 1];
    let mut ends = Vec::new();
    let mut templates = Vec::new();
    for (row, (english, own)) in texts.iter().enumerate() {
        if english.contains('{') {
            templates.push(row);
        }
        columns[0].push_str(english);
        own.iter().zip(&mut columns[1..]).for_each(|(text, column)| column.push_str(text));
        ends.push(columns.iter().map(String::len).collect::<Vec<_>>());
    }
    let mut source = String::new();
    let (rows, width) = (ends.len(), columns.len());
    let _ = writeln!(source, "pub(crate) static TEXTS: [&str; {width}] = {columns:?};");
    let _ = writeln!(source, "pub(crate) static ENDS: [[u32; {width}]; {rows}] = {ends:?};");
    let _ = writeln!(source, "pub(crate) static TEMPLATES: [u16; {}] = {templates:?};", templates.len());
    source
}
