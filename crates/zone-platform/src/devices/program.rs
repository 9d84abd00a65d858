//! From a list of devices to the program that lets a cgroup use them and no others (linux/bpf.h, `bpf_cgroup_dev_ctx`).

use rustix::fs::FileType;
use zone_sys::bpf::{INSTRUCTION, instruction};

use super::Node;

/// `BPF_LDX | BPF_MEM | BPF_W`: loads a word.
const LOAD: u8 = 0x61;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u8 = 0x54;
/// `BPF_JMP | BPF_JNE | BPF_K`
const UNLESS_EQUAL: u8 = 0x55;
/// `BPF_ALU64 | BPF_MOV | BPF_K`
const SET: u8 = 0xb7;
/// `BPF_JMP | BPF_EXIT`
const EXIT: u8 = 0x95;

/// The registers: the answer, what the kernel hands in, and what is loaded of it.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const MAJOR: u8 = 3;
const MINOR: u8 = 4;

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`
const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;

/// A kind and a major number, with a minor number or without: then all of them.
type Rule = (u32, u32, Option<u32>);

/// What every zone has: its few nodes, the ends of terminals (5:2), and terminals, which have eight major numbers.
const ALWAYS: [Rule; 15] = [
    (CHARACTER, 1, Some(3)),
    (CHARACTER, 1, Some(5)),
    (CHARACTER, 1, Some(7)),
    (CHARACTER, 1, Some(8)),
    (CHARACTER, 1, Some(9)),
    (CHARACTER, 5, Some(0)),
    (CHARACTER, 5, Some(2)),
    (CHARACTER, 136, None),
    (CHARACTER, 137, None),
    (CHARACTER, 138, None),
    (CHARACTER, 139, None),
    (CHARACTER, 140, None),
    (CHARACTER, 141, None),
    (CHARACTER, 142, None),
    (CHARACTER, 143, None),
];

/// The whole program, an array of `struct bpf_insn`.
pub(super) fn of(nodes: &[Node]) -> Vec<u8> {
    let own = nodes.iter().map(|node| {
        let kind = if node.kind == FileType::BlockDevice { BLOCK } else { CHARACTER };
        (kind, node.major, Some(node.minor))
    });
    let mut code = vec![
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
        // The upper half is what is wanted of it: to make, to read, to write.
        instruction(AND, KIND, 0, 0, 0xffff),
    ];
    ALWAYS.into_iter().chain(own).for_each(|rule| code.extend(allow(rule)));
    code.extend(answer(0));
    code.concat()
}

/// Ends with "yes" if the device is that of the rule; goes on behind if not.
fn allow((kind, major, minor): Rule) -> Vec<[u8; INSTRUCTION]> {
    let tests: Vec<_> = [Some((KIND, kind)), Some((MAJOR, major)), minor.map(|minor| (MINOR, minor))]
        .into_iter()
        .flatten()
        .collect();
    let mut behind = i16::try_from(tests.len()).unwrap_or(i16::MAX) + 2;
    let mut code = Vec::new();
    for (register, value) in tests {
        behind -= 1;
        code.push(instruction(UNLESS_EQUAL, register, 0, behind, value));
    }
    code.extend(answer(1));
    code
}

fn answer(value: u32) -> [[u8; INSTRUCTION]; 2] {
    [instruction(SET, ANSWER, 0, 0, value), instruction(EXIT, 0, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn run(program: &[u8], kind: u32, major: u32, minor: u32) -> u32 {
        let context = [kind | 0x0003_0000, major, minor];
        let mut registers = [0u32; 5];
        let mut at = 0;
        loop {
            let [code, both, o0, o1, ref rest @ ..] = program[at * 8..at * 8 + 8] else { panic!("whole") };
            let (to, value) = (usize::from(both & 0xf), u32::from_ne_bytes(rest.try_into().unwrap()));
            let offset = i16::from_ne_bytes([o0, o1]);
            at += 1;
            match code {
                LOAD => registers[to] = context[usize::try_from(offset).unwrap() / 4],
                AND => registers[to] &= value,
                SET => registers[to] = value,
                UNLESS_EQUAL if registers[to] != value => at += usize::try_from(offset).unwrap(),
                UNLESS_EQUAL => {}
                EXIT => return registers[0],
                other => panic!("no instruction of ours: {other:#x}"),
            }
        }
    }

    #[test]
    fn what_was_given_is_allowed_and_nothing_else() {
        let node = |kind, major, minor| Node {
            name: "x".to_owned(),
            kind,
            major,
            minor,
            mode: 0o600,
            owner: 0,
            group: 0,
        };
        let nodes = [node(FileType::CharacterDevice, 10, 229), node(FileType::BlockDevice, 7, 3)];
        let program = of(&nodes);
        for (kind, major, minor) in [(2, 10, 229), (1, 7, 3), (2, 1, 3), (2, 5, 0), (2, 136, 77), (2, 143, 0)]
        {
            assert_eq!(run(&program, kind, major, minor), 1, "{kind} {major}:{minor}");
        }
        for (kind, major, minor) in
            [(1, 10, 229), (2, 7, 3), (1, 7, 4), (2, 10, 200), (2, 1, 1), (1, 8, 0), (2, 144, 0), (2, 5, 1)]
        {
            assert_eq!(run(&program, kind, major, minor), 0, "{kind} {major}:{minor}");
        }
        assert_eq!(run(&of(&[]), 2, 10, 229), 0);
        // The kernel's verifier takes the largest.
        zone_testing::needs_root!();
        let most: Vec<_> = (0..256).map(|minor| node(FileType::CharacterDevice, 10, minor)).collect();
        zone_sys::bpf::load_for_devices(&of(&most), "z_test").unwrap();
    }
}
