//! `create`: a configuration from defaults, from nothing, from another zone's, or from another system's.

use std::path::Path;

use zone_config::command::{Template, Term};
use zone_config::config::ConfigError;
use zone_config::document::Document;
use zone_config::{Settings, ZoneName, detached, schema, store};

use super::{Current, Session, above_configured};
use crate::editor::Editor;
use crate::error::Failure;
use crate::import;
use crate::talk::{Answer, Talk};

/// Names that Solaris has for the two templates that are not zones.
const DEFAULT_TEMPLATE: &str = "SUNWdefault";
const BLANK_TEMPLATE: &str = "SUNWblank";

impl Session {
    /// Begins a new configuration.
    ///
    /// # Errors
    /// When there is one that is kept, or what it is to be made from cannot be read.
    pub(super) fn create(
        &mut self,
        force: bool,
        template: &Template,
        talk: &mut Talk<'_>,
    ) -> Result<(), Failure> {
        self.global_scope("create")?;
        if let Some(state) = above_configured(self.disk.state) {
            return Err(Failure::Installed { zone: self.zone.clone(), state, command: "create" });
        }
        if let Some(zone) = &self.disk.name {
            if force {
                talk.note(&format!("Zone {zone} already exists; overwriting."));
            } else {
                match talk.ask(&format!("Zone {zone} already exists; create anyway"))? {
                    Answer::Yes => {}
                    Answer::No => return Ok(()),
                    Answer::Nobody => return Err(Failure::Exists { zone: zone.clone() }),
                }
            }
        }
        let mut document = match template {
            Template::Blank => Document::default(),
            Template::Zone(name) if name == BLANK_TEMPLATE => Document::default(),
            Template::Zone(name) if name != DEFAULT_TEMPLATE => {
                let template: ZoneName = name.parse()?;
                match store::load(&self.layout, &template) {
                    Err(ConfigError::NoSuchZone(_)) => {
                        let meant = self.meant_by(&template);
                        return Err(Failure::NoSuchZone(template, meant));
                    }
                    loaded => loaded?,
                }
            }
            Template::Detached(path) => detached::load(Path::new(path))?.unwrap_or_default(),
            _ => Document::default(),
        };
        let ours =
            matches!(template, Template::Detached(path) if detached::manifest(Path::new(path)).exists());
        let foreign = match template {
            Template::File(path) => Some(import::read(Path::new(path))?),
            Template::Detached(path) if !ours => Some(import::read_detached(Path::new(path))?),
            _ => None,
        };
        let blank = *template == Template::Blank || *template == Template::Zone(BLANK_TEMPLATE.to_owned());
        if let (false, Some(row)) = (blank, schema::global("zonepath")) {
            // No two zones have one zonepath, so that a copy gets its own.
            let zonepath = Settings::load(&self.layout)?.zonepath(&self.layout, &self.zone);
            document.globals.set(row, row.read(&zonepath.to_string_lossy())?);
        }
        let mut editor = Editor::new(self.zone.clone(), document, None);
        self.left_out = foreign.map(|foreign| import::adopt(foreign, &mut editor)).unwrap_or_default();
        if let Template::Detached(path) = template {
            editor.set("zonepath", &Term::Word(path.clone()))?;
        }
        self.current = Current::Here(Box::new(editor));
        // What was saved stays what a revert goes back to.
        self.anew = true;
        Ok(())
    }
}
