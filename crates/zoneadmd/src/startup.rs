//! From the command line to a daemon that serves: the checks, the fork, the sockets. The order is
//! that of Solaris, and so are the words.

use crate::exclusive::{self, NotExclusive};
use crate::handshake::{self, Side, Waiting};
use crate::sockets::{self, Listener};
use crate::started::{StartError, Started};
use crate::{log, serve};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::CapabilitySet;
use std::path::PathBuf;
use std::process::ExitCode;
use zone_config::index::Index;
use zone_config::layout::{CONSOLE, DOOR, ZSCHED};
use zone_config::{Layout, State, ZoneName, here};
use zone_engine::{journal, keeper, orphan, respawn};
use zone_sys::Chain;
use zone_sys::clone::SingleThreaded;
use zsched::wire::Attendance;

/// Checks, forks, serves. Returns in the parent when the daemon serves, in the daemon at its end.
pub(crate) fn start(zone: &str, root: Option<PathBuf>) -> Result<ExitCode, StartError> {
    let _ = std::env::set_current_dir("/");
    // Whoever runs this, from whatever shell. The OOM score is slightly above zsched's, which is as low as it goes.
    zone_sys::inherit::reset(zone_sys::inherit::Role::Host { oom_score_adj: -900 })?;
    if zone == "global" {
        return Err(StartError::Global);
    }
    let name: ZoneName = zone.parse().map_err(|_| StartError::NoZone(zone.into()))?;
    let layout = Layout::new(root).map_err(StartError::Root)?;
    match Index::find(&layout, &name).map_err(StartError::State)? {
        Some(entry) if entry.state >= State::Installed => {}
        // Whatever became of the index: a zone that is up must have somebody who can halt it.
        _ if lives(&layout, &name) => {}
        Some(entry) => return Err(StartError::TooEarly(entry.state)),
        None => return Err(StartError::NoZone(zone.into())),
    }
    privileged()?;
    let proof = SingleThreaded::assert().map_err(StartError::Fork)?;
    match handshake::fork(proof).map_err(StartError::Fork)? {
        Side::Parent(code) => Ok(code),
        Side::Daemon(waiting) => Ok(become_daemon(proof, layout, name, waiting)),
    }
}

/// Whether a zone of that name is up.
fn lives(layout: &Layout, name: &ZoneName) -> bool {
    zone_live::ask(layout, name, std::time::Duration::from_secs(30)).is_ok_and(|status| status.is_some())
}

/// The daemon's side. What fails is said to the one who waits, and ends it.
fn become_daemon(proof: SingleThreaded, layout: Layout, name: ZoneName, mut waiting: Waiting) -> ExitCode {
    zone_fail::arm("zoneadmd", || layout.zone_run(&name));
    zone_fail::pass!("start.forked");
    zone_sys::process::share_heap();
    let prepared = detach(&waiting).and_then(|()| {
        zone_sys::process::widen_descriptors(proof);
        prepare(proof, layout, name, &waiting)
    });
    match prepared.and_then(|started| serve::run(started, || waiting.serving())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Exclusive(NotExclusive::Another)) => ExitCode::FAILURE,
        Err(error) => {
            let text = Chain(&error).to_string();
            waiting.say(&text);
            tracing::error!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves the terminal, the session and every descriptor of whoever started us.
fn detach(waiting: &Waiting) -> Result<(), StartError> {
    waiting.close_all_others().map_err(|e| StartError::Detach(e.errno()))?;
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(StartError::Detach)?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(StartError::Detach)?;
    zone_sys::signal::ignore(zone_sys::signal::SIGPIPE);
    // What is sent by accident, by a terminal or a script that means another, must not end the daemon. SIGTERM is waited for.
    zone_sys::signal::block_all();
    rustix::process::setsid().map_err(StartError::Detach)?;
    Ok(())
}

fn prepare(
    proof: SingleThreaded,
    layout: Layout,
    name: ZoneName,
    waiting: &Waiting,
) -> Result<Started, StartError> {
    log::init(&name, &layout);
    let mut exclusive = exclusive::become_exclusive(&layout, &name)?;
    zone_fail::pass!("start.exclusive");
    let run = layout.zone_run(&name);
    let warn = |text: &str| {
        waiting.say(text);
        tracing::warn!("{text}");
    };
    if exclusive.earlier {
        forget(&layout, &name);
    }
    exclusive.is_of_present_boot();
    let keeper::Reached { client: zsched, started } =
        keeper::find_or_start(&layout, &name, warn).map_err(StartError::Keeper)?;
    let sockets::Held { console, door, before } =
        if started.is_none() { sockets::Held::by(&zsched) } else { Ok(sockets::Held::default()) }
            .map_err(|error| StartError::Keeper(error.into()))?;
    zone_fail::pass!("start.keeper");
    let console = Listener::of_console(&run, console).map_err(StartError::Console)?;
    zone_fail::pass!("start.console");
    // After the console: whoever finds the door open may count on the console.
    let door = Listener::of_door(&run, door).map_err(StartError::Door)?;
    zone_fail::pass!("start.door");
    exclusive.serves();
    let mut message = None;
    let mut child = None;
    let found = started.is_none();
    if let Some((pidfd, console)) = started {
        child = Some(pidfd);
        message = orphan::take_over(proof, &layout, &name, &zsched, &console).map_err(StartError::Keeper)?;
    }
    let mut keeper = keeper::attach(zsched, child, &layout, &name).map_err(StartError::Keeper)?;
    sockets::hand_over(&keeper.requests, &console, &door);
    zone_fail::pass!("start.sockets");
    if found && !keeper.status.exists() {
        message = orphan::take_up(proof, &layout, &name, &mut keeper).map_err(StartError::Keeper)?;
    }
    if !keeper.status.exists() && journal::owes(&layout, &name) {
        respawn::owe(&keeper.requests);
    }
    zone_fail::pass!("start.attached");
    if exclusive.stale && keeper.status.exists() && !before.left_on_purpose() {
        let state = zone_live::state(Some(&keeper.status), State::Installed);
        let text = format!(
            "zone '{name}': WARNING: zone is in state '{state}', but zoneadmd does not appear to be available; \
             restarted zoneadmd to recover."
        );
        warn(&text);
    }
    if let Some(message) = &message {
        warn(&format!("zone '{name}': {message}"));
    }
    let (console, door) = (console.socket, door.socket);
    let returns = before == Attendance::Rests;
    Ok(Started { layout, name, exclusive, keeper, door, console, returns, message })
}

/// Forgets what an earlier boot of the host left: nothing of it lives, and what it was about is nobody's wish any more.
fn forget(layout: &Layout, name: &ZoneName) {
    // Whatever the file says, a zone that lives is of this boot.
    if lives(layout, name) {
        return;
    }
    tracing::warn!("the host was booted since; what is left of the zone is removed");
    if let Err(error) = zone_live::Incarnation::remove(layout, name) {
        tracing::error!("{}", Chain(&error));
    }
    let left = [layout.journal(name), layout.snapshot(name), layout.snapshot_next(name)];
    let sockets = [DOOR, CONSOLE, ZSCHED].map(|socket| layout.zone_run(name).join(socket));
    for path in left.iter().chain(&sockets) {
        if let Err(error) = zone_config::file::remove_fast(path) {
            tracing::error!("{}", Chain(&error));
        }
    }
}

/// Root of the host with what zones need; not every capability there is, since some hosts keep a few
/// from everybody.
fn privileged() -> Result<(), StartError> {
    let initial =
        std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim_end().ends_with("4294967295"));
    // Nobody in a zone makes nodes.
    let nodes = if initial { CapabilitySet::MKNOD } else { CapabilitySet::empty() };
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::KILL
        | nodes
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::SYS_CHROOT
        | CapabilitySet::SYS_PTRACE;
    let have = rustix::thread::capabilities(None).map_err(|_| StartError::Privilege)?.effective;
    if have.contains(needed) && (initial || here::nests()) && rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(StartError::Privilege)
    }
}
