//! The roads of x86-64: those of a 64-bit program, which are also those of x32 with a bit in the number, and `int $0x80`.

use super::Call;

/// How a program comes into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// `syscall` from a 64-bit program, which is also that of x32 with a bit in the number.
    Wide,
    /// `int $0x80` from a 32-bit program.
    Narrow,
    /// `int $0x80` from a 64-bit program.
    NarrowFromWide,
}

impl Road {
    /// Each road with the column of the table that has its numbers.
    pub(super) const ALL: [(Self, usize); 3] =
        [(Self::Wide, 0), (Self::Narrow, 1), (Self::NarrowFromWide, 1)];

    /// Whether its programs are of 64 bits.
    pub(super) fn bits64(self) -> bool {
        self != Self::Narrow
    }

    /// What their headers name: `EM_X86_64` or `EM_386`, and no flags.
    pub(super) fn machine(self) -> (u16, u32) {
        (if self.bits64() { 62 } else { 3 }, 0)
    }

    /// The numbers of write(2) and `_exit(2)`.
    pub(super) fn write_and_exit(self) -> (u32, u32) {
        if self == Self::Wide { (1, 60) } else { (4, 1) }
    }

    /// getpid(2), a socket of `AF_UNIX` and `SOCK_STREAM`, and a call with what it answers: a ring that is refused, or
    /// bind(2) of no arguments by socketcall(2), whose other calls are passed on.
    pub(super) fn known(self) -> ([Call; 3], i32) {
        match self {
            Self::Wide => ([[39, 0, 0, 0], [41, 1, 1, 0], [425, 0, 0, 0]], super::ENOSYS),
            Self::Narrow | Self::NarrowFromWide => {
                ([[20, 0, 0, 0], [359, 1, 1, 0], [102, 2, 0, 0]], super::EFAULT)
            }
        }
    }

    /// `mov $value, register` for the number and the first three arguments, in their order.
    fn load(self, index: usize, value: u32) -> Vec<u8> {
        // eax, edi, esi, edx; eax, ebx, ecx, edx. A move of 32 bits clears those above.
        let wide = [0xb8, 0xbf, 0xbe, 0xba];
        let opcode = if self == Self::Wide { wide } else { [0xb8, 0xbb, 0xb9, 0xba] }[index];
        [&[opcode], &value.to_le_bytes()[..]].concat()
    }

    /// The code that makes a call.
    pub(super) fn call(self, call: Call) -> Vec<u8> {
        let mut code: Vec<u8> = call.iter().enumerate().flat_map(|(i, value)| self.load(i, *value)).collect();
        code.extend(if self == Self::Wide { [0x0f, 0x05] } else { [0xcd, 0x80] });
        code
    }

    /// `mov %eax, (at)`.
    pub(super) fn store(self, at: u32) -> Vec<u8> {
        let how: &[u8] = if self.bits64() { &[0x89, 0x04, 0x25] } else { &[0x89, 0x05] };
        [how, &at.to_le_bytes()].concat()
    }
}
