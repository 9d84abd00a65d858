//! Each rule of the table by each road into the kernel that this machine has: the numbers of x86-64, those of i386 from
//! a 32-bit and from a 64-bit program, those of x32, and a ring; of arm64 the numbers of 64-bit and of 32-bit programs.
//!
//! A road is a program of a few instructions per call, written here as machine code, that makes the calls and writes
//! what they answered. It is run under the filter as the kernel loads it, by nobody, lest a hole in the filter do harm.

#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_endian = "little"))]

use super::super::table::{NONE, RULES, When, architectures};
use super::super::{Opened, program};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
use arm::Road;
#[cfg(target_arch = "x86_64")]
use x86::Road;

/// A call: its number and first three arguments.
type Call = [u32; 4];

const ENOSYS: i32 = -38;
const EFAULT: i32 = -14;

/// Where the program is mapped; its answers are written behind its code.
const BASE: u32 = 0x0040_0000;
/// The largest page that a kernel of these machines has.
const PAGE: u32 = 0x1_0000;

impl Road {
    /// A whole executable that makes these calls, writes the answers, four bytes each, and exits.
    fn executable(self, calls: &[Call]) -> Vec<u8> {
        let header: u32 = if self.bits64() { 64 + 56 } else { 52 + 32 };
        let (write, exit) = self.write_and_exit();
        let each = u32::try_from(self.call([0; 4]).len() + self.store(0).len()).unwrap();
        let count = u32::try_from(calls.len()).unwrap();
        let answers = BASE + header + each * count + 2 * each;
        let mut code = Vec::new();
        for (at, call) in (answers..).step_by(4).zip(calls) {
            code.extend(self.call(*call));
            code.extend(self.store(at));
        }
        code.extend(self.call([write, 1, answers, 4 * count]));
        code.extend(self.call([exit, 0, 0, 0]));
        code.resize(usize::try_from(answers - BASE - header + 4 * count).unwrap(), 0);
        let mut file = self.header(u32::try_from(code.len()).unwrap() + header);
        assert_eq!(file.len(), usize::try_from(header).unwrap());
        file.extend(code);
        file
    }

    /// The headers of an ELF file of one segment that is all of it (elf(5)).
    fn header(self, size: u32) -> Vec<u8> {
        let wide = self.bits64();
        let half = |value: u16| value.to_le_bytes().to_vec();
        let word = |value: u32| value.to_le_bytes().to_vec();
        let address = |value: u32| if wide { u64::from(value).to_le_bytes().to_vec() } else { word(value) };
        let (ehsize, phsize) = if wide { (64u16, 56u16) } else { (52, 32) };
        let start = BASE + u32::from(ehsize) + u32::from(phsize);
        let ident = [0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // ET_EXEC with one PT_LOAD; all three permissions.
        let (machine, flags) = self.machine();
        let mut out = vec![ident.to_vec(), half(2), half(machine), word(1), address(start)];
        out.extend([address(ehsize.into()), address(0), word(flags), half(ehsize), half(phsize), half(1)]);
        out.extend([half(0), half(0), half(0), word(1)]);
        if wide {
            out.push(word(7));
        }
        out.extend([address(0), address(BASE), address(BASE), address(size), address(size)]);
        if !wide {
            out.push(word(7));
        }
        out.push(address(PAGE));
        out.concat()
    }
}

/// What the calls answer by this road under the filter; `None` where the machine has no such road.
fn asked(road: Road, calls: &[Call], opened: Opened) -> Option<Vec<i32>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("road");
    std::fs::write(&path, road.executable(calls)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A filter is a thread's, and its children's.
    let answers = std::thread::scope(|scope| scope.spawn(|| run(&path, opened)).join().unwrap())?;
    assert_eq!(answers.len(), 4 * calls.len(), "{road:?}");
    Some(answers.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect())
}

fn run(path: &Path, opened: Opened) -> Option<Vec<u8>> {
    let mut command = Command::new(path);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    rustix::thread::set_no_new_privs(true).unwrap();
    zone_sys::seccomp::load(program(opened)).unwrap();
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(output.stdout)
        }
        // No 32-bit programs here.
        Err(error) if error.raw_os_error() == Some(8) => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// A call that the rule refuses, for each of its values.
fn refused_calls(number: u32, when: When) -> Vec<Call> {
    let with = |arg: u32, value: u32| {
        let mut call = [number, 0, 0, 0];
        call[usize::try_from(arg).unwrap() + 1] = value;
        call
    };
    match when {
        When::Always => vec![[number, 0, 0, 0]],
        When::AnyBit { arg, bits } | When::AnyBitBut { arg, bits, .. } => vec![with(arg, bits)],
        When::OneGiven { arg, value, pointer } => {
            let mut call = with(arg, value);
            call[usize::try_from(pointer).unwrap() + 1] = 1;
            vec![call]
        }
        When::OneOf { arg, values } => values.iter().map(|value| with(arg, *value)).collect(),
    }
}

#[test]
fn no_rule_is_passed_by_any_road() {
    for (road, column) in Road::ALL {
        let rules = RULES.iter().filter(|rule| rule.numbers[column] != NONE);
        let wanted: Vec<_> = rules
            .flat_map(|rule| {
                let answer = -i32::try_from(rule.answer.errno()).unwrap();
                refused_calls(rule.numbers[column], rule.when)
                    .into_iter()
                    .map(move |call| (rule.call, call, answer))
            })
            .collect();
        let calls: Vec<Call> = wanted.iter().map(|(_, call, _)| *call).collect();
        let Some(got) = asked(road, &calls, Opened::default()) else {
            eprintln!("{road:?}: this kernel runs no such programs");
            continue;
        };
        for ((name, call, answer), got) in wanted.iter().zip(got) {
            assert_eq!(got, *answer, "{name} {call:x?} by {road:?}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn x32_does_not_exist() {
    const X32: u32 = 0x4000_0000;
    let calls: Vec<Call> = RULES
        .iter()
        .filter(|rule| rule.numbers[0] != NONE)
        .map(|rule| [rule.numbers[0] | X32, 0, 0, 0])
        .collect();
    let got = asked(Road::Wide, &calls, Opened::default()).unwrap();
    assert_eq!(got, vec![ENOSYS; calls.len()]);
}

/// A road that leads nowhere would answer `ENOSYS` to everything, so each is seen to lead somewhere.
#[test]
fn the_roads_lead_somewhere() {
    assert_eq!(architectures().len(), 2);
    for (road, _) in Road::ALL {
        let (calls, last) = road.known();
        // getpid is never 0 and never fails, and neither does a socket, whose descriptor is none of the first three.
        match asked(road, &calls, Opened::default()) {
            Some(got) => assert!(got[0] > 0 && got[1] > 0 && got[2] == last, "{road:?}: {got:?}"),
            None => assert_ne!(road, Road::Wide),
        }
    }
}

/// What a property opens is not refused any more: an address that is bad is looked at.
#[test]
fn what_is_opened_reaches_the_kernel() {
    let all = Opened {
        nesting: true,
        io_uring: true,
        socketcall: true,
        pivot_root: true,
        no_ipc: false,
        fixed_layout: true,
        core_limit: true,
    };
    let rings =
        asked(Road::Wide, &[[425, 1, 0, 0], [426, u32::MAX, 0, 0], [427, u32::MAX, 0, 0]], all).unwrap();
    // A host may have switched them off (`kernel.io_uring_disabled`) or left them out.
    assert!(rings[0] == EFAULT || rings[0] == -1 || rings[0] == ENOSYS, "{rings:?}");
    if rings[0] == EFAULT {
        assert!(rings[1..].iter().all(|answer| *answer < 0 && *answer != ENOSYS), "{rings:?}");
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(sockets) = asked(Road::Narrow, &[[102, 1, 0, 0]], all) {
        assert_eq!(sockets, [EFAULT]);
    }
}
