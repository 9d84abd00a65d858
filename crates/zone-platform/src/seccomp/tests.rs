use super::assemble::{ALLOW, ERRNO, IF_ANY_BIT, IF_AT_LEAST, IF_EQUAL, JUMP, LOAD, RETURN};
use super::table::{Answer, NONE, RULES, When, architectures};
use super::*;
use proptest::prelude::*;
use zone_sys::seccomp::{INSTRUCTION, MAX_INSTRUCTIONS};

mod roads;

/// Runs the default program as the kernel would, on little-endian `struct seccomp_data`.
fn answer(arch: u32, number: u32, args: [u64; 6]) -> u32 {
    answer_of(Opened::default(), arch, number, args)
}

fn answer_of(opened: Opened, arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let mut data = [number.to_ne_bytes(), arch.to_ne_bytes()].concat();
    data.extend([0; 8]);
    data.extend(args.iter().flat_map(|arg| arg.to_ne_bytes()));
    let code: Vec<&[u8]> = program(opened).chunks_exact(INSTRUCTION).collect();
    let (mut at, mut a) = (0, 0u32);
    loop {
        let op = code[at];
        let code_of = u16::from_ne_bytes([op[0], op[1]]);
        let (jt, jf) = (usize::from(op[2]), usize::from(op[3]));
        let k = u32::from_ne_bytes([op[4], op[5], op[6], op[7]]);
        at += 1;
        match code_of {
            LOAD => {
                let k = usize::try_from(k).unwrap();
                a = u32::from_ne_bytes(data[k..k + 4].try_into().unwrap());
            }
            JUMP => at += usize::try_from(k).unwrap(),
            IF_EQUAL => at += if a == k { jt } else { jf },
            IF_AT_LEAST => at += if a >= k { jt } else { jf },
            IF_ANY_BIT => at += if a & k != 0 { jt } else { jf },
            RETURN => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn refused(answer: Answer) -> u32 {
    ERRNO | answer.errno()
}

#[test]
fn each_rule_answers_as_it_says() {
    for arch in architectures() {
        for rule in RULES.iter().filter(|rule| rule.numbers[arch.column] != NONE) {
            let number = rule.numbers[arch.column];
            let ask = |arg: u32, value: u64| {
                let mut args = [0; 6];
                args[usize::try_from(arg).unwrap()] = value;
                answer(arch.audit, number, args)
            };
            let refused = refused(rule.answer);
            match rule.when {
                When::Always => assert_eq!(ask(0, 0), refused, "{}", rule.call),
                When::AnyBit { arg, bits } => {
                    assert_eq!(ask(arg, u64::from(bits) | 0x11), refused, "{}", rule.call);
                    assert_eq!(ask(arg, u64::from(!bits)), ALLOW, "{}", rule.call);
                }
                When::AnyBitBut { arg, bits, but } => {
                    assert_eq!(ask(arg, u64::from(bits) | 0x11), refused, "{}", rule.call);
                    assert_eq!(ask(arg, u64::from(!bits)), ALLOW, "{}", rule.call);
                    assert_eq!(ask(arg, u64::from(but)), ALLOW, "{}", rule.call);
                }
                When::OneGiven { arg, value, pointer } => {
                    let ask = |value: u64, at: u64| {
                        let mut args = [0; 6];
                        args[usize::try_from(arg).unwrap()] = value;
                        args[usize::try_from(pointer).unwrap()] = at;
                        answer(arch.audit, number, args)
                    };
                    for at in [1, 7 << 40, u64::MAX] {
                        assert_eq!(ask(u64::from(value) | 7 << 40, at), refused, "{}", rule.call);
                        assert_eq!(ask(u64::from(value) + 1, at), ALLOW, "{}", rule.call);
                    }
                    assert_eq!(ask(value.into(), 0), ALLOW, "{}", rule.call);
                }
                When::OneOf { arg, values } => {
                    for value in values {
                        // The kernel looks at 32 bits of these: what is above changes nothing.
                        assert_eq!(ask(arg, u64::from(*value) | 7 << 40), refused, "{}", rule.call);
                    }
                    assert_eq!(ask(arg, 7), ALLOW, "{}", rule.call);
                }
            }
        }
    }
}

#[test]
fn what_is_not_in_the_list_is_allowed_and_other_machines_do_not_exist() {
    let arch = &architectures()[0];
    for number in (0..1000).chain([0x3fff_ffff]) {
        if RULES.iter().all(|rule| rule.numbers[arch.column] != number) {
            assert_eq!(answer(arch.audit, number, [0; 6]), ALLOW, "{number}");
        }
    }
    assert_eq!(answer(0x1234, 1, [0; 6]), refused(Answer::NoSys));
    if arch.has_x32 {
        assert_eq!(answer(arch.audit, 0x4000_0001, [0; 6]), refused(Answer::NoSys));
    }
}

#[test]
fn each_property_opens_its_own_rules_and_no_other() {
    let none = Opened::default();
    let cases = [
        (Opened { nesting: true, ..none }, vec!["clone3", "clone", "unshare"]),
        (Opened { io_uring: true, ..none }, vec!["io_uring_setup", "io_uring_enter", "io_uring_register"]),
        (Opened { socketcall: true, ..none }, vec!["socketcall"]),
        (Opened { pivot_root: true, ..none }, vec!["pivot_root"]),
        (Opened { fixed_layout: true, ..none }, vec!["personality"]),
        (Opened { core_limit: true, ..none }, vec!["prlimit64", "setrlimit"]),
    ];
    for (opened, calls) in cases {
        for arch in architectures() {
            for rule in RULES.iter().filter(|rule| rule.numbers[arch.column] != NONE) {
                let mut args = [0; 6];
                match rule.when {
                    When::Always => {}
                    When::AnyBit { arg, bits } | When::AnyBitBut { arg, bits, .. } => {
                        args[usize::try_from(arg).unwrap()] = bits.into();
                    }
                    When::OneGiven { arg, value, pointer } => {
                        args[usize::try_from(arg).unwrap()] = value.into();
                        args[usize::try_from(pointer).unwrap()] = 1;
                    }
                    When::OneOf { arg, values } => args[usize::try_from(arg).unwrap()] = values[0].into(),
                }
                let wanted = if calls.contains(&rule.call) { ALLOW } else { refused(rule.answer) };
                let got = answer_of(opened, arch.audit, rule.numbers[arch.column], args);
                assert_eq!(got, wanted, "{} with {opened:?}", rule.call);
            }
        }
    }
}

#[test]
fn a_zone_with_limits_of_ipc_makes_no_ipc_namespace() {
    for nesting in [false, true] {
        let opened = Opened { nesting, no_ipc: true, ..Opened::default() };
        for arch in architectures() {
            for rule in RULES.iter().filter(|rule| ["clone", "unshare"].contains(&rule.call)) {
                let ask = |flags: u64| {
                    answer_of(opened, arch.audit, rule.numbers[arch.column], [flags, 0, 0, 0, 0, 0])
                };
                assert_eq!(ask(0x0800_0000 | 0x11), refused(Answer::NoSpace), "{}", rule.call);
                let user = if nesting { ALLOW } else { refused(Answer::NoSpace) };
                assert_eq!(ask(0x1000_0000), user, "{}", rule.call);
                assert_eq!(ask(0x4002_0000), ALLOW, "{}", rule.call);
            }
            for rule in RULES.iter().filter(|rule| rule.call == "clone3") {
                let got = answer_of(opened, arch.audit, rule.numbers[arch.column], [0; 6]);
                assert_eq!(got, refused(Answer::NoSys), "its flags are seen by nobody");
            }
        }
    }
}

#[test]
fn the_table_is_sound() {
    assert!(program(Opened::default()).len() / INSTRUCTION < MAX_INSTRUCTIONS);
    for column in 0..4 {
        let mut numbers: Vec<u32> =
            RULES.iter().map(|rule| rule.numbers[column]).filter(|n| *n != NONE).collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "two rules for one call in column {column}");
    }
    assert_eq!(describe().count(), RULES.len());
}

/// The numbers that the kernel's own headers give for the machine that runs the tests.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn the_numbers_are_those_of_the_headers() {
    use linux_raw_sys::general as raw;
    // Left out: what only one of the two has.
    let known = [
        ("kexec_load", raw::__NR_kexec_load),
        ("kexec_file_load", raw::__NR_kexec_file_load),
        ("init_module", raw::__NR_init_module),
        ("finit_module", raw::__NR_finit_module),
        ("delete_module", raw::__NR_delete_module),
        ("syslog", raw::__NR_syslog),
        ("acct", raw::__NR_acct),
        ("swapon", raw::__NR_swapon),
        ("swapoff", raw::__NR_swapoff),
        ("quotactl", raw::__NR_quotactl),
        ("quotactl_fd", raw::__NR_quotactl_fd),
        ("open_by_handle_at", raw::__NR_open_by_handle_at),
        ("bpf", raw::__NR_bpf),
        ("perf_event_open", raw::__NR_perf_event_open),
        ("userfaultfd", raw::__NR_userfaultfd),
        ("add_key", raw::__NR_add_key),
        ("request_key", raw::__NR_request_key),
        ("keyctl", raw::__NR_keyctl),
        ("clone3", raw::__NR_clone3),
        ("clone", raw::__NR_clone),
        ("unshare", raw::__NR_unshare),
        ("ioctl", raw::__NR_ioctl),
        ("socket", raw::__NR_socket),
        ("fcntl", raw::__NR_fcntl),
        ("io_uring_setup", raw::__NR_io_uring_setup),
        ("io_uring_enter", raw::__NR_io_uring_enter),
        ("io_uring_register", raw::__NR_io_uring_register),
        ("pivot_root", raw::__NR_pivot_root),
        ("open_tree", raw::__NR_open_tree),
        ("fsmount", raw::__NR_fsmount),
        ("personality", raw::__NR_personality),
        ("prlimit64", raw::__NR_prlimit64),
        ("setrlimit", raw::__NR_setrlimit),
    ];
    for (call, number) in known {
        let rule = RULES.iter().find(|rule| rule.call == call).unwrap();
        assert_eq!(rule.numbers[architectures()[0].column], number, "{call}");
    }
}

proptest! {
    #[test]
    fn every_call_gets_an_answer(arch in 0usize..2, number: u32, args: [u64; 6]) {
        let audit = architectures()[arch % architectures().len()].audit;
        let answer = answer(audit, number, args);
        prop_assert!(answer == ALLOW || answer & !0xffff == ERRNO);
    }
}
