//! `zoneadm cp`: files into a zone that runs, or out of it.
//!
//! What is inside is read or written by a process inside, a copy of this one that is the zone's root and no more; it and
//! this one speak through pipes, and neither takes the other's word for more than a name or bytes (`zone_copy`).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::io::Errno;
use zlogin::host;
use zone_audit::Asker;
use zone_config::{ZoneName, here};
use zone_copy::{CopyError, Event, Source, Target, receive, send};
use zone_platform::enter::Ends;
use zone_sys::Chain;
use zone_sys::clone::SingleThreaded;

use crate::cli::copy::CpArgs;
use crate::context::{Context, Selection};
use crate::message::{Failure, Outcome, harmless, relay, warn_zone};
use crate::work::{Thing, count};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// What the two operands mean.
#[derive(Debug, PartialEq, Eq)]
struct Operands {
    way: Way,
    zone: String,
    inside: PathBuf,
    outside: PathBuf,
}

pub(crate) fn run(cx: &Context, args: &CpArgs) -> Outcome {
    let Operands { way, zone, inside, outside } = operands(&args.from, &args.to).map_err(Failure::Usage)?;
    if here::confined().is_some() {
        return Err(Failure::general(anyhow::anyhow!("must be in the global zone to copy files of a zone.")));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::general(anyhow::anyhow!(
            "only a privileged user may cp; who may log in can use tar: zlogin {zone} tar -C DIR -cf - NAME | tar -xf -"
        )));
    }
    let twice =
        || Failure::Usage("cp: the zone was named twice; name it in front of the path only".to_owned());
    let zone = match cx.about(Some(&zone)).ok_or_else(twice)?.select()? {
        Selection::Zone(entry) => entry.name,
        Selection::Global | Selection::Nothing => {
            return Err(Failure::text(here::GLOBAL, "cp operation is invalid for the global zone."));
        }
    };
    let proof = SingleThreaded::assert().map_err(Failure::of(&zone))?;
    // What there is here is known before anything is done there.
    let (source, target) = match way {
        Way::In => {
            (Some(Source::open(&outside, args.recursive).map_err(|errno| unread(&outside, errno))?), None)
        }
        Way::Out => (None, Some(Target::open(&outside).map_err(|errno| unwritten(&outside, errno))?)),
    };
    let work = || match way {
        Way::In => serve(|from, to| receive(Target::open(&inside), from, to, &mut |_| ())),
        Way::Out => serve(|from, to| {
            let source = Source::open(&inside, args.recursive);
            send(source.map_err(|errno| (name_of(&inside), errno)), from, to, &mut |_| ())
        }),
    };
    zone_fail::arm("zoneadm", || cx.layout.zone_run(&zone));
    zone_fail::take_along("copier");
    let entered = host::work(proof, &cx.layout, zone.as_str(), ("copy", Asker::own()), &work);
    // What enters is zlogin's.
    zone_fail::become_program("zoneadm");
    let (session, ends) = entered.map_err(|refused| Failure::general(anyhow::Error::msg(refused.message)))?;
    let Ends::Pipes { stdin, stdout, .. } = ends else {
        return Err(Failure::text(&zone, "the zone gave no pipes"));
    };
    let (from, to) = (BufReader::new(File::from(stdout)), BufWriter::new(File::from(stdin)));
    let mut show = Show::new(&zone, way, args);
    let mut watch = |event: Event<'_>| show.event(event);
    let outcome = match (source, target) {
        (Some(source), _) => send(Ok(source), from, to, &mut watch),
        (_, target) => receive(target.ok_or(Errno::BADF), from, to, &mut watch),
    };
    let failed = show.end();
    let gone = session.wait().is_ok_and(|(_, gone)| gone);
    match outcome {
        Err(CopyError::Gone) if gone => Err(Failure::text(&zone, "the zone went down before all was copied")),
        Err(error) => Err(Failure::of(&zone)(anyhow::Error::new(error).context("the copy was broken off"))),
        Ok(()) if failed => Err(Failure::Told),
        Ok(()) => Ok(()),
    }
}

/// What the process in the zone does: its pipes are its standard streams.
fn serve(work: impl FnOnce(BufReader<File>, BufWriter<File>) -> Result<(), CopyError>) -> i32 {
    zone_fail::become_program("copier");
    let own = |fd: rustix::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
    let (Ok(from), Ok(to)) = (own(rustix::stdio::stdin()), own(rustix::stdio::stdout())) else { return 1 };
    // What went wrong, the other side knows.
    i32::from(work(BufReader::new(from), BufWriter::new(to)).is_err())
}

/// Tells which of the two is in a zone.
fn operands(from: &OsStr, to: &OsStr) -> Result<Operands, String> {
    match (in_zone(from), in_zone(to)) {
        (None, Some((zone, inside))) => Ok(Operands { way: Way::In, zone, inside, outside: from.into() }),
        (Some((zone, inside)), None) => Ok(Operands { way: Way::Out, zone, inside, outside: to.into() }),
        (None, None) => Err("cp: neither is in a zone; write ZONE:PATH for the one that is".to_owned()),
        (Some(_), Some(_)) => {
            Err("cp: both are in zones; copy to a file here first, which is written ./a:b if it has a colon"
                .to_owned())
        }
    }
}

/// The zone and the path in it, taken from its root; `None` for a path here.
fn in_zone(text: &OsStr) -> Option<(String, PathBuf)> {
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|byte| matches!(byte, b':' | b'/')).filter(|at| bytes[*at] == b':')?;
    let zone = std::str::from_utf8(&bytes[..colon]).ok()?;
    let is_name = zone == here::GLOBAL || zone.parse::<ZoneName>().is_ok();
    let path = Path::new("/").join(OsStr::from_bytes(&bytes[colon + 1..]));
    is_name.then(|| (zone.to_owned(), path))
}

fn name_of(path: &Path) -> Vec<u8> {
    path.file_name().unwrap_or(path.as_os_str()).as_bytes().to_vec()
}

fn unread(path: &Path, errno: Errno) -> Failure {
    Failure::general(because(errno).context(format!("could not read {}", path.display())))
}

fn unwritten(path: &Path, errno: Errno) -> Failure {
    Failure::general(because(errno).context(format!("could not write to {}", path.display())))
}

/// The error in words that fit files that are copied.
fn because(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::LOOP => anyhow::anyhow!("there is a symbolic link in its place, which is not followed"),
        Errno::ISDIR => anyhow::anyhow!("it is a directory (with -r all that is in it is copied)"),
        Errno::STALE => anyhow::anyhow!("it was changed while it was read"),
        Errno::BUSY => anyhow::anyhow!("another copy of it is under way"),
        Errno::INVAL => anyhow::anyhow!("it is neither a file nor a directory"),
        errno => anyhow::Error::new(errno),
    }
}

/// Shows how it goes: a bar on a terminal, and whatever could not be copied.
struct Show<'a> {
    zone: &'a ZoneName,
    way: Way,
    args: &'a CpArgs,
    bar: Option<ProgressBar>,
    copied: u64,
    unchanged: u64,
    failed: u64,
}

impl<'a> Show<'a> {
    fn new(zone: &'a ZoneName, way: Way, args: &'a CpArgs) -> Self {
        let bar = (io::stderr().is_terminal() && !args.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The form is ours; a test sees that it is right.
            if let Ok(style) = ProgressStyle::with_template(FORM) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { zone, way, args, bar, copied: 0, unchanged: 0, failed: 0 }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Begins { path, size, there } => {
                if let Some(bar) = &self.bar {
                    bar.set_length(size);
                    bar.set_position(there);
                    bar.reset_eta();
                    bar.set_message(harmless(&String::from_utf8_lossy(path)).into_owned());
                }
            }
            Event::Bytes(count) => self.bar.iter().for_each(|bar| bar.inc(count)),
            Event::Copied => self.copied += 1,
            Event::Unchanged => self.unchanged += 1,
            Event::Unread { path, errno } => self.fails("read", path, errno, self.way == Way::Out),
            Event::Unwritten { path, errno } => self.fails("write", path, errno, self.way == Way::In),
            Event::LeftOut { path } => {
                let what = self.called(path, true);
                self.tell(&format!("{what} is neither file, directory nor link, and is left out"));
            }
        }
    }

    fn fails(&mut self, verb: &str, path: &[u8], errno: Errno, inside: bool) {
        let reading = verb == "read";
        let what = self.called(path, reading);
        let why = match (errno, reading) {
            (Errno::ISDIR, false) => anyhow::anyhow!("there is a directory in its place"),
            (Errno::NOTDIR, false) => anyhow::anyhow!("there is no directory in its place"),
            _ => because(errno),
        };
        let place = if inside { " in the zone" } else { "" };
        let text = Chain(why.context(format!("could not {verb} {what}{place}")).as_ref()).to_string();
        self.tell(&text);
    }

    /// What began the copy, by the name that was typed; what is in it, by its path from there.
    fn called(&self, path: &[u8], reading: bool) -> String {
        let typed = if reading { &self.args.from } else { &self.args.to };
        let path = if path.contains(&b'/') { OsStr::from_bytes(path) } else { typed.as_os_str() };
        path.to_string_lossy().into_owned()
    }

    fn tell(&mut self, text: &str) {
        self.failed += 1;
        let say = || warn_zone(self.zone, text);
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Ends the show; says whether anything failed.
    fn end(self) -> bool {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            let there = match self.unchanged {
                0 => String::new(),
                number => format!(", {number} there already"),
            };
            relay(self.zone, &format!("{} copied{there}", count(self.copied, Thing::File)));
        }
        self.failed > 0
    }
}

const FORM: &str = "{bytes} / {total_bytes} [{bar:30}] {bytes_per_sec}  {wide_msg}";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: &str, to: &str) -> Result<Operands, String> {
        operands(OsStr::new(from), OsStr::new(to))
    }

    #[test]
    fn one_of_the_two_is_in_a_zone() {
        let into = read("a/b", "web:/etc").unwrap();
        assert_eq!((into.way, into.zone.as_str(), into.inside.to_str()), (Way::In, "web", Some("/etc")));
        let out = read("web:srv/x:y", "./a:b").unwrap();
        assert_eq!(
            (out.way, out.inside.to_str(), out.outside.to_str()),
            (Way::Out, Some("/srv/x:y"), Some("./a:b"))
        );
        assert_eq!(read("web:", ".").unwrap().inside.to_str(), Some("/"));
        assert!(read("a", "b").unwrap_err().contains("neither"));
        assert!(read("/x:y", "./b:c").unwrap_err().contains("neither"));
        assert!(read(":x", "b").unwrap_err().contains("neither"));
        assert!(read("web:/a", "db:/b").unwrap_err().contains("both"));
    }

    #[test]
    fn the_form_is_one() {
        assert!(ProgressStyle::with_template(FORM).is_ok());
    }
}
