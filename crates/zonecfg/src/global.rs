//! The global zone, which is this host: nothing of it is configured here.
//!
//! On illumos it has a pool and resource controls, and `info` shows those. A host with Linux has its limits elsewhere, so that there
//! is nothing to set; what can be looked at is answered as there, and the rest refused in the words of there.

use zone_config::command::{Command, Script};
use zone_config::schema::{self, GLOBALS};
use zone_sys::Chain;

use crate::args::Args;
use crate::complete::Place;
use crate::editor::{self, EditError};
use crate::error::Failure;
use crate::help;
use crate::line::{Reader, Typed};
use crate::run::{Ended, Origin, given, report_syntax, run_commands};
use crate::session::Flow;
use crate::talk::Talk;

/// Its name.
pub(crate) const NAME: &str = "global";

/// The one property that illumos' `info` shows of it whether it is set or not.
const POOL: &str = "pool";

/// A command that the global zone has not.
#[derive(Debug, thiserror::Error)]
pub enum GlobalError {
    /// A resource that no host has here.
    #[error("Cannot add a {0} resource to the global zone. {HOST}")]
    Resource(&'static str),
    /// A property that no host has here.
    #[error("{0} is not a valid property for the global zone. {HOST}")]
    Property(&'static str),
    /// Another command.
    #[error("{0}: the global zone cannot be changed. {HOST}")]
    Command(&'static str),
}

const HOST: &str = "It is this host, whose limits are set by systemd or sysctl.";

/// Does what was asked for, and returns the status to exit with.
pub(crate) fn start(args: &Args, talk: &mut Talk<'_>) -> anyhow::Result<u8> {
    let (text, origin) = given(args)?;
    let Some(text) = text else { return Ok(converse(talk)) };
    let ended = run_commands(&text, &origin, talk, execute);
    Ok(u8::from(ended == Ended::Failed))
}

/// Does what a person types, until they leave.
fn converse(talk: &mut Talk<'_>) -> u8 {
    zone_sys::signal::ignore(zone_sys::signal::SIGINT);
    let mut reader = match Reader::new() {
        Ok(reader) => reader,
        Err(error) => {
            talk.note(&format!("cannot read from the terminal: {}", Chain(&error)));
            return 1;
        }
    };
    loop {
        let line = match reader.read("zonecfg:global> ", Place::default()) {
            Typed::Line(line) => line,
            Typed::Cleared => continue,
            Typed::End => return 0,
        };
        for found in Script::new(&line, 1) {
            match found.map(|located| execute(&located.command, talk)) {
                Ok(Ok(Flow::Next)) => {}
                Ok(Ok(Flow::Quit)) => return 0,
                Ok(Err(failure)) => talk.note(&Chain(&failure).to_string()),
                Err(error) => report_syntax(&error, &Origin::CommandLine, false, talk),
            }
        }
    }
}

fn execute(command: &Command, talk: &mut Talk<'_>) -> Result<Flow, Failure> {
    match command {
        Command::Info { json, what, .. } => {
            let text = info(*json, what.as_deref())?;
            talk.out.write_all(text.as_bytes())?;
        }
        Command::Export { json: true, file: None } => talk.out.write_all(b"{}\n")?,
        // There is nothing to be made again.
        Command::Export { file: None, .. } | Command::Verify | Command::Commit => {}
        Command::Exit { .. } => return Ok(Flow::Quit),
        Command::Help { topic } => talk.help(&help::about(topic.as_deref())?)?,
        Command::Add { what, .. } => {
            return Err(GlobalError::Resource(editor::resource(what)?.name).into());
        }
        Command::Set { property, .. } | Command::Clear { property } => {
            let row = editor::global(property)?;
            return Err(GlobalError::Property(row.name).into());
        }
        command => return Err(GlobalError::Command(command.name()).into()),
    }
    Ok(Flow::Next)
}

fn info(json: bool, what: Option<&str>) -> Result<String, EditError> {
    match what {
        Some(name) if schema::resource(name).is_some() => {}
        Some(name) if schema::global(name).is_some_and(|row| row.name == POOL) => {}
        // It has none of the zones' own.
        Some(name) if schema::global(name).is_some() => {
            return Ok(if json { "{}\n".to_owned() } else { String::new() });
        }
        Some(name) => {
            return Err(EditError::NoProperty {
                scope: "the global zone",
                name: name.to_owned(),
                allowed: format!("{}, {}", schema::names(GLOBALS), schema::resource_names()),
            });
        }
        None => {}
    }
    let pool = what.is_none_or(|what| what == POOL);
    Ok(match (json, pool) {
        (true, true) => "{\n  \"pool\": null\n}\n".to_owned(),
        (true, false) => "{}\n".to_owned(),
        (false, true) => format!("{POOL}: \n"),
        (false, false) => String::new(),
    })
}
