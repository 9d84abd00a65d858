//! The numbers of system calls, for the programs that make them inside a zone by number.

/// A call with its number on x86_64 and on the architectures that have those of `asm-generic/unistd.h`, as aarch64.
const CALLS: [(&str, u32, u32); 12] = [
    ("fanotify_init", 300, 262),
    ("fcntl", 72, 25),
    ("io_uring_setup", 425, 425),
    ("mount", 165, 40),
    ("open_tree", 428, 428),
    ("pivot_root", 155, 41),
    ("renameat", 264, 38),
    ("setxattr", 188, 5),
    ("socket", 41, 198),
    ("umount2", 166, 39),
    ("utimensat", 280, 88),
    ("vhangup", 153, 58),
];

/// Puts the numbers of this architecture into a program that names calls as `SYS_fcntl`.
#[must_use]
pub fn numbered(program: &str) -> String {
    let program = CALLS.iter().fold(program.to_owned(), |program, (name, x86_64, generic)| {
        let number = if cfg!(target_arch = "x86_64") { x86_64 } else { generic };
        program.replace(&format!("SYS_{name}"), &number.to_string())
    });
    assert!(!program.contains("SYS_"), "a call without a number: {program}");
    program
}
