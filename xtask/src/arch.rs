//! The processors that are built for: the machine's own, and arm64 by a cross compiler.

use crate::needs::{self, Need, need};
use crate::{say, sh};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A processor, by Debian's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    /// x86-64
    Amd64,
    /// 64-bit ARM
    Arm64,
}

/// A C library that programs are linked with, statically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// glibc
    Gnu,
    /// musl
    Musl,
}

/// What building for arm64 needs elsewhere.
const CROSS: [Need; 3] = [
    need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "the linker for arm64"),
    need("aarch64-linux-gnu-strip", "binutils-aarch64-linux-gnu", "small programs for arm64"),
    Need {
        file: Some("/usr/aarch64-linux-gnu/lib/libc.a"),
        ..need("libc.a", "libc6-dev-arm64-cross", "the C library for arm64")
    },
];

/// What running its programs needs elsewhere, while an image of packages for arm64 is made.
const EMULATOR: [Need; 1] = [need(
    "qemu-aarch64-static",
    "qemu-user-static",
    "Debian's packages for arm64, which run programs of theirs",
)];

impl Arch {
    /// The machine's own.
    pub(crate) fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// Whether it is another one than the machine's.
    pub(crate) fn is_foreign(self) -> bool {
        self != Self::here()
    }

    /// Debian's name for it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name for it, with a C library.
    pub(crate) fn triple(self, library: Library) -> &'static str {
        match (self, library) {
            (Self::Amd64, Library::Gnu) => "x86_64-unknown-linux-gnu",
            (Self::Amd64, Library::Musl) => "x86_64-unknown-linux-musl",
            (Self::Arm64, Library::Gnu) => "aarch64-unknown-linux-gnu",
            (Self::Arm64, Library::Musl) => "aarch64-unknown-linux-musl",
        }
    }

    /// What its files are told from those of the machine's own by, at the end of a folder's name.
    pub(crate) fn suffix(self) -> String {
        if self.is_foreign() { format!(".{}", self.debian()) } else { String::new() }
    }

    /// The program that strips its programs.
    pub(crate) fn strip(self) -> &'static str {
        if self.is_foreign() { "aarch64-linux-gnu-strip" } else { "strip" }
    }

    /// Makes a build of cargo's one for it and a C library, and sees to what that needs.
    ///
    /// # Errors
    /// When its standard library or its linker cannot be had here.
    pub(crate) fn builds(self, library: Library, cargo: &mut Command) -> Result<()> {
        cargo.args(["--target", self.triple(library)]);
        if self.is_foreign() && self == Self::Amd64 {
            bail!("nobody has tried to build for {} on this machine", self.debian());
        }
        if self.is_foreign() || library == Library::Musl {
            self.standard_library(library)?;
        }
        if self.is_foreign() {
            needs::provide(&[&CROSS])?;
            let linker = "aarch64-linux-gnu-gcc";
            cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker);
            cargo.env("CC_aarch64_unknown_linux_gnu", linker);
        }
        Ok(())
    }

    /// Sees that the compiler has its standard library, which rustup brings.
    fn standard_library(self, library: Library) -> Result<()> {
        let triple = self.triple(library);
        let sysroot =
            sh::capture(Command::new("rustc").args(["--print", "sysroot"]).current_dir(crate::paths::top()))?;
        if PathBuf::from(sysroot.trim()).join("lib/rustlib").join(triple).join("lib").is_dir() {
            return Ok(());
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", triple]).current_dir(crate::paths::top());
        say::command(&sh::line(&rustup));
        sh::run(&mut rustup).with_context(|| {
            let package = match library {
                Library::Gnu => format!(" (in Debian the package libstd-rust-dev:{})", self.debian()),
                Library::Musl => String::new(),
            };
            format!("the compiler has no standard library for {triple}{package}")
        })
    }

    /// Sees that the kernel runs its programs, as the making of an image of its packages has it do.
    ///
    /// # Errors
    /// When the emulator cannot be had, or the kernel cannot be told of it.
    pub(crate) fn runs(self) -> Result<()> {
        const KNOWN: &str = "/proc/sys/fs/binfmt_misc";
        if !self.is_foreign() {
            return Ok(());
        }
        needs::provide(&[&EMULATOR])?;
        let known = Path::new(KNOWN);
        if !known.join("register").exists() {
            sh::run(Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc", KNOWN]))?;
        }
        if known.join("qemu-aarch64").exists() {
            return Ok(());
        }
        // The package has systemd tell the kernel; where none runs it is told in the same words.
        let words = "/usr/lib/binfmt.d/qemu-aarch64.conf";
        let words = std::fs::read(words).with_context(|| format!("cannot read {words}"))?;
        std::fs::write(known.join("register"), words)
            .context("cannot tell the kernel who runs programs for arm64")
    }
}
