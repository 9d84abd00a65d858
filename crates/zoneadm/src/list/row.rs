//! What is known of one zone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use zone_config::config::{IpType, MacProfile};
use zone_config::lastexit::{How, LastExit};
use zone_config::readiness::Found;
use zone_config::snapshot::Listed;
use zone_config::{Entry, Layout, Snapshot, State, Uuid, ZoneConfig, ZoneName, change, file, here};
use zone_door::{Change, Client};
use zone_platform::cgroup::OomKills;
use zone_sys::Chain;
use zsched::client::{ClientError, is_at_work};
use zsched::wire::{Phase, Status};

use super::limits::{self, Limits};
use super::network::Network;
use crate::live;
use crate::message::warn_zone;
use crate::verbs::install::at_work;
use crate::verbs::verify::config_error;

/// What stands for a value that could not be had.
pub(super) const UNKNOWN: &str = "???";

/// Where the virtual platform tells a zone its brand.
const BRAND_FILE: &str = "/run/zone/brand";

/// How long a daemon may take to say what it does. It answers at once or is ill, and the list does not wait for the ill.
const PATIENCE: Duration = Duration::from_secs(1);

/// The caller may not ask the zone's keeper.
#[derive(Debug)]
pub(super) struct Forbidden;

/// How much of its root a zone can write, where that is not all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Immutable {
    pub(super) profile: MacProfile,
    /// Whether it was booted so that it can write all of it until its next boot; none for a zone that is not up.
    pub(super) writable: Option<bool>,
}

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
    /// How much of its root it can write, if that is less than all; and, when it is up, whether it can this once.
    pub(super) immutable: Option<Immutable>,
    /// What its keeper says, when it is up.
    pub(super) live: Option<Status>,
    /// Of one that runs: whether it is ready, if that was found out.
    pub(super) readiness: Option<Option<Found>>,
    /// Who is at work on its files, if somebody is.
    pub(super) at_work: Option<String>,
    /// What its daemon says, if it was asked and one runs.
    pub(super) daemon: Option<zone_door::Status>,
    /// What is configured by now and differs from what it has; none when it is not up, or one of both cannot be read.
    pub(super) differs: Option<Vec<Change>>,
    /// What it has of the network, if that was looked at and it is up.
    pub(super) network: Option<Network>,
    /// What it uses of the machine, if that was looked at and it is up.
    pub(super) limits: Option<Limits>,
    /// How many of its processes were killed for want of memory, if that was looked at, it is up, and somebody counts.
    pub(super) oom_kills: Option<u64>,
}

impl Immutable {
    /// Says it of a zone that is up.
    fn note(self) -> Option<String> {
        Some(match self.writable? {
            true => "read-write until its next boot".to_owned(),
            false => format!("read-only ({})", self.profile.as_str()),
        })
    }

    /// Solaris' letter for it: `R` and `W` of a zone that is up.
    pub(super) fn letter(self) -> Option<&'static str> {
        self.writable.map(|writable| if writable { "W" } else { "R" })
    }
}

impl Row {
    /// The host's.
    pub(super) fn global() -> Self {
        Self {
            state: Some(State::Running),
            brand: Some("linux".to_owned()),
            ip_type: Some("shared"),
            ..Self::blank(here::GLOBAL.to_owned(), "/".into())
        }
    }

    /// That of the zone this program runs in, which sees no other and of itself what it was told.
    pub(super) fn here(name: String) -> Self {
        // The zone's root may have put anything there.
        let told = file::read_if_there(Path::new(BRAND_FILE), file::DOCUMENT).ok().flatten();
        let brand = told.and_then(|text| String::from_utf8(text).ok()).map(|text| text.trim().to_owned());
        Self { name, brand, ip_type: Some(own_ip_type()), ..Self::global() }
    }

    /// A zone's, with what has come of the question how it stands; `None` when that failed, which has then been told.
    pub(super) fn of(
        entry: &Entry,
        asked: Result<Option<Status>, ClientError>,
    ) -> Result<Option<Self>, Forbidden> {
        match asked {
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
                warn_zone(&entry.name, Chain(error.as_ref()));
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
            zone: Some(entry.name.clone()),
            uuid: entry.uuid,
            ..Self::blank(entry.name.to_string(), entry.zonepath.clone())
        }
    }

    /// One of which nothing is known but these.
    fn blank(name: String, zonepath: PathBuf) -> Self {
        Self {
            name,
            zone: None,
            state: None,
            zonepath,
            uuid: None,
            brand: None,
            ip_type: None,
            immutable: None,
            live: None,
            readiness: None,
            at_work: None,
            daemon: None,
            differs: None,
            network: None,
            limits: None,
            oom_kills: None,
        }
    }

    /// Reads the brand and the ip-type: from what a live zone runs with, else from its configuration; and if it is `compared`, in what
    /// the two differ. What cannot be read stays unknown and is told about; the answer says whether all went well.
    pub(super) fn complete(&mut self, layout: &Layout, compared: bool) -> bool {
        let Some(zone) = &self.zone else { return true };
        let listed = match self.live {
            Some(_) if compared => Snapshot::load(layout, zone).ok().map(|snapshot| {
                let stored = ZoneConfig::load(layout, zone).ok();
                let between = |stored: ZoneConfig| {
                    change::between(&snapshot.config.to_document(), &stored.to_document())
                };
                self.differs = stored.map(between);
                Listed::from(&snapshot)
            }),
            Some(_) => Listed::load(layout, zone),
            None => None,
        };
        if let Some(Listed { brand, ip_type, profile, writable }) = listed {
            self.set(brand, ip_type, profile, Some(writable));
            return true;
        }
        match ZoneConfig::load(layout, zone) {
            Ok(ZoneConfig { brand, ip_type, file_mac_profile, .. }) => {
                self.set(brand, ip_type, file_mac_profile, None);
                true
            }
            Err(error) => {
                let cause = config_error(layout, zone, error);
                warn_zone(zone, format_args!("could not get brand name: {cause}"));
                false
            }
        }
    }

    fn set(&mut self, brand: String, ip_type: IpType, profile: MacProfile, writable: Option<bool>) {
        self.immutable = (profile != MacProfile::None).then_some(Immutable { profile, writable });
        self.brand = Some(brand);
        self.ip_type = Some(match ip_type {
            IpType::Exclusive => "excl",
            IpType::Shared => ip_type.as_str(),
        });
    }

    /// Whether there is more of it than files.
    pub(super) fn is_up(&self) -> bool {
        self.state.is_some_and(|state| state >= State::Ready)
    }

    /// What users take for the zone's id: the process id of its first process, and 0 for the host.
    pub(super) fn id(&self) -> Option<i32> {
        match (&self.zone, self.live) {
            (None, _) => (self.name == here::GLOBAL).then_some(0),
            // What is left of a zone that lost its keeper has no first process.
            (Some(_), live) => live.map(|status| status.pid).filter(|&pid| pid != 0),
        }
    }

    /// Asks the zone's daemon, if one runs that does anything, and looks who else is at work.
    pub(super) fn look_at_work(&mut self, layout: &Layout) {
        let Some(zone) = &self.zone else { return };
        if self.has_no_daemon() || !is_at_work(&layout.zone_run(zone)) {
            self.at_work = at_work(layout, zone);
        } else {
            self.ask_daemon(layout);
        }
    }

    /// Whether zsched has just said that there is no daemon.
    fn has_no_daemon(&self) -> bool {
        self.live.is_some_and(|status| status.daemon.is_absent())
    }

    /// Asks the zone's daemon, if one runs, and looks who else is at work.
    pub(super) fn ask_daemon(&mut self, layout: &Layout) {
        self.at_work = self.zone.as_ref().and_then(|zone| at_work(layout, zone));
        let ask = |zone: &ZoneName| {
            let mut client = Client::connect(&layout.zone_run(zone)).ok()?;
            client.set_timeout(Some(PATIENCE)).ok()?;
            client.status().ok()
        };
        // Where there is none nothing is asked.
        self.daemon = self.zone.as_ref().filter(|_| !self.has_no_daemon()).and_then(ask);
    }

    /// Looks whether a zone that runs is ready, as far as that was found out.
    pub(super) fn look_at_readiness(&mut self, layout: &Layout) {
        let running = self.live.filter(|status| status.phase == Phase::Running);
        if let (Some(zone), Some(status)) = (&self.zone, running) {
            self.readiness = Some(Found::load(layout, zone, status.uniqid));
        }
    }

    /// Looks at the nets of a zone that is up.
    pub(super) fn look_at_network(&mut self, layout: &Layout) {
        // Without a first process there is nobody whose network it would be.
        if self.id().is_some()
            && let Some(zone) = &self.zone
        {
            self.network = Network::of(layout, zone);
        }
    }

    /// Looks at what a zone that is up uses of the machine.
    pub(super) fn look_at_limits(&mut self, layout: &Layout) {
        if self.id().is_some()
            && let Some(zone) = &self.zone
        {
            self.limits = Limits::of(layout, zone);
            self.oom_kills = self.limits.as_ref().and_then(Limits::oom_kills);
        }
    }

    /// Looks only whether something was killed in a zone that is up: that is worth a note.
    pub(super) fn look_at_kills(&mut self, kills: &OomKills) {
        if self.id().is_some()
            && let Some(zone) = &self.zone
        {
            self.oom_kills = kills.of(zone);
        }
    }

    /// What is to be said of a zone beside its state: what is being done with it, and how its init failed.
    pub(super) fn note(&self) -> Option<String> {
        let operation = self.daemon.as_ref().and_then(|daemon| {
            let operation = daemon.operation?;
            let step = daemon.step.as_ref().map_or_else(String::new, |step| format!(" (now: {step})"));
            Some(format!("{operation}{step}"))
        });
        let restarts = self.live.as_ref().map_or(0, |status| status.restarts);
        // An init that runs and was not started again is none that failed.
        let runs = self.live.is_some_and(|status| status.phase != Phase::Down) && restarts == 0;
        let exit = self.zone.as_ref().filter(|_| !runs).and_then(|_| self.last_exit());
        let failed = exit.and_then(|exit| failure(&exit, restarts.max(exit.restarts)));
        let root = self.immutable.and_then(Immutable::note);
        let killed = self.oom_kills.and_then(limits::killed);
        let notes: Vec<String> = self
            .at_work
            .clone()
            .into_iter()
            .chain(operation)
            .chain(failed)
            .chain(root)
            .chain(killed)
            .collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// How much of its root it can write, if that is less than all and it is up.
    pub(super) fn root_note(&self) -> Option<String> {
        self.immutable.and_then(Immutable::note)
    }

    /// How the zone last ended: what its keeper knows and nobody has written down yet, else what was written down.
    pub(super) fn last_exit(&self) -> Option<LastExit> {
        let zone = self.zone.as_ref()?;
        if let Some(status) = self.live.filter(|status| status.end.is_some()) {
            return Some(zone_live::last_exit(&status, None));
        }
        // A zone that was never installed has never ended, and a list is not worth waiting for a file system for ever.
        if self.state == Some(State::Configured) || !zone_platform::reach::answers_soon(&self.zonepath) {
            return None;
        }
        match LastExit::load(&self.zonepath) {
            Ok(exit) => exit,
            // Who may not know its state may not read this either, and is told so once, of all zones.
            Err(_) if self.state.is_none() => None,
            Err(error) => {
                warn_zone(zone, Chain(&error));
                None
            }
        }
    }
}

/// Whether this zone's root configures its network: the kernel names no user namespace to a zone but its own and those below.
fn own_ip_type() -> &'static str {
    let netns = File::open("/proc/self/ns/net");
    let owner = netns.ok().map(zone_sys::namespace::owner);
    match owner {
        Some(Err(error)) if error.errno() == Errno::PERM => "shared",
        _ => "excl",
    }
}

/// Describes how a zone's init failed, and how often it was started again since or before: what a zone that seems fine, or
/// seems only not booted, does not show otherwise.
pub(super) fn failure(exit: &LastExit, restarts: u32) -> Option<String> {
    let end = match (exit.how, exit.status, exit.signal) {
        (How::Exited, Some(status), _) if status != 0 || restarts > 0 => format!("init exited {status}"),
        (How::Killed | How::Crashed, _, Some(signal)) => format!("init was killed by signal {signal}"),
        _ => return None,
    };
    Some(match restarts {
        0 => end,
        1 => format!("{end}, 1 restart"),
        many => format!("{end}, {many} restarts"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_that_fails_is_described() {
        let exit = |how, status, signal| LastExit { uniqid: 3, how, status, signal, when: 9, restarts: 0 };
        let exited = |status| exit(How::Exited, Some(status), None);
        assert_eq!(failure(&exited(1), 5).as_deref(), Some("init exited 1, 5 restarts"));
        assert_eq!(failure(&exited(0), 1).as_deref(), Some("init exited 0, 1 restart"));
        assert_eq!(failure(&exited(0), 0), None, "it has done what it was for");
        let crashed = exit(How::Crashed, None, Some(11));
        assert_eq!(failure(&crashed, 0).as_deref(), Some("init was killed by signal 11"));
        assert_eq!(failure(&exit(How::Rebooted, None, None), 0), None);
    }
}
