//! Configurations of illumos and Solaris: files of another machine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zone_config::document::{Document, MOST_RESOURCES};
use zonecfg::editor::Editor;
use zonecfg::import::{adopt, parse};

fuzz_target!(|text: &str| {
    let Ok(foreign) = parse(text) else { return };
    assert!(foreign.resources.len() <= MOST_RESOURCES);
    let Ok(name) = "web".parse() else { return };
    let mut editor = Editor::new(name, Document::default(), None);
    adopt(foreign, &mut editor);
    assert!(editor.open().is_none());
    // What was taken over can be written and read.
    let toml = editor.document.to_toml();
    assert_eq!(Document::parse(&toml, "f".as_ref()).ok().map(|document| document.to_toml()), Some(toml));
});
