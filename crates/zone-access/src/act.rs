//! One call, in a process of its own: read, checked, done, answered.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::Signal;
use zlogin::host::{self, Session};
use zone_audit::Machine;
use zone_config::layout::CONSOLE;
use zone_config::{Index, Layout, State, ZoneName};
use zone_door::access::{Answer, Ask, Done, Ended, Enter, Refusal, read, refusal, reply};
use zone_door::{Behalf, Caller, MAX_CALL};
use zone_locale::Locale;
use zone_start::{Missed, Unreached};
use zone_sys::clone::SingleThreaded;

use crate::{arguments, callers, follow, rights};

/// So long may a call take to arrive, and each part of an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many MiB a program may have printed, for it to be passed on.
const MOST_PRINTED: u64 = 16;
/// The signals that may be sent to a command: what a terminal and its end send.
const SIGNALS: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Serves a connection to its end; `tell` is where the parent hears that the caller has a right ([`callers::allowed`]).
pub(crate) fn one_call(
    proof: SingleThreaded,
    mut stream: UnixStream,
    caller: Caller,
    layout: &Layout,
    tell: OwnedFd,
) {
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let done = match receive(&mut stream) {
        Ok(message) => read(&message).and_then(|ask| act(proof, &mut stream, caller, layout, &ask, tell)),
        // Nobody who means it sends as much, or takes as long.
        Err(refused) => refused.map_or(Ok(()), Err),
    };
    if let Err(refused) = done {
        let _ = stream.write_all(&refusal(&refused));
    }
}

/// Reads the call; without one, what is to be answered, if anything. Descriptors that come with it are closed by the kernel.
fn receive(stream: &mut UnixStream) -> Result<Vec<u8>, Option<Refusal>> {
    let until = Instant::now() + PATIENCE;
    let mut message = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(None);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(None),
            Ok(count) => message.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(None),
        }
        if let Some(end) = message.iter().position(|&byte| byte == 0) {
            message.truncate(end);
            return Ok(message);
        }
        if message.len() > MAX_CALL {
            return Err(Some(Refusal::Invalid { parameter: "it is too long".to_owned() }));
        }
    }
}

fn act(
    proof: SingleThreaded,
    stream: &mut UnixStream,
    caller: Caller,
    layout: &Layout,
    ask: &Ask,
    tell: OwnedFd,
) -> Result<(), Refusal> {
    let zone = rights::zone(ask).map(|name| known(layout, name)).transpose()?;
    if let Err(refused) = rights::check(layout, caller.uid, ask, zone.as_ref()) {
        if let Some(zone) = zone.filter(|_| !rights::only_looks(ask)) {
            zone_audit::control(&machine(layout, &zone), arguments::verb(ask), "denied", Some(caller), false);
        }
        return Err(refused);
    }
    callers::allowed(&tell);
    // No process of a session keeps it.
    drop(tell);
    match (ask, zone) {
        (Ask::Enter(wish), Some(zone)) => enter(proof, stream, caller, layout, &zone, wish),
        (Ask::Console(_), Some(zone)) => console(stream, caller, layout, &zone),
        (Ask::Stat(_) | Ask::Events(_), zone) => {
            let words = arguments::of(layout, zone.as_ref(), ask)?.unwrap_or_default();
            follow::run(stream, layout, caller, zoneadm(&words, locale(ask), caller))
        }
        (_, zone) => {
            let words = arguments::of(layout, zone.as_ref(), ask)?.unwrap_or_default();
            let done = run(&words, locale(ask), caller)?;
            let _ = stream.write_all(&reply(&Answer::Done(done), false));
            Ok(())
        }
    }
}

/// The zone of this name, which everybody may know to exist or not.
fn known(layout: &Layout, name: &str) -> Result<ZoneName, Refusal> {
    let unknown = || failed(format!("zone '{}' unknown", name.escape_debug()));
    let zone: ZoneName = name.parse().map_err(|_| unknown())?;
    let index = Index::load(layout).map_err(|error| failed(zone_sys::Chain(&error).to_string()))?;
    index.get(&zone).map(|_| zone.clone()).ok_or_else(unknown)
}

pub(crate) fn failed(message: impl Into<String>) -> Refusal {
    Refusal::Failed { status: 1, message: message.into() }
}

fn machine<'a>(layout: &Layout, zone: &'a ZoneName) -> Machine<'a> {
    let entry = Index::load(layout).ok().and_then(|index| index.get(zone).cloned());
    let uuid = entry.and_then(|entry| entry.uuid).map(|uuid| uuid.to_string());
    Machine { zone: zone.as_str(), uuid, pid: 0 }
}

/// The locale that was asked for, by a name of ours: nothing of what the caller wrote gets into an environment.
fn locale(ask: &Ask) -> &'static str {
    let name = match ask {
        Ask::List(list) => &list.locale,
        Ask::Status(look) | Ask::Ps(look) | Ask::Stat(look) | Ask::Events(look) => &look.locale,
        Ask::Ready(verb)
        | Ask::Boot(verb)
        | Ask::Reboot(verb)
        | Ask::Halt(verb)
        | Ask::Shutdown(verb)
        | Ask::Apply(verb) => &verb.locale,
        Ask::Enter(_) | Ask::Console(_) => return "C",
    };
    Locale::parse(name).name()
}

/// zoneadm with these words, and with nothing else of the caller's.
fn zoneadm(words: &[String], locale: &str, caller: Caller) -> Command {
    let mut command = Command::new(Layout::program("zoneadm"));
    command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", locale);
    command.env(Behalf::VARIABLE, Behalf::from(caller).text()).stdin(Stdio::null());
    command
}

/// Runs zoneadm. What it prints goes to memory: a caller who does not read holds nothing up. What is too long is not cut, since half a
/// table, or half of JSON, says what is not so.
fn run(words: &[String], locale: &str, caller: Caller) -> Result<Done, Refusal> {
    let printed = |name: &str| memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
    let run = || {
        let (mut output, mut errors) = (printed("output")?, printed("errors")?);
        let status = zoneadm(words, locale, caller)
            .stdout(output.try_clone()?)
            .stderr(errors.try_clone()?)
            .status()?;
        let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        let texts = text(&mut output)?.zip(text(&mut errors)?);
        Ok(texts.map(|(output, errors)| Done { status, output, errors }))
    };
    let done = run().map_err(|error: std::io::Error| {
        failed(format!("could not run zoneadm: {}", zone_sys::Chain(&error)))
    });
    done?.ok_or_else(|| {
        failed(format!("the answer is longer than {MOST_PRINTED} MiB: ask for one zone, or as root"))
    })
}

/// What is in a file; `None` if that is too long.
fn text(file: &mut File) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    let most = MOST_PRINTED << 20;
    file.take(most + 1).read_to_end(&mut bytes)?;
    let is_short = u64::try_from(bytes.len()).is_ok_and(|length| length <= most);
    Ok(is_short.then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Sends a reply with descriptors.
pub(crate) fn begun(stream: &UnixStream, terminal: Option<String>, fds: &[BorrowedFd<'_>]) -> bool {
    let message = reply(&Answer::Begun { terminal }, true);
    zone_sys::unix::send(stream, &message, fds).is_ok_and(|sent| sent == message.len())
}

fn enter(
    proof: SingleThreaded,
    stream: &mut UnixStream,
    caller: Caller,
    layout: &Layout,
    zone: &ZoneName,
    wish: &Enter,
) -> Result<(), Refusal> {
    use zone_platform::enter::Ends;
    let (session, ends) = host::enter(proof, layout, wish, caller)
        .map_err(|refused| Refusal::Failed { status: refused.status, message: refused.message })?;
    let told = match &ends {
        Ends::Terminal { manager, name } => begun(stream, Some(name.clone()), &[manager.as_fd()]),
        Ends::Pipes { stdin, stdout, stderr } => {
            begun(stream, None, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
        }
    };
    // From here on they are the caller's alone: when it goes, a terminal hangs up.
    drop(ends);
    tracing::debug!(%zone, told, "a command has begun");
    if let Some(ended) = see_through(stream, &session) {
        let _ = stream.write_all(&reply(&Answer::Ended(ended), false));
    }
    Ok(())
}

/// Passes on signals until the command has ended; `None` if the caller is gone before that, whose command goes on.
fn see_through(stream: &mut UnixStream, session: &Session) -> Option<Ended> {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
    loop {
        let (heard, ended) = {
            let mut fds = [
                PollFd::new(stream, PollFlags::IN),
                PollFd::from_borrowed_fd(session.pidfd(), PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if ended {
            let (end, gone) = session.wait().ok()?;
            return Some(match end {
                zone_platform::enter::End::Exited(status) => {
                    Ended { status: Some(status), signal: None, gone }
                }
                zone_platform::enter::End::Killed(signal) => {
                    Ended { status: None, signal: Some(signal), gone }
                }
            });
        }
        let mut buffer = [0; 16];
        match if heard { stream.read(&mut buffer) } else { continue } {
            Ok(0) => return None,
            Ok(count) => {
                let known =
                    |byte: &u8| SIGNALS.into_iter().find(|signal| signal.as_raw() == i32::from(*byte));
                buffer[..count].iter().filter_map(known).for_each(|signal| session.signal(signal));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return None,
        }
    }
}

/// Connects to the console, with a daemon that is started if there is none, and holds on as long as the caller does: whoever
/// is told who has the console is told of this process.
fn console(stream: &mut UnixStream, caller: Caller, layout: &Layout, zone: &ZoneName) -> Result<(), Refusal> {
    let index = Index::load(layout).map_err(|error| failed(zone_sys::Chain(&error).to_string()))?;
    if let Some(entry) = index.get(zone).filter(|entry| entry.state < State::Installed) {
        return Err(failed(format!("cannot login to a zone which is '{}'", entry.state)));
    }
    let attempt = || {
        let run = layout.zone_run(zone);
        zsched::client::connect_served(&run, CONSOLE).map_err(|error| match error.errno() {
            Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED => Missed::NotListening(error),
            _ => Missed::Final(error),
        })
    };
    let reached = zone_start::reach(layout, zone, |_| (), attempt);
    zone_audit::control(&machine(layout, zone), "console", "attached", Some(caller), reached.is_ok());
    let socket = reached.map_err(|unreached| match unreached {
        Unreached::Start(error) => failed(format!("could not start zoneadmd: {}", zone_sys::Chain(&error))),
        Unreached::GaveUp(error) | Unreached::Failed(error) => {
            failed(format!("Could not connect to zone console: {}", zone_sys::Chain(&error)))
        }
    })?;
    if begun(stream, None, &[socket.as_fd()]) {
        hold(stream, &socket);
    }
    Ok(())
}

/// Waits until the caller has gone, and ends its connection to the console, whoever has a copy of that by then: with this
/// process goes the one that the console says has it.
fn hold(stream: &mut UnixStream, console: &OwnedFd) {
    let _ = stream.set_read_timeout(None);
    while stream.read(&mut [0; 16]).is_ok_and(|count| count > 0) {}
    let _ = rustix::net::shutdown(console, rustix::net::Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_door::access::Verb;

    fn received(bytes: &[u8]) -> Result<Vec<u8>, Option<Refusal>> {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || far.write_all(&bytes).map(|()| far));
        let got = receive(&mut near);
        drop(near);
        let _ = writer.join().unwrap();
        got
    }

    #[test]
    fn a_call_ends_with_a_nul_or_is_none() {
        assert_eq!(received(b"abc\0def"), Ok(b"abc".to_vec()));
        let (mut near, far) = UnixStream::pair().unwrap();
        drop(far);
        assert_eq!(receive(&mut near), Err(None));
        assert!(matches!(received(&vec![b'x'; MAX_CALL * 4]), Err(Some(Refusal::Invalid { .. }))));
    }

    #[test]
    fn a_console_ends_with_its_caller_whoever_has_a_copy() {
        let (mut stream, caller) = UnixStream::pair().unwrap();
        let (console, mut server) = UnixStream::pair().unwrap();
        let copy = console.try_clone().unwrap();
        drop(caller);
        hold(&mut stream, &OwnedFd::from(console));
        assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
        assert!((&copy).write(b"x").is_err());
    }

    #[test]
    fn a_locale_is_the_name_of_one() {
        let locale_of = |text: &str| {
            let ask = Ask::Halt(Verb { locale: text.into(), ..Verb::default() });
            locale(&ask).to_owned()
        };
        // One of a few names of ours, never the caller's text.
        assert_eq!(locale_of("de_AT.UTF-8"), "de_DE.UTF-8");
        for text in ["", "../../tmp/x", "a b", "x\n", &"a".repeat(65), "$(id)"] {
            assert_eq!(locale_of(text), "C", "{text}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_shown_harmlessly() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        for name in ["../etc", "\u{1b}[2J", "", "-R", "global", "web"] {
            let refused = known(&layout, name).unwrap_err().to_string();
            assert_eq!(refused, format!("zone '{}' unknown", name.escape_debug()));
        }
    }

    #[test]
    fn what_is_too_long_is_not_cut() {
        let mut file = File::from(memfd_create("printed", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(b"a line\n").unwrap();
        assert_eq!(text(&mut file).unwrap().as_deref(), Some("a line\n"));
        file.set_len(MOST_PRINTED << 20).unwrap();
        assert_eq!(text(&mut file).unwrap().map(|text| text.len()), Some(16 << 20));
        file.set_len((MOST_PRINTED << 20) + 1).unwrap();
        assert_eq!(text(&mut file).unwrap(), None);
    }
}
