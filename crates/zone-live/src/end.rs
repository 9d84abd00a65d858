//! How an incarnation ended: the one place where what the kernel says of a first process becomes what is told of its zone.

use rustix::time::{ClockId, clock_gettime};
use zone_config::lastexit::{How, LastExit};
use zone_sys::signal::{SIGHUP, SIGINT};
use zsched::wire::{End, Status};

/// Signals by which a program at fault dies (signal(7)): SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const FAULTS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];

/// Says what the end of a first process means, if nobody told it to end.
#[must_use]
pub fn how_it_ended(end: Option<End>) -> How {
    match end {
        // pid_namespaces(7): reboot(2) in a PID namespace kills its first process in these two ways.
        Some(End::Killed(SIGHUP)) => How::Rebooted,
        Some(End::Killed(SIGINT)) => How::Poweroff,
        Some(End::Killed(signal)) if FAULTS.contains(&signal) => How::Crashed,
        Some(End::Killed(_)) => How::Killed,
        Some(End::Exited(_)) => How::Exited,
        None => How::Unknown,
    }
}

/// Makes the record of an end, which outlives zsched's. `how` is what ended the incarnation; `None` takes what its first
/// process' own end says.
#[must_use]
pub fn last_exit(status: &Status, how: Option<How>) -> LastExit {
    let how = how.unwrap_or_else(|| how_it_ended(status.end));
    let (exit, signal) = match status.end {
        // What ended a zone that was told to end says nothing.
        _ if !matches!(how, How::Exited | How::Killed | How::Crashed) => (None, None),
        Some(End::Exited(status)) => (Some(status), None),
        Some(End::Killed(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    let now = || clock_gettime(ClockId::Realtime).tv_sec.unsigned_abs();
    LastExit {
        uniqid: status.uniqid,
        how,
        status: exit,
        signal,
        when: if status.ended == 0 { now() } else { status.ended },
        restarts: status.restarts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_what_ended_the_zone() {
        let with =
            |end| last_exit(&Status { end: Some(end), uniqid: 3, ended: 9, ..Status::default() }, None);
        for (end, how, status, signal) in [
            (End::Exited(3), How::Exited, Some(3), None),
            (End::Killed(1), How::Rebooted, None, None),
            (End::Killed(2), How::Poweroff, None, None),
            (End::Killed(9), How::Killed, None, Some(9)),
            (End::Killed(11), How::Crashed, None, Some(11)),
        ] {
            assert_eq!(with(end), LastExit { uniqid: 3, how, status, signal, when: 9, restarts: 0 });
        }
        assert_eq!(how_it_ended(None), How::Unknown);
    }

    #[test]
    fn what_ended_a_zone_that_was_told_to_end_says_nothing() {
        let status = Status { end: Some(End::Killed(9)), ended: 9, ..Status::default() };
        let exit = last_exit(&status, Some(How::Halted));
        assert_eq!((exit.how, exit.status, exit.signal), (How::Halted, None, None));
    }
}
