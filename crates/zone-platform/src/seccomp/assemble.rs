//! From the table to classic BPF (seccomp(2), linux/filter.h).

use zone_sys::seccomp::instruction;

use super::table::{Arch, NONE, Rule, When};

/// `BPF_LD | BPF_W | BPF_ABS`: loads a word of `struct seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`
pub(super) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
pub(super) const IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`
pub(super) const IF_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
pub(super) const IF_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`
pub(super) const RETURN: u16 = 0x06;

/// `SECCOMP_RET_ALLOW`
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO`, to which the errno is added.
pub(super) const ERRNO: u32 = 0x0005_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Calls from this number on are of x32, another ABI of the same architecture.
const X32: u32 = 0x4000_0000;
const ENOSYS: u32 = 38;

type Instruction = [u8; zone_sys::seccomp::INSTRUCTION];

/// The whole program: a section for each architecture; a call of an architecture that is not in the list does not exist.
pub(super) fn program(architectures: &[Arch], rules: impl Iterator<Item = Rule> + Clone) -> Vec<u8> {
    let mut code = vec![load(ARCH)];
    for arch in architectures {
        let section = section(arch, rules.clone());
        code.push(instruction(IF_EQUAL, 1, 0, arch.audit));
        // A conditional jump reaches 255 instructions at most, a plain one any number.
        code.push(instruction(JUMP, 0, 0, u32::try_from(section.len()).unwrap_or(u32::MAX)));
        code.extend(section);
    }
    let otherwise = if architectures.is_empty() { instruction(RETURN, 0, 0, ALLOW) } else { refuse(ENOSYS) };
    code.push(otherwise);
    code.concat()
}

fn section(arch: &Arch, rules: impl Iterator<Item = Rule>) -> Vec<Instruction> {
    let mut code = vec![load(NUMBER)];
    if arch.has_x32 {
        code.push(instruction(IF_AT_LEAST, 0, 1, X32));
        code.push(refuse(ENOSYS));
    }
    let mut tests: Vec<(u32, Vec<Instruction>)> = rules
        .filter(|rule| rule.numbers[arch.column] != NONE)
        .map(|rule| {
            let answer = refuse(rule.answer.errno());
            let body = match rule.when {
                When::Always => vec![answer],
                When::AnyBit { arg, bits } => argument(arg, IF_ANY_BIT, &[bits], answer),
                When::AnyBitBut { arg, bits, but } => {
                    let mut body = argument(arg, IF_ANY_BIT, &[bits], answer);
                    body.insert(1, instruction(IF_EQUAL, 0, 1, but));
                    body.insert(2, instruction(RETURN, 0, 0, ALLOW));
                    body
                }
                When::OneGiven { arg, value, pointer } => given(arg, value, pointer, answer),
                When::OneOf { arg, values } => argument(arg, IF_EQUAL, values, answer),
            };
            (rule.numbers[arch.column], body)
        })
        .collect();
    tests.sort_unstable_by_key(|(number, _)| *number);
    code.extend(search(&tests));
    code
}

/// So few numbers are compared one after the other.
const FEW: usize = 3;

/// Finds the loaded number among `tests`, which are sorted by it, by halves: the kernel runs the program for each of its
/// call numbers when it is loaded, to note which are always allowed (`seccomp_cache_prepare`, Linux 5.11), and that is on
/// the way of every boot.
fn search(tests: &[(u32, Vec<Instruction>)]) -> Vec<Instruction> {
    if tests.len() > FEW {
        let (low, high) = tests.split_at(tests.len() / 2);
        let below = search(low);
        let over = u32::try_from(below.len()).unwrap_or(u32::MAX);
        let mut code = vec![instruction(IF_AT_LEAST, 0, 1, high[0].0), instruction(JUMP, 0, 0, over)];
        code.extend(below);
        code.extend(search(high));
        return code;
    }
    let mut code = Vec::new();
    for (number, body) in tests {
        // Bodies are a few instructions long.
        code.push(instruction(IF_EQUAL, 0, u8::try_from(body.len()).unwrap_or(u8::MAX), *number));
        code.extend(body);
    }
    code.push(instruction(RETURN, 0, 0, ALLOW));
    code
}

/// Compares the low word of an argument: the kernel takes all arguments that the table names as 32 bits, or looks at those.
fn argument(arg: u32, test: u16, values: &[u32], answer: Instruction) -> Vec<Instruction> {
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut code = vec![load(ARGS + 8 * arg + low)];
    for value in values {
        code.push(instruction(test, 0, 1, *value));
        code.push(answer);
    }
    // The number is no longer loaded, but a call has one rule only, so nothing else can match.
    code.push(instruction(RETURN, 0, 0, ALLOW));
    code
}

/// Compares the low word of an argument, and both words of a pointer with null.
fn given(arg: u32, value: u32, pointer: u32, answer: Instruction) -> Vec<Instruction> {
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let at = ARGS + 8 * pointer;
    vec![
        load(ARGS + 8 * arg + low),
        instruction(IF_EQUAL, 0, 5, value),
        load(at),
        instruction(IF_EQUAL, 0, 2, 0),
        load(at + 4),
        instruction(IF_EQUAL, 1, 0, 0),
        answer,
        instruction(RETURN, 0, 0, ALLOW),
    ]
}

fn load(offset: u32) -> Instruction {
    instruction(LOAD, 0, 0, offset)
}

fn refuse(errno: u32) -> Instruction {
    instruction(RETURN, 0, 0, ERRNO | errno)
}
