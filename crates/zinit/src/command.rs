//! `reboot [-- ARGUMENTS]`, `halt`, `poweroff`, `shutdown` and `init LEVEL`: they ask process 1.

use crate::arguments;
use crate::console;
use crate::request::Request;
use rustix::process::{Pid, kill_process};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use zone_sys::{Chain, signal};

/// The exit status of a command line that makes no sense.
const USAGE: u8 = 2;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    request: Request,
    /// Do not ask process 1: call `reboot(2)`.
    force: bool,
    /// Wait so long first.
    delay: Duration,
    /// Shown on the console.
    message: String,
    /// What the zone is to boot with, if it reboots.
    arguments: String,
}

impl Order {
    fn to(request: Request) -> Self {
        let (message, arguments) = (String::new(), String::new());
        Self { request, force: false, delay: Duration::ZERO, message, arguments }
    }
}

/// Why there is nothing to be done.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// `--help`, or a level that stands for "go on as you are".
    Nothing(String),
    /// The command line makes no sense; the text says why and what would.
    Usage(String),
}

/// Does what `name args...` says.
pub(crate) fn run(name: &str, args: &[String]) -> ExitCode {
    match parse(name, args) {
        Ok(order) => carry_out(name, args, &order),
        Err(Refusal::Nothing(text)) => {
            if !text.is_empty() {
                println!("{text}");
            }
            ExitCode::SUCCESS
        }
        Err(Refusal::Usage(text)) => {
            eprintln!("{name}: {text}");
            ExitCode::from(USAGE)
        }
    }
}

fn parse(name: &str, args: &[String]) -> Result<Order, Refusal> {
    let plain = |request| parse_plain(name, request, args);
    match name {
        "reboot" => plain(Request::Reboot),
        "halt" => plain(Request::Halt),
        "poweroff" => plain(Request::PowerOff),
        "shutdown" => parse_shutdown(args),
        _ => parse_level(name, args),
    }
}

fn parse_plain(name: &str, request: Request, args: &[String]) -> Result<Order, Refusal> {
    let mut order = Order::to(request);
    let usage = || match request {
        Request::Reboot => format!("usage: {name} [-f] [-- ARGUMENTS]"),
        _ => format!("usage: {name} [-f]"),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-f" | "-ff" | "--force" => order.force = true,
            "-p" | "--poweroff" => order.request = Request::PowerOff,
            "--halt" => order.request = Request::Halt,
            "--reboot" => order.request = Request::Reboot,
            // There is no wtmp to write and no disk to flush: the file systems are the host's.
            "-n" | "-w" | "-d" | "--no-wall" | "--no-sync" | "--no-wtmp" => {}
            "--help" => return Err(Refusal::Nothing(usage())),
            "--" if request == Request::Reboot => {
                order.arguments = args.by_ref().map(String::as_str).collect::<Vec<_>>().join(" ");
            }
            other => return Err(Refusal::Usage(format!("unknown argument '{other}'; {}", usage()))),
        }
    }
    Ok(order)
}

fn parse_shutdown(args: &[String]) -> Result<Order, Refusal> {
    const USAGE: &str =
        "usage: shutdown [-r|-h|-H|-P] [-f] [now|+MINUTES] [message...], or shutdown -y -g SECONDS -i 0|5|6";
    let bad = |text: String| Refusal::Usage(format!("{text}; {USAGE}"));
    let wrong = |word: BadWord| bad(word.to_string());
    let mut order = Order::to(Request::PowerOff);
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        // `-g60` and `-g 60` are the same.
        let mut value = |rest: &str| match rest {
            "" => args.next().cloned().ok_or_else(|| bad(format!("'{arg}' needs a value"))),
            rest => Ok(rest.to_owned()),
        };
        match arg.as_str() {
            "--help" => return Err(Refusal::Nothing(USAGE.to_owned())),
            "-r" | "--reboot" => order.request = Request::Reboot,
            "-h" | "-P" | "-p" | "--poweroff" => order.request = Request::PowerOff,
            "-H" | "--halt" => order.request = Request::Halt,
            "-f" | "-n" => order.force = true,
            "-y" | "-a" | "--no-wall" => {}
            // How long between asking processes and ending them is init's own affair.
            text if text.starts_with("-t") => drop(seconds(&value(&text[2..])?).map_err(wrong)?),
            text if text.starts_with("-g") => order.delay = seconds(&value(&text[2..])?).map_err(wrong)?,
            text if text.starts_with("-i") => order.request = level(&value(&text[2..])?).map_err(wrong)?,
            text if text.starts_with('-') => return Err(bad(format!("unknown option '{text}'"))),
            word => words.push(word),
        }
    }
    let mut words = words.into_iter();
    if let Some(time) = words.next() {
        order.delay = match time.strip_prefix('+').map(str::parse::<u32>) {
            Some(Ok(minutes)) => Duration::from_secs(60 * u64::from(minutes)),
            None if time == "now" => Duration::ZERO,
            _ => return Err(bad(format!("'{time}' is no time"))),
        };
    }
    order.message = words.collect::<Vec<_>>().join(" ");
    Ok(order)
}

fn parse_level(name: &str, args: &[String]) -> Result<Order, Refusal> {
    const USAGE: &str = "usage: init 0|6 (0: power off, 6: reboot)";
    match args {
        [one] if matches!(one.as_str(), "q" | "Q" | "u" | "U") => Err(Refusal::Nothing(String::new())),
        [one] => match level(one) {
            Ok(request) => Ok(Order::to(request)),
            Err(text) => Err(Refusal::Usage(format!("{text}; {USAGE}"))),
        },
        _ => Err(Refusal::Usage(format!("'{name}' runs as process 1 of a zone; from elsewhere, {USAGE}"))),
    }
}

/// A word of a command line that is not what belongs there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadWord {
    /// No run level that ends the zone.
    #[error("run level '{0}' is not one of 0, 5, 6: to reach single-user, boot the zone with -s")]
    Level(String),
    /// No time to wait.
    #[error("'{0}' is no number of seconds")]
    Seconds(String),
}

/// Reads a run level of Solaris and System V that ends the zone.
fn level(text: &str) -> Result<Request, BadWord> {
    match text {
        "0" | "5" => Ok(Request::PowerOff),
        "6" => Ok(Request::Reboot),
        _ => Err(BadWord::Level(text.to_owned())),
    }
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<Duration, BadWord> {
    let number = text.parse::<u32>().map_err(|_| BadWord::Seconds(text.to_owned()))?;
    Ok(Duration::from_secs(number.into()))
}

fn carry_out(name: &str, args: &[String], order: &Order) -> ExitCode {
    if !is_init_ours() {
        return hand_over(name, args);
    }
    if !order.message.is_empty() {
        console::say(&order.message);
    }
    std::thread::sleep(order.delay);
    if order.request == Request::Reboot
        && let Err(error) = arguments::leave(&order.arguments)
    {
        eprintln!("{name}: could not leave the arguments in {}: {}", arguments::FILE, Chain(&error));
        return ExitCode::FAILURE;
    }
    // Init begins by asking every process to end, this one too, which yet has its success to tell.
    for number in [signal::SIGTERM, signal::SIGHUP] {
        signal::ignore(number);
    }
    let outcome = if order.force {
        rustix::system::reboot(order.request.command())
    } else {
        kill_process(Pid::INIT, order.request.signal())
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(rustix::io::Errno::PERM) => {
            eprintln!("{name}: only root may {} the zone", order.request.word());
            ExitCode::FAILURE
        }
        Err(errno) => {
            eprintln!("{name}: could not {} the zone: {}", order.request.word(), Chain(&errno));
            ExitCode::FAILURE
        }
    }
}

/// Whether process 1 is this same program. If that cannot be known, it is taken to be.
fn is_init_ours() -> bool {
    match (identity("/proc/self/exe"), identity("/proc/1/exe")) {
        (Some(own), Some(first)) => own == first,
        _ => true,
    }
}

fn identity(path: impl AsRef<Path>) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Another init runs (`zoneadm boot -- -i /sbin/init`): its own command of that name knows how to
/// ask it. Our signals might mean something else to it.
fn hand_over(name: &str, args: &[String]) -> ExitCode {
    let own = identity("/proc/self/exe");
    for dir in ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
        let path = Path::new(dir).join(name);
        if identity(&path).is_some_and(|found| Some(found) != own) {
            let error = Command::new(&path).args(args).exec();
            eprintln!("{name}: could not execute {}: {}", path.display(), Chain(&error));
            return ExitCode::FAILURE;
        }
    }
    eprintln!(
        "{name}: process 1 is not zinit, and there is no '{name}' of its own in /usr/sbin, /sbin, /usr/bin or /bin"
    );
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, Refusal> {
        let mut words = line.split(' ').map(str::to_owned);
        let name = words.next().unwrap();
        parse(&name, &words.collect::<Vec<_>>())
    }

    fn is(line: &str, request: Request, force: bool, delay: u64, message: &str) {
        let (delay, message) = (Duration::from_secs(delay), message.into());
        let expected = Order { force, delay, message, ..Order::to(request) };
        assert_eq!(order(line), Ok(expected), "{line}");
    }

    #[test]
    fn command_lines() {
        is("reboot", Request::Reboot, false, 0, "");
        is("reboot -f", Request::Reboot, true, 0, "");
        is("halt -p", Request::PowerOff, false, 0, "");
        is("halt", Request::Halt, false, 0, "");
        is("poweroff -n", Request::PowerOff, false, 0, "");
        is("shutdown -h now", Request::PowerOff, false, 0, "");
        is("shutdown -r +2 back soon", Request::Reboot, false, 120, "back soon");
        is("shutdown -t 3 -H now", Request::Halt, false, 0, "");
        is("shutdown -y -g0 -i6", Request::Reboot, false, 0, "");
        is("shutdown -y -g 30 -i 5", Request::PowerOff, false, 30, "");
        is("init 0", Request::PowerOff, false, 0, "");
        is("telinit 6", Request::Reboot, false, 0, "");
    }

    #[test]
    fn a_reboot_takes_arguments() {
        for (line, arguments) in
            [("reboot --", ""), ("reboot -- -s", "-s"), ("reboot -n -- -m verbose -f", "-m verbose -f")]
        {
            assert_eq!(
                order(line),
                Ok(Order { arguments: arguments.into(), ..Order::to(Request::Reboot) }),
                "{line}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "reboot now",
            "halt -- -s",
            "shutdown -r -- -s",
            "init",
            "init 3",
            "init 0 6",
            "shutdown later",
            "shutdown +x",
            "shutdown -g",
            "shutdown -x",
        ] {
            assert!(matches!(order(line), Err(Refusal::Usage(_))), "{line}");
        }
        assert_eq!(order("init q"), Err(Refusal::Nothing(String::new())));
    }
}
