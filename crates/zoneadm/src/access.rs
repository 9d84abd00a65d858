//! What a user who is not root may have done all the same: by zone-access, which knows who calls and what that user may do.

use std::io::Write as _;

use zone_config::ZoneName;
use zone_door::access::{Access, AccessError, Ask, Done, List, Refusal, Verb as Wish};

use crate::cli::Verb;
use crate::context::{Context, Selection};
use crate::daemon::locale;
use crate::message::{Failure, Outcome, say, warn};

/// Has it done by zone-access. `None`: it is for this process to do, or to refuse, since the user is root, the verb is root's,
/// or this host has no zone-access.
///
/// # Errors
/// When it was not done; everything about that has then been said.
pub(crate) fn instead(cx: &Context, verb: &Verb) -> Option<Outcome> {
    if rustix::process::geteuid().is_root() || zone_config::here::zone().is_some() {
        return None;
    }
    let zone = match cx.select().ok()? {
        Selection::Zone(entry) => Some(entry.name),
        Selection::Nothing if matches!(verb, Verb::List(_)) => None,
        Selection::Nothing | Selection::Global => return None,
    };
    let ask = ask(verb, zone.as_ref())?;
    match Access::in_dir(&cx.layout.access_dir()).run(&ask) {
        Ok(done) => Some(pass_on(&done)),
        Err(AccessError::NotListening { .. }) => None,
        // What everybody may see of zones is still there to be listed.
        Err(AccessError::Refused(Refusal::NotAuthorized { .. })) if matches!(ask, Ask::List(_)) => None,
        Err(error) => Some(Err(match zone {
            Some(zone) => Failure::of(&zone)(error),
            None => Failure::general(error),
        })),
    }
}

/// The call; `None` for what is root's.
fn ask(verb: &Verb, zone: Option<&ZoneName>) -> Option<Ask> {
    if let Verb::List(args) = verb {
        // These are made of what this process finds.
        if args.csv || !args.columns.is_empty() || !args.in_state.is_empty() {
            return None;
        }
        return Some(Ask::List(List {
            zone: zone.map(ToString::to_string),
            configured: args.configured,
            installed: args.installed,
            no_global: args.no_global,
            parsable: args.parsable,
            verbose: args.verbose,
            net: args.net,
            json: args.json,
            locale: locale(),
        }));
    }
    let wish = Wish { zone: zone?.to_string(), locale: locale(), ..Wish::default() };
    Some(match verb {
        Verb::Ready => Ask::Ready(wish),
        Verb::Boot(args) if !args.timings => Ask::Boot(Wish {
            wait: args.wait,
            single: args.single,
            writable: args.writable,
            bootargs: args.bootargs.words().to_vec(),
            ..wish
        }),
        Verb::Reboot(args) => {
            Ask::Reboot(Wish { writable: args.writable, bootargs: args.bootargs.words().to_vec(), ..wish })
        }
        Verb::Halt(args) => Ask::Halt(Wish { force: args.force, ..wish }),
        Verb::Shutdown(args) => Ask::Shutdown(Wish {
            timeout: args.timeout,
            reboot: args.reboot,
            bootargs: args.bootargs.words().to_vec(),
            ..wish
        }),
        Verb::Apply(args) => {
            Ask::Apply(Wish { dry_run: args.dry_run, quiet: args.quiet, json: args.json, ..wish })
        }
        _ => return None,
    })
}

/// Prints what the program printed, and ends as it did.
fn pass_on(done: &Done) -> Outcome {
    for line in done.errors.lines() {
        say(format_args!("{line}"));
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(done.output.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Err(Failure::Unread),
        Err(error) => {
            warn(format_args!("could not write to standard output: {error}"));
            return Err(Failure::Told);
        }
        Ok(()) => {}
    }
    match done.status {
        0 => Ok(()),
        2 => Err(Failure::Unusable),
        _ => Err(Failure::Told),
    }
}
