//! The table on processes of the tests' own.

use super::*;
use crate::clone::{Clone, Cloned, Namespaces, exit_now};
use rustix::fd::AsFd;
use rustix::process::{WaitId, WaitIdOptions, waitid};

#[test]
fn numbers_come_back() {
    for attribute in Attribute::ALL {
        assert_eq!(Attribute::from_number(attribute as u8), Some(attribute));
    }
    assert_eq!(Attribute::from_number(0), None);
}

#[test]
fn every_limit_of_the_kernel_is_in_the_table() {
    let rows = std::fs::read_to_string("/proc/self/limits").unwrap().lines().count() - 1;
    assert_eq!(limits(1000, true).len(), rows);
    for limit in limits(1 << 20, true).into_iter().chain(limits(1 << 20, false)) {
        assert!(!is_below(limit.hard, limit.soft), "{limit:?}");
        assert!(!is_below(limit.hard, limit.least), "{limit:?}");
    }
}

/// Runs `check` in a child that has first changed what it inherits.
fn in_a_child(check: fn() -> bool) {
    match Clone::new(Namespaces::empty()).spawn_with_threads().unwrap() {
        Cloned::Child => exit_now(if check() { 0 } else { 9 }),
        Cloned::Parent { pidfd, .. } => {
            let end = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
            assert_eq!(end.exit_status(), Some(0));
        }
    }
}

#[test]
fn what_was_changed_is_put_back() {
    in_a_child(|| {
        let soft = |resource, current| {
            let maximum = getrlimit(resource).maximum;
            setrlimit(resource, Rlimit { current, maximum }).is_ok()
        };
        let changed = soft(Resource::Nofile, Some(64))
            && soft(Resource::Fsize, Some(100))
            && rustix::process::nice(5).is_ok()
            && prctl(libc::PR_SET_TIMERSLACK, 77_777).is_ok()
            && personality(0x0004_0000).is_ok();
        signal::ignore(signal::SIGINT);
        rustix::process::umask(Mode::RWXU);
        // As an ordinary user a nice value cannot be put back, and this says so.
        let put_back = match reset(Role::Zone) {
            Ok(()) => rustix::process::getpriority_process(None) == Ok(0),
            Err(Inherited { attribute, .. }) => attribute == Attribute::Scheduling,
        };
        changed
            && put_back
            && getrlimit(Resource::Nofile).current == Some(1024)
            && getrlimit(Resource::Fsize).current.is_none()
            && rustix::process::umask(Mode::empty()) == Mode::WGRP | Mode::WOTH
    });
}

#[test]
fn a_limit_that_is_too_low_and_cannot_be_raised_is_named() {
    in_a_child(|| {
        let low = Rlimit { current: Some(64), maximum: Some(64) };
        if setrlimit(Resource::Nofile, low).is_err() {
            return false;
        }
        match reset(Role::Zone) {
            // With CAP_SYS_RESOURCE it is raised.
            Ok(()) => getrlimit(Resource::Nofile).current == Some(1024),
            Err(inherited) => inherited == Inherited { attribute: Attribute::Nofile, errno: Errno::PERM },
        }
    });
}

#[test]
fn no_program_of_the_hosts_runs_for_a_crash_in_a_zone() {
    for (pattern, suid_dumpable, inside) in [
        ("|/usr/lib/systemd/systemd-coredump %P %u", 2, false),
        ("|/usr/share/apport/apport %p", 0, false),
        ("@/run/coredump.socket", 0, false),
        ("core", 0, true),
        ("core.%p", 2, true),
        ("/var/crash/core.%p", 0, true),
        ("/var/crash/core.%p", 2, false),
        ("", 0, true),
    ] {
        assert_eq!(goes_inside(pattern.as_bytes(), suid_dumpable), inside, "{pattern}");
    }
}

#[test]
fn without_new_privileges_nothing_is_started() {
    in_a_child(|| {
        let refused = Err(Inherited { attribute: Attribute::NoNewPrivileges, errno: Errno::PERM });
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1).is_ok() && reset(Role::Zone) == refused
    });
}
