//! The default list: which calls, by what numbers, with what answer, and why.

/// What a refused call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// "You may not": for what only root may do anyway. Programs know this answer from unprivileged users.
    Perm,
    /// "There is no such call": where programs have another way for old kernels, or leave the thing out.
    NoSys,
    /// "No such family of addresses", for sockets.
    NoFamily,
    /// "No such command", for calls that are many in one.
    Invalid,
    /// "No more of these", which is how the kernel says it where `user.max_user_namespaces` is 0.
    NoSpace,
    /// "Done", though nothing was: what the caller wanted is so, or could not be had anyway.
    Done,
}

impl Answer {
    pub(super) fn errno(self) -> u32 {
        match self {
            Self::Perm => 1,
            Self::NoSys => 38,
            Self::NoFamily => 97,
            Self::Invalid => 22,
            Self::NoSpace => 28,
            Self::Done => 0,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Perm => "EPERM",
            Self::NoSys => "ENOSYS",
            Self::NoFamily => "EAFNOSUPPORT",
            Self::Invalid => "EINVAL",
            Self::NoSpace => "ENOSPC",
            Self::Done => "0",
        }
    }
}

/// Selects the calls of a number that a rule holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The rule holds for every call.
    Always,
    /// Those with any of these bits in an argument.
    AnyBit { arg: u32, bits: u32 },
    /// Those with any of these bits in an argument that is not this value.
    AnyBitBut { arg: u32, bits: u32, but: u32 },
    /// Those with this value in an argument and a pointer that is not null in another.
    OneGiven { arg: u32, value: u32, pointer: u32 },
    /// Those with one of these values in an argument.
    OneOf { arg: u32, values: &'static [u32] },
}

/// In place of a number where an architecture does not have the call.
pub(super) const NONE: u32 = u32::MAX;

/// A property of a zone's configuration that takes rules out of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// `nesting`: user namespaces in the zone.
    Nesting,
    /// `io-uring`: io_uring(7) in the zone.
    IoUring,
    /// `socketcall`: sockets for 32-bit x86 programs.
    Socketcall,
    /// Nothing of the root that is kept read-only inside of what is writable (see [`crate::immutable`]).
    PivotRoot,
    /// No `aslr` in the lower set of `security-flags`.
    FixedLayout,
    /// A host that leaves core dumps to the zone.
    CoreLimit,
}

/// A line of the list; no number has two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) call: &'static str,
    /// By architecture: x86_64, i386, what aarch64 and riscv64 share (asm-generic/unistd.h), arm.
    pub(super) numbers: [u32; 4],
    pub(super) when: When,
    pub(super) answer: Answer,
    pub(super) why: &'static str,
    /// The property that takes the rule out, if there is one.
    pub(super) unless: Option<Opening>,
}

impl Rule {
    const fn only(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// What is left of the rule for a zone with these properties: a call that could make an IPC namespace is looked at also where
    /// user namespaces may be made.
    pub(super) fn held(mut self, opened: bool, no_ipc: bool) -> Option<Self> {
        if let (When::AnyBit { bits: NEW_USER_BIT, arg }, true) = (self.when, no_ipc) {
            let user = if opened { 0 } else { NEW_USER_BIT };
            self.when = When::AnyBit { arg, bits: user | NEW_IPC_BIT };
            return Some(self);
        }
        // Whose flags nobody sees: it makes IPC namespaces as well.
        (!opened || no_ipc && self.call == CLONE3).then_some(self)
    }

    const fn unless(mut self, opening: Opening) -> Self {
        self.unless = Some(opening);
        self
    }
}

/// An architecture in the sense of `struct seccomp_data`.
pub(super) struct Arch {
    /// `AUDIT_ARCH_*`
    pub(super) audit: u32,
    /// Which of a rule's numbers are its own.
    pub(super) column: usize,
    /// Whether calls of x32 come under the same name.
    pub(super) has_x32: bool,
}

/// What this machine can run: its own architecture and that of its 32-bit programs.
pub(super) fn architectures() -> Vec<Arch> {
    if cfg!(target_arch = "x86_64") {
        vec![
            Arch { audit: 0xc000_003e, column: 0, has_x32: true },
            Arch { audit: 0x4000_0003, column: 1, has_x32: false },
        ]
    } else if cfg!(target_arch = "aarch64") {
        vec![
            Arch { audit: 0xc000_00b7, column: 2, has_x32: false },
            Arch { audit: 0x4000_0028, column: 3, has_x32: false },
        ]
    } else if cfg!(target_arch = "riscv64") {
        vec![Arch { audit: 0xc000_00f3, column: 2, has_x32: false }]
    } else {
        // Better no list than one with the numbers of another machine; the namespaces and capabilities hold.
        vec![]
    }
}

const fn always(call: &'static str, numbers: [u32; 4], answer: Answer, why: &'static str) -> Rule {
    Rule { call, numbers, when: When::Always, answer, why, unless: None }
}

use Answer::{Done, Invalid, NoFamily, NoSpace, NoSys, Perm};

const MACHINE: &str = "changes the machine's kernel";
const HANDLE: &str = "reaches files by number, past every directory the zone is confined to";
const DISK: &str = "is over the machine's disks";
const KEYS: &str = "keyrings are shared by all who have the same user id, and are no part of a zone";
const OBSERVE: &str = "watches the whole machine, and has a history of faults";
const OLD: &str = "is obsolete, and code that nobody runs is code that nobody tests";
const PORTS: &str = "is over the machine's ports";
const DUMPS: &str =
    "lowers the limit with which the kernel starts no program of the host's to take a core dump";
const LAYOUT: &str = "turns off the random layout that security-flags says to keep";
const MOUNTS: &str =
    "makes mount namespaces without the mounts of the zone, which keep directories from being replaced";
const NESTED: &str = "a user namespace in the zone opens much of the kernel to every user of it";
const LEASES: &str =
    "a lease on a file of the shared /usr holds up whoever opens it on the host, and a hint stays with it";
const VSOCKETS: &str = "talks to the hypervisor or its other guests, in no network namespace";
const RINGS: &str = "a ring makes calls that no filter sees, and has a history of faults";

const CLONE3: &str = "clone3";

/// `CLONE_NEWUSER` (linux/sched.h).
const NEW_USER_BIT: u32 = 0x1000_0000;
/// `CLONE_NEWIPC`.
pub(super) const NEW_IPC_BIT: u32 = 0x0800_0000;
const NEW_USER: When = When::AnyBit { arg: 0, bits: NEW_USER_BIT };
/// `TIOCSTI` types into a terminal, `TIOCLINUX` pastes into a virtual console (ioctl_tty(2), ioctl_console(2)).
const TYPE_IN: When = When::OneOf { arg: 1, values: &[0x5412, 0x541c] };
/// `AF_VSOCK` (linux/socket.h).
const VSOCK: When = When::OneOf { arg: 0, values: &[40] };
/// `SYS_SOCKET` (linux/net.h): the family is behind a pointer, where no filter sees it. What is done with a socket that a
/// 32-bit program was given stays, and so do pairs, which `AF_VSOCK` has none of.
const SOCKETS: When = When::OneOf { arg: 0, values: &[1] };
/// What the owner of a file may do to it through a descriptor that can only read (linux/fcntl.h), and through its id-mapped
/// mount a zone's root owns the files of the shared /usr: `F_SETLEASE`, `F_SET_RW_HINT`, `F_SET_FILE_RW_HINT`, and
/// `F_SETDELEG` of Linux 6.19.
const HOLD_UP: When = When::OneOf { arg: 1, values: &[1024, 1036, 1038, 1040] };

/// `RLIMIT_CORE` (asm-generic/resource.h) of prlimit64(2), which asks only where it is given no new limit, and of setrlimit(2).
const LIMIT_CORES: When = When::OneGiven { arg: 1, value: 4, pointer: 2 };
const LIMIT_CORE: When = When::OneOf { arg: 0, values: &[4] };
/// `ADDR_NO_RANDOMIZE` (sys/personality.h); with all bits the call only asks.
const FIXED_LAYOUT: When = When::AnyBitBut { arg: 0, bits: 0x0004_0000, but: u32::MAX };
/// `OPEN_TREE_NAMESPACE`, `FSMOUNT_NAMESPACE` (linux/mount.h, Linux 7.0 and later): what is mounted becomes all that a new
/// mount namespace has.
const TREE_ALONE: When = When::AnyBit { arg: 2, bits: 1 << 1 };
const MOUNT_ALONE: When = When::AnyBit { arg: 1, bits: 1 << 1 };

/// The list. Left out on purpose:
///
/// * what a missing capability refuses anyway with a good answer: setting clocks, hostnames of others, raw I/O;
/// * `mount` and its kin, `ptrace`, `setns`, `name_to_handle_at`: a system needs them, and they stay within the namespaces.
///
/// A call may have more roads than one: another number (`fcntl64`), another call that takes its arguments from memory
/// (`socketcall`, `clone3`, a ring of io_uring), another architecture. Each has a row of its own here, and the tests go all of them.
#[rustfmt::skip]
pub(super) const RULES: [Rule; 46] = [
    always("kexec_load",        [246, 283, 104, 347],    Perm,  MACHINE),
    always("kexec_file_load",   [320, NONE, 294, 401],   Perm,  MACHINE),
    always("init_module",       [175, 128, 105, 128],    Perm,  MACHINE),
    always("finit_module",      [313, 350, 273, 379],    Perm,  MACHINE),
    always("delete_module",     [176, 129, 106, 129],    Perm,  MACHINE),
    always("syslog",            [103, 103, 116, 103],    Perm,  "shows the kernel's log, of the host and of all zones"),
    always("acct",              [163, 51, 89, 51],       Perm,  "writes a record of every process of the machine"),
    always("swapon",            [167, 87, 224, 87],      Perm,  DISK),
    always("swapoff",           [168, 115, 225, 115],    Perm,  DISK),
    always("quotactl",          [179, 131, 60, 131],     Perm,  DISK),
    always("quotactl_fd",       [443, 443, 443, 443],    Perm,  DISK),
    always("open_by_handle_at", [304, 342, 265, 371],    Perm,  HANDLE),
    always("iopl",              [172, 110, NONE, NONE],  Perm,  PORTS),
    always("ioperm",            [173, 101, NONE, NONE],  Perm,  PORTS),
    always("bpf",               [321, 357, 280, 386],    Perm,  OBSERVE),
    always("perf_event_open",   [298, 336, 241, 364],    Perm,  OBSERVE),
    always("lookup_dcookie",    [212, 253, 18, 249],     Perm,  OBSERVE),
    always("userfaultfd",       [323, 374, 282, 388],    Perm,  "holds the kernel still in the middle of things, which is what attacks on it want"),
    always("add_key",           [248, 286, 217, 309],    NoSys, KEYS),
    always("request_key",       [249, 287, 218, 310],    NoSys, KEYS),
    always("keyctl",            [250, 288, 219, 311],    NoSys, KEYS),
    always("vm86",              [NONE, 166, NONE, NONE], NoSys, OLD),
    always("vm86old",           [NONE, 113, NONE, NONE], NoSys, OLD),
    always("uselib",            [134, 86, NONE, 86],     NoSys, OLD),
    always("ustat",             [136, 62, NONE, 62],     NoSys, OLD),
    always("nfsservctl",        [180, 169, 42, 169],     NoSys, OLD),
    always("_sysctl",           [156, 149, NONE, 149],   NoSys, OLD),
    // The C libraries fall back to clone, whose flags are no pointer and so can be looked at.
    always(CLONE3,              [435, 435, 435, 435],    NoSys, "its flags are behind a pointer, where no filter sees them").unless(Opening::Nesting),
    always("clone",             [56, 120, 220, 120],     NoSpace, NESTED).only(NEW_USER).unless(Opening::Nesting),
    always("unshare",           [272, 310, 97, 337],     NoSpace, NESTED).only(NEW_USER).unless(Opening::Nesting),
    always("ioctl",             [16, 54, 29, 54],        Perm,  "types into a terminal as if its user did").only(TYPE_IN),
    always("fcntl",             [72, 55, 25, 55],        Invalid, LEASES).only(HOLD_UP),
    always("fcntl64",           [NONE, 221, NONE, 221],  Invalid, LEASES).only(HOLD_UP),
    always("socket",            [41, 359, 198, 281],     NoFamily, VSOCKETS).only(VSOCK),
    always("socketcall",        [NONE, 102, NONE, NONE], NoSys, "makes sockets of any family, which is behind a pointer").only(SOCKETS).unless(Opening::Socketcall),
    always("io_uring_setup",    [425, 425, 425, 425],    NoSys, RINGS).unless(Opening::IoUring),
    always("io_uring_enter",    [426, 426, 426, 426],    NoSys, RINGS).unless(Opening::IoUring),
    always("io_uring_register", [427, 427, 427, 427],    NoSys, RINGS).unless(Opening::IoUring),
    always("pivot_root",        [155, 217, 41, 218],     Perm,  MOUNTS).unless(Opening::PivotRoot),
    always("open_tree",         [428, 428, 428, 428],    Invalid, MOUNTS).only(TREE_ALONE),
    always("open_tree_attr",    [467, 467, 467, 467],    Invalid, MOUNTS).only(TREE_ALONE),
    always("fsmount",           [432, 432, 432, 432],    Invalid, MOUNTS).only(MOUNT_ALONE),
    always("personality",       [135, 136, 92, 136],     Perm,  LAYOUT).only(FIXED_LAYOUT).unless(Opening::FixedLayout),
    always("prlimit64",         [302, 340, 261, 369],    Done,  DUMPS).only(LIMIT_CORES).unless(Opening::CoreLimit),
    always("setrlimit",         [160, 75, 164, 75],      Done,  DUMPS).only(LIMIT_CORE).unless(Opening::CoreLimit),
    always("create_module",     [174, 127, NONE, NONE],  NoSys, OLD),
];
