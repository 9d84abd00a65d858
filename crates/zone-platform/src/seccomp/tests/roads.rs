//! Each rule of the table by each road into the kernel that this machine has: the numbers of x86-64, those of i386 from
//! a 32-bit and from a 64-bit program, those of x32, and a ring.
//!
//! A road is a program of a few instructions per call, written here as machine code, that makes the calls and writes
//! what they answered. It is run under the filter as the kernel loads it, by nobody, lest a hole in the filter do harm.

#![cfg(all(target_arch = "x86_64", target_endian = "little"))]

use super::super::table::{NONE, RULES, When, architectures};
use super::super::{Opened, program};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A call: its number and first three arguments.
type Call = [u32; 4];

const X32: u32 = 0x4000_0000;
const ENOSYS: i32 = -38;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    /// `syscall` from a 64-bit program, which is also that of x32 with a bit in the number.
    Wide,
    /// `int $0x80` from a 32-bit program.
    Narrow,
    /// `int $0x80` from a 64-bit program.
    NarrowFromWide,
}

/// Where the program is mapped; its answers are written behind its code.
const BASE: u32 = 0x0040_0000;

impl Road {
    fn bits64(self) -> bool {
        self != Self::Narrow
    }

    fn is_wide(self) -> bool {
        self == Self::Wide
    }

    /// `mov $value, register` for the number and the first three arguments, in their order.
    fn load(self, index: usize, value: u32) -> Vec<u8> {
        // eax, edi, esi, edx; eax, ebx, ecx, edx. A move of 32 bits clears those above.
        let opcode = if self.is_wide() { [0xb8, 0xbf, 0xbe, 0xba] } else { [0xb8, 0xbb, 0xb9, 0xba] }[index];
        [&[opcode], &value.to_le_bytes()[..]].concat()
    }

    fn call(self, call: Call) -> Vec<u8> {
        let mut code: Vec<u8> = call.iter().enumerate().flat_map(|(i, value)| self.load(i, *value)).collect();
        code.extend(if self.is_wide() { [0x0f, 0x05] } else { [0xcd, 0x80] });
        code
    }

    /// `mov %eax, (at)`.
    fn store(self, at: u32) -> Vec<u8> {
        let how: &[u8] = if self.bits64() { &[0x89, 0x04, 0x25] } else { &[0x89, 0x05] };
        [how, &at.to_le_bytes()].concat()
    }

    /// A whole executable that makes these calls, writes the answers, four bytes each, and exits.
    fn executable(self, calls: &[Call]) -> Vec<u8> {
        let header: u32 = if self.bits64() { 64 + 56 } else { 52 + 32 };
        let (write, exit) = if self.is_wide() { (1, 60) } else { (4, 1) };
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
        // ET_EXEC for EM_X86_64 or EM_386, with one PT_LOAD; all three permissions.
        let mut out = vec![ident.to_vec(), half(2), half(if wide { 62 } else { 3 }), word(1), address(start)];
        out.extend([address(ehsize.into()), address(0), word(0), half(ehsize), half(phsize), half(1)]);
        out.extend([half(0), half(0), half(0), word(1)]);
        if wide {
            out.push(word(7));
        }
        out.extend([address(0), address(BASE), address(BASE), address(size), address(size)]);
        if !wide {
            out.push(word(7));
        }
        out.push(address(0x1000));
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
    let columns = [(Road::Wide, 0), (Road::Narrow, 1), (Road::NarrowFromWide, 1)];
    for (road, column) in columns {
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
fn x32_does_not_exist() {
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
    // getpid is never 0 and never fails; sockets of AF_UNIX, of type SOCK_STREAM.
    let wide = asked(Road::Wide, &[[39, 0, 0, 0], [41, 1, 1, 0], [425, 0, 0, 0]], Opened::default()).unwrap();
    assert!(wide[0] > 0 && wide[1] > 0 && wide[2] == ENOSYS, "{wide:?}");
    for road in [Road::Narrow, Road::NarrowFromWide] {
        // socketcall's other calls are passed on: bind of no arguments has a bad address.
        let Some(got) = asked(road, &[[20, 0, 0, 0], [359, 1, 1, 0], [102, 2, 0, 0]], Opened::default())
        else {
            continue;
        };
        assert!(got[0] > 0 && got[1] > 0 && got[2] == -14, "{road:?}: {got:?}");
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
    assert!(rings[0] == -14 || rings[0] == -1 || rings[0] == ENOSYS, "{rings:?}");
    if rings[0] == -14 {
        assert!(rings[1..].iter().all(|answer| *answer < 0 && *answer != ENOSYS), "{rings:?}");
    }
    if let Some(sockets) = asked(Road::Narrow, &[[102, 1, 0, 0]], all) {
        assert_eq!(sockets, [-14]);
    }
}
