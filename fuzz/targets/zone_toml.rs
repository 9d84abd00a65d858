//! A zone's configuration on disk: edited by hand, or by another version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use zone_config::ZoneConfig;
use zone_config::document::Document;

fuzz_target!(|text: &str| {
    let origin = Path::new("zone.toml");
    if let Ok(document) = Document::parse(text, origin) {
        document.verify();
        let written = document.to_toml();
        let again = Document::parse(&written, origin).expect("what was written can be read");
        assert_eq!(again, document, "{written}");
    }
    if let Ok(config) = ZoneConfig::parse(text, origin) {
        config.to_document().verify();
        let written = config.to_toml();
        let again = ZoneConfig::parse(&written, origin).expect("what was written can be read");
        assert_eq!(again, config, "{written}");
    }
});
