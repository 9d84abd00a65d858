//! The zone as the worker thread sees it: what it takes to bring it up and down, and nothing that is
//! remembered only here.

use crate::errand::OpError;
use crate::heir::Estate;
use rustix::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;
use zone_config::index::{Entry, Index};
use zone_config::lastexit::{How, LastExit};
use zone_config::{Layout, Snapshot, ZoneConfig, ZoneName};
use zone_console::term::Size;
use zsched::client::Client;
use zsched::wire::{End, Status};

/// One zone, usable from any thread.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) layout: Layout,
    pub(crate) name: ZoneName,
    keeper: Mutex<Client>,
    subsidiary: Mutex<OwnedFd>,
    /// What it takes to replace zsched.
    pub(crate) estate: Estate,
    window: Mutex<Size>,
    /// Where what zsched says in the middle of an operation is told.
    heard: UnboundedSender<Status>,
}

impl Zone {
    pub(crate) fn new(
        layout: Layout,
        name: ZoneName,
        keeper: Client,
        subsidiary: OwnedFd,
        estate: Estate,
        heard: UnboundedSender<Status>,
    ) -> Self {
        Self {
            heard,
            layout,
            name,
            keeper: Mutex::new(keeper),
            subsidiary: Mutex::new(subsidiary),
            estate,
            window: Mutex::default(),
        }
    }

    /// zsched, for one request after another.
    pub(crate) fn keeper(&self) -> MutexGuard<'_, Client> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what zsched said in the middle of an operation: who asks for the state meanwhile wants to know.
    pub(crate) fn hear(&self, status: Status) {
        // Nobody listens any more only when the daemon ends.
        let _ = self.heard.send(status);
    }

    /// The console's subsidiary side.
    pub(crate) fn subsidiary(&self) -> MutexGuard<'_, OwnedFd> {
        self.subsidiary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size that the console has at the next boot.
    pub(crate) fn window(&self) -> Size {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_window(&self, size: Size) {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = size;
    }

    /// The zone's line in the index.
    pub(crate) fn entry(&self) -> Result<Entry, OpError> {
        let index = Index::load(&self.layout).map_err(|e| OpError::Config(crate::errand::render(&e)))?;
        let missing = || OpError::Config(format!("{}: No such zone configured", self.name));
        index.get(&self.name).cloned().ok_or_else(missing)
    }

    /// The configuration of the live zone: the snapshot, else (it was lost or spoilt) what is configured.
    pub(crate) fn config(&self) -> Option<ZoneConfig> {
        let live = Snapshot::load(&self.layout, &self.name).ok().map(|snapshot| snapshot.config);
        live.or_else(|| ZoneConfig::load(&self.layout, &self.name).ok())
    }

    /// Where the zone is on disk.
    pub(crate) fn zonepath(&self) -> Option<PathBuf> {
        self.config().map(|config| config.zonepath).or_else(|| self.entry().ok().map(|entry| entry.zonepath))
    }

    /// How an incarnation ended, as it is written down: that outlives zsched's record.
    pub(crate) fn end_of(status: &Status, how: How) -> LastExit {
        let (exit, signal) = match status.end {
            Some(End::Exited(status)) => (Some(status), None),
            Some(End::Killed(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let own = matches!(how, How::Exited | How::Killed | How::Crashed);
        LastExit {
            uniqid: status.uniqid,
            how,
            // What ended a zone that was told to end says nothing.
            status: exit.filter(|_| own),
            signal: signal.filter(|_| own),
            when: if status.ended == 0 { now() } else { status.ended },
            restarts: status.restarts(),
        }
    }
}

/// What the way a first process ended means, if nobody told it to.
pub(crate) fn how_it_ended(end: Option<End>) -> How {
    /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: faults of its own (signal(7)).
    const FAULTS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
    match end {
        // pid_namespaces(7): reboot(2) in a PID namespace kills its first process in these two ways.
        Some(End::Killed(zone_sys::signal::SIGHUP)) => How::Rebooted,
        Some(End::Killed(zone_sys::signal::SIGINT)) => How::Poweroff,
        Some(End::Killed(signal)) if FAULTS.contains(&signal) => How::Crashed,
        Some(End::Killed(_)) => How::Killed,
        Some(End::Exited(_)) => How::Exited,
        None => How::Unknown,
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec.unsigned_abs()
}
