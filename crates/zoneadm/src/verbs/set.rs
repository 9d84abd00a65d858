//! `zoneadm set`: changes what a zone has that is up, until it boots next. It is `zonecfg -r` in one word.

use std::io;

use zone_config::command::{Command, Term};
use zonecfg::session::Session;
use zonecfg::talk::Talk;

use crate::cli::lead::SetArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome};
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: &SetArgs) -> Outcome {
    let commands: Vec<Command> = args.assignments.iter().map(|word| command(word)).collect::<Outcome<_>>()?;
    let target = sanity::check(cx, Action::Set)?;
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut talk = Talk { out: &mut out, err: &mut err, person: false, program: "zoneadm" };
    let failed = |error| Failure::of(target.name())(anyhow::Error::new(error));
    let mut session =
        Session::begin_live(target.layout.clone(), target.name().clone(), false).map_err(failed)?;
    for command in &commands {
        session.execute(command, &mut talk).map_err(failed)?;
    }
    session.finish(&mut talk).map_err(failed)
}

/// `PROPERTY=VALUE`; without a value the property is as if it had never been set.
fn command(word: &str) -> Outcome<Command> {
    match word.split_once('=') {
        Some((property, "")) if !property.is_empty() => Ok(Command::Clear { property: property.to_owned() }),
        Some((property, value)) if !property.is_empty() => {
            Ok(Command::Set { property: property.to_owned(), value: Term::Word(value.to_owned()) })
        }
        _ => Err(Failure::Usage(format!("set {word}: PROPERTY=VALUE, as in max-lwps=2000"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_a_command_of_zonecfg() {
        let set = |word| command(word).unwrap();
        let value = Term::Word("2g".to_owned());
        let property = "capped-memory.physical".to_owned();
        assert_eq!(set("capped-memory.physical=2g"), Command::Set { property: property.clone(), value });
        assert_eq!(set("capped-memory.physical="), Command::Clear { property });
        assert!(command("max-lwps").is_err() && command("=7").is_err());
    }
}
