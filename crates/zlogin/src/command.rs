//! `zlogin ZONE COMMAND...`: the command's three streams are the caller's, byte for byte. So are those of a login
//! shell that takes its commands from what is no terminal.
//!
//! The zone never gets the caller's own descriptors: a terminal would let it type on the host, and a
//! file would show it the host's. It gets pipes, made inside, and this process moves the bytes.

use crate::exit::{Failure, NearEnd, Outcome, reason, say, status};
use crate::flow::Flow;
use crate::inside::{self, Inside, What};
use crate::options::{Options, Who};
use crate::signals::Signals;
use crate::stdio::{End, Stream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use std::ffi::OsString;
use zone_platform::enter::{End as Ended, Ends};

/// Runs the command; the exit status is the command's.
pub(crate) fn run(options: &Options, user: &Who, no_input: bool, words: &[OsString]) -> Outcome {
    let (inside, ends) = inside::start(options, user, What::Command(words), None)?;
    relay(&inside, ends, no_input)
}

/// Runs a login shell without a terminal; it ends with its input, which is ours.
pub(crate) fn script(options: &Options, user: &Who) -> Outcome {
    let (inside, ends) = inside::start(options, user, What::Login, None)?;
    relay(&inside, ends, false)
}

fn relay(inside: &Inside, ends: Ends, no_input: bool) -> Outcome {
    let signals = Signals::catch(&[Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT])?;
    let mut flows = flows(ends, no_input)?;
    let mut end = None;
    let mut failed = false;
    while end.is_none() || flows[1..].iter().any(|flow| !flow.is_done()) {
        let mut events = inside
            .with_watch(|watch| {
                let mut fds = vec![PollFd::new(&signals, PollFlags::IN)];
                if end.is_none() {
                    fds.push(PollFd::from_borrowed_fd(watch, PollFlags::IN));
                }
                for flow in &flows {
                    flow.poll(&mut fds);
                }
                match poll(&mut fds, None) {
                    Ok(_) | Err(Errno::INTR) => Ok(fds.iter().map(PollFd::revents).collect::<Vec<_>>()),
                    Err(errno) => Err(errno),
                }
            })?
            .into_iter();
        events.next();
        let ended = end.is_none() && events.next().is_some_and(|events| !events.is_empty());
        flows.iter_mut().for_each(|flow| flow.heard(&mut events));
        while let Some(signal) = signals.next() {
            if end.is_some() {
                // Nothing is left to be told but ourselves.
                return Ok(status(Ended::Killed(signal.as_raw())));
            }
            inside.signal(signal);
        }
        if ended {
            end = Some(inside.wait()?);
            zone_fail::pass!("command.ended");
            // What it wrote before its end is in the pipes by now; what its own children may still
            // write is not waited for.
            flows[0].close();
            flows[1..].iter_mut().for_each(Flow::finish);
        }
        flows.iter_mut().for_each(Flow::step);
        failed |= tell_failures(&mut flows);
        zone_fail::pass!("command.running");
    }
    match end {
        _ if failed => Err(Failure::Told),
        Some(Ended::Killed(_)) if inside.is_going() => Err(inside.gone()),
        Some(end) => Ok(status(end)),
        None => Err(Failure::Told),
    }
}

/// Says which of our own ends has failed, at once: the command may run for long. Whether any has.
fn tell_failures(flows: &mut [Flow; 3]) -> bool {
    let streams = [Stream::Input, Stream::Output, Stream::Errors];
    let mut any = false;
    for (flow, stream) in flows.iter_mut().zip(streams) {
        if let Some(source) = flow.take_failure() {
            say(&reason(&NearEnd { stream, source }.into()));
            any = true;
        }
    }
    any
}

/// The three streams, the input first.
fn flows(ends: Ends, no_input: bool) -> Result<[Flow; 3], Failure> {
    let Ends::Pipes { stdin, stdout, stderr } = ends else {
        return Err(Failure::text("the zone gave no pipes"));
    };
    let mut input = Flow::new(End::stdin(), End::own(stdin)?);
    if no_input {
        input.close();
    }
    let output = Flow::new(End::own(stdout)?, End::stdout());
    let errors = Flow::new(End::own(stderr)?, End::stderr());
    Ok([input, output, errors])
}
