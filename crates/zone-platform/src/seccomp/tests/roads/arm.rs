//! The roads of arm64: `svc` from a 64-bit program, and from a 32-bit one where processor and kernel run such.

use super::Call;

/// How a program comes into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// From a program of AArch64.
    Wide,
    /// From one of AArch32, of the EABI.
    Narrow,
}

impl Road {
    /// Each road with the column of the table that has its numbers.
    pub(super) const ALL: [(Self, usize); 2] = [(Self::Wide, 2), (Self::Narrow, 3)];

    /// Whether its programs are of 64 bits.
    pub(super) fn bits64(self) -> bool {
        self == Self::Wide
    }

    /// What their headers name: `EM_AARCH64`, or `EM_ARM` with `EF_ARM_EABI_VER5`.
    pub(super) fn machine(self) -> (u16, u32) {
        if self.bits64() { (183, 0) } else { (40, 0x0500_0000) }
    }

    /// The numbers of write(2) and `_exit(2)`.
    pub(super) fn write_and_exit(self) -> (u32, u32) {
        if self.bits64() { (64, 93) } else { (4, 1) }
    }

    /// getpid(2), a socket of `AF_UNIX` and `SOCK_STREAM`, and a call with what it answers: a ring that is refused.
    pub(super) fn known(self) -> ([Call; 3], i32) {
        let (getpid, socket) = if self.bits64() { (172, 198) } else { (20, 281) };
        ([[getpid, 0, 0, 0], [socket, 1, 1, 0], [425, 0, 0, 0]], super::ENOSYS)
    }

    /// Moves a value to a register, half by half; the first move clears what it does not set.
    fn load(self, register: u32, value: u32) -> [u32; 2] {
        let (low, high) = (value & 0xffff, value >> 16);
        if self.bits64() {
            // movz, movk with a shift by 16.
            return [0x5280_0000 | low << 5 | register, 0x72a0_0000 | high << 5 | register];
        }
        // movw, movt: the highest four bits stand apart.
        let split = |half: u32| (half >> 12) << 16 | register << 12 | half & 0xfff;
        [0xe300_0000 | split(low), 0xe340_0000 | split(high)]
    }

    /// The code that makes a call: the number in w8 or r7, arguments in the first registers, and `svc #0`.
    pub(super) fn call(self, [number, first, second, third]: Call) -> Vec<u8> {
        let (register, svc) = if self.bits64() { (8, 0xd400_0001) } else { (7, 0xef00_0000) };
        let loads = [(register, number), (0, first), (1, second), (2, third)];
        code(loads.into_iter().flat_map(|(register, value)| self.load(register, value)).chain([svc]))
    }

    /// Stores what a call has answered: `str w0, [x9]`, `str r0, [r4]`.
    pub(super) fn store(self, at: u32) -> Vec<u8> {
        let (register, store) = if self.bits64() { (9, 0xb900_0120) } else { (4, 0xe584_0000) };
        code(self.load(register, at).into_iter().chain([store]))
    }
}

fn code(words: impl Iterator<Item = u32>) -> Vec<u8> {
    words.flat_map(u32::to_le_bytes).collect()
}
