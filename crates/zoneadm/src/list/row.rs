//! What is known of one zone.

use std::fs;
use std::path::PathBuf;

use zone_config::lastexit::{How, LastExit};
use zone_config::{Entry, Layout, Snapshot, State, Uuid, ZoneConfig, ZoneName, here};
use zone_sys::signal::{SIGHUP, SIGINT};
use zsched::wire::{End, Status};

use crate::live;
use crate::message::warn_zone;
use crate::verbs::verify::config_error;

/// What stands for a value that could not be had.
pub(super) const UNKNOWN: &str = "???";

/// Where the virtual platform tells a zone its brand.
const BRAND_FILE: &str = "/run/zone/brand";

/// Signals by which a program that is at fault dies: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const FAULTS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];

/// The caller may not ask the zone's keeper.
#[derive(Debug)]
pub(super) struct Forbidden;

/// One zone in a list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Its name as that of a zone; none for the zone that this program runs in, be it the host.
    pub(super) zone: Option<ZoneName>,
    pub(super) state: Option<State>,
    pub(super) zonepath: PathBuf,
    pub(super) uuid: Option<Uuid>,
    pub(super) brand: Option<String>,
    pub(super) ip_type: Option<&'static str>,
    /// What its keeper says, when it is up.
    pub(super) live: Option<Status>,
}

impl Row {
    /// The host's.
    pub(super) fn global() -> Self {
        Self {
            name: here::GLOBAL.to_owned(),
            zone: None,
            state: Some(State::Running),
            zonepath: "/".into(),
            uuid: None,
            brand: Some("linux".to_owned()),
            ip_type: Some("shared"),
            live: None,
        }
    }

    /// That of the zone this program runs in, which sees no other and of itself what it was told.
    pub(super) fn here(name: String) -> Self {
        let brand = fs::read_to_string(BRAND_FILE).ok().map(|text| text.trim().to_owned());
        Self { name, brand, ip_type: Some("excl"), ..Self::global() }
    }

    /// A zone's, its state found out; `None` when that failed, which has then been told.
    pub(super) fn of(layout: &Layout, entry: &Entry) -> Result<Option<Self>, Forbidden> {
        match live::ask(layout, &entry.name) {
            Ok(status) => {
                let state = live::state(status.as_ref(), entry.state);
                Ok(Some(Self { state: Some(state), live: status, ..Self::bare(entry) }))
            }
            // Nothing of these can be up, whoever asks.
            Err(error) if live::is_forbidden(&error) && entry.state < State::Installed => {
                Ok(Some(Self { state: Some(entry.state), ..Self::bare(entry) }))
            }
            Err(error) if live::is_forbidden(&error) => Err(Forbidden),
            Err(error) => {
                let error = anyhow::Error::new(error).context("could not get state");
                warn_zone(&entry.name, format_args!("{error:#}"));
                Ok(None)
            }
        }
    }

    /// A zone's whose keeper may not be asked.
    pub(super) fn unseen(entry: &Entry) -> Option<Self> {
        Some(Self::bare(entry))
    }

    fn bare(entry: &Entry) -> Self {
        Self {
            name: entry.name.to_string(),
            zone: Some(entry.name.clone()),
            state: None,
            zonepath: entry.zonepath.clone(),
            uuid: entry.uuid,
            brand: None,
            ip_type: None,
            live: None,
        }
    }

    /// Reads the brand and the ip-type: from what a live zone runs with, else from its configuration. What cannot be
    /// read stays unknown and is told about; the answer says whether all went well.
    pub(super) fn complete(&mut self, layout: &Layout) -> bool {
        let Some(zone) = &self.zone else { return true };
        let snapshot = self.live.and_then(|_| Snapshot::load(layout, zone).ok());
        let config = match snapshot {
            Some(snapshot) => Ok(snapshot.config),
            None => ZoneConfig::load(layout, zone),
        };
        match config {
            Ok(config) => {
                self.brand = Some(config.brand);
                self.ip_type = Some(match config.ip_type.as_str() {
                    "exclusive" => "excl",
                    other => other,
                });
                true
            }
            Err(error) => {
                let cause = config_error(layout, zone, error);
                warn_zone(zone, format_args!("could not get brand name: {cause}"));
                false
            }
        }
    }

    /// Whether there is more of it than files.
    pub(super) fn is_up(&self) -> bool {
        self.state.is_some_and(|state| state >= State::Ready)
    }

    /// What users take for the zone's id: the process id of its first process, and 0 for the host.
    pub(super) fn id(&self) -> Option<i32> {
        match (&self.zone, self.live) {
            (None, _) => (self.name == here::GLOBAL).then_some(0),
            (Some(_), live) => live.map(|status| status.pid),
        }
    }

    /// How the zone last ended: what its keeper knows and nobody has written down yet, else what was written down.
    pub(super) fn last_exit(&self) -> Option<LastExit> {
        let zone = self.zone.as_ref()?;
        if let Some(exit) = self.live.and_then(|status| ended(&status)) {
            return Some(exit);
        }
        match LastExit::load(&self.zonepath) {
            Ok(exit) => exit,
            Err(error) => {
                warn_zone(zone, format_args!("{:#}", anyhow::Error::new(error)));
                None
            }
        }
    }
}

/// How an incarnation ended that is down and has not been dealt with.
fn ended(status: &Status) -> Option<LastExit> {
    let (how, code, signal) = match status.end? {
        End::Exited(code) => (How::Exited, Some(code), None),
        // What the kernel tells the parent of a first process that called reboot(2), see pid_namespaces(7).
        End::Killed(SIGHUP) => (How::Rebooted, None, None),
        End::Killed(SIGINT) => (How::Poweroff, None, None),
        End::Killed(signal) if FAULTS.contains(&signal) => (How::Crashed, None, Some(signal)),
        End::Killed(signal) => (How::Killed, None, Some(signal)),
    };
    let (uniqid, when, restarts) = (status.uniqid, status.ended, status.restarts());
    Some(LastExit { uniqid, how, status: code, signal, when, restarts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_nobody_has_written_down() {
        let with = |end| ended(&Status { end: Some(end), uniqid: 3, ended: 9, ..Status::default() }).unwrap();
        for (end, how, status, signal) in [
            (End::Exited(3), How::Exited, Some(3), None),
            (End::Killed(1), How::Rebooted, None, None),
            (End::Killed(2), How::Poweroff, None, None),
            (End::Killed(9), How::Killed, None, Some(9)),
            (End::Killed(11), How::Crashed, None, Some(11)),
        ] {
            assert_eq!(with(end), LastExit { uniqid: 3, how, status, signal, when: 9, restarts: 0 });
        }
        assert_eq!(ended(&Status::default()), None);
    }
}
