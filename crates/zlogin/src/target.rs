//! Which zone is meant, and whether it can be entered. zsched is asked, not the daemon: a zone can be
//! entered while its daemon is dead, and even while its zsched is.

use crate::exit::Failure;
use crate::options::Options;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Duration;
use zone_config::nearest::did_you_mean;
use zone_config::{Index, Layout, Snapshot, State, Uuid, ZoneName, here};
use zsched::client::ZoneFds;
use zsched::wire::{Phase, Status};

/// How long the keeper may take to answer: only the making of a zone keeps it busy for longer, and that is no zone to enter.
const PATIENCE: Duration = Duration::from_secs(10);

/// A zone that is installed at least.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) layout: Layout,
    pub(crate) name: ZoneName,
    state: State,
    uuid: Option<Uuid>,
}

/// A zone that runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) fds: ZoneFds,
    pub(crate) snapshot: Snapshot,
    uniqid: u64,
    layout: Layout,
}

/// Finds the zone of the command line. The texts are those of zlogin(1) on Solaris.
///
/// # Errors
/// When there is none, or it is not installed, or the caller may not enter it.
pub(crate) fn find(options: &Options) -> Result<Zone, Failure> {
    let layout = Layout::new(options.root.clone()).map_err(|error| match error.is_usage() {
        true => Failure::Usage(error.to_string()),
        false => error.into(),
    })?;
    let layout = layout.existing()?;
    let typed = &options.zone;
    if here::confined().is_some() {
        return Err(Failure::text("'zlogin' may only be used from the global zone"));
    }
    if typed == here::GLOBAL {
        return Err(Failure::text("'zlogin' not applicable to the global zone"));
    }
    let unknown = || Failure::text(format_args!("zone '{}' unknown", typed.escape_debug()));
    let name: ZoneName = typed.parse().map_err(|_| unknown())?;
    let Some(entry) = Index::find(&layout, &name)? else {
        let index = Index::load(&layout)?;
        let meant = did_you_mean(typed, index.entries().map(|entry| entry.name.as_str()));
        return Err(Failure::text(format_args!("zone '{name}' unknown{meant}")));
    };
    let (state, uuid) = (entry.state, entry.uuid);
    if state < State::Installed {
        return Err(Failure::text(format_args!("cannot login to a zone which is '{state}'")));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::text("You lack sufficient privilege to run this command (all privs required)"));
    }
    zone_fail::arm("zlogin", || layout.zone_run(&name));
    Ok(Zone { layout, name, state, uuid })
}

impl Zone {
    /// Whom records of the host's audit are about, whether it runs or not.
    pub(crate) fn machine(&self) -> zone_audit::Machine<'_> {
        let uuid = self.uuid.map(|uuid| uuid.to_string());
        zone_audit::Machine { zone: self.name.as_str(), uuid, pid: 0 }
    }

    /// The zone as it runs.
    ///
    /// # Errors
    /// When it does not run, or what it was started with cannot be read.
    pub(crate) fn live(self) -> Result<Live, Failure> {
        let (status, fds) = zone_live::enter(&self.layout, &self.name, PATIENCE)?;
        if let (Some(Status { phase: Phase::Running, uniqid, .. }), Some(fds)) = (status, fds) {
            let snapshot = Snapshot::load(&self.layout, &self.name)?;
            zone_fail::pass!("enter.found");
            return Ok(Live { fds, snapshot, uniqid, layout: self.layout });
        }
        let state = zone_live::state(status.as_ref(), self.state);
        let name = &self.name;
        Err(Failure::text(format_args!("login allowed only to running zones ({name} is '{state}').")))
    }
}

impl Live {
    /// The zone's name.
    pub(crate) fn name(&self) -> &str {
        self.snapshot.name.as_str()
    }

    /// Whom records of the host's audit are about.
    pub(crate) fn machine(&self) -> zone_audit::Machine<'_> {
        let pid = zone_sys::pidfd::pid(&self.fds.pidfd).ok().flatten().unwrap_or_default();
        let uuid = Some(self.snapshot.uuid.to_string());
        zone_audit::Machine { zone: self.name(), uuid, pid }
    }

    /// Whether the zone that was entered has ended, is ending, or is being ended: what tells a
    /// command that was killed with its zone from one that was killed in it.
    pub(crate) fn is_going(&self) -> bool {
        self.first_process_ends() || self.keeper_says_so()
    }

    fn first_process_ends(&self) -> bool {
        let mut fds = [PollFd::new(&self.fds.pidfd, PollFlags::IN)];
        if poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            return true;
        }
        // A first process ends the others and waits for them before its own end shows.
        let Ok(Some(pid)) = zone_sys::pidfd::pid(&self.fds.pidfd) else { return true };
        zone_sys::proc::Stat::of(pid).map_or(true, |stat| stat.is_exiting())
    }

    fn keeper_says_so(&self) -> bool {
        let status = zone_live::ask(&self.layout, &self.snapshot.name, PATIENCE);
        status.is_ok_and(|now| now.is_none_or(|now| now.uniqid != self.uniqid || now.phase != Phase::Running))
    }

    /// The end of a session whose zone has gone.
    pub(crate) fn gone(&self) -> Failure {
        Failure::text(format_args!("zone '{}' went down, and the session with it", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Around, Mode, Who};

    fn refused(dir: &std::path::Path, zone: &str) -> String {
        let mode = Mode::Login(Who::Failsafe);
        let root = Some(dir.to_owned());
        let options =
            Options { root, zone: zone.into(), escape: None, quiet: true, mode, around: Around::default() };
        match find(&options).and_then(Zone::live) {
            Err(Failure::Error(error)) => zone_sys::Chain(error.as_ref()).to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn zones_that_cannot_be_entered() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc/zones");
        std::fs::create_dir_all(&etc).unwrap();
        let index = "new:configured:/z/new:\nhalf:incomplete:/z/half:\nweb:installed:/z/web:\n";
        std::fs::write(etc.join("index"), index).unwrap();
        for (zone, text) in [
            ("global", "'zlogin' not applicable to the global zone"),
            ("none", "zone 'none' unknown"),
            ("half1", "zone 'half1' unknown; did you mean \"half\"?"),
            ("../x", "zone '../x' unknown"),
            ("\u{1b}[2J", "zone '\\u{1b}[2J' unknown"),
            ("new", "cannot login to a zone which is 'configured'"),
            ("half", "cannot login to a zone which is 'incomplete'"),
            ("web", "login allowed only to running zones (web is 'installed')."),
        ] {
            assert_eq!(refused(dir.path(), zone), text);
        }
    }
}
