//! The request that makes a zone.

use super::codec::Reader;
use super::{Header, Op, Origins, PROTOCOL, RESERVE};

/// The request that makes a zone, as it lies in the message. Its descriptors are, in order: the
/// root mount, the cgroup's directory, the user namespace, one mount for each target, then the namespaces that are given,
/// in the order of [`super::Kinds`], then those that are kept.
#[derive(Debug, Default, Clone, Copy)]
pub struct Create<'a> {
    /// How many times in a row init was started again before; kept with the incarnation.
    pub restarts: u32,
    /// The capabilities that may ever be had in the zone, one bit each.
    pub bounding: u64,
    /// The zone's host name; with none at all it is left as it is.
    pub hostname: &'a [u8],
    /// Where each attachment goes: absolute paths inside the zone.
    pub targets: Strings<'a>,
    /// Paths that are covered: files by `/dev/null`, directories by nothing.
    pub masked: Strings<'a>,
    /// Paths that are made read-only.
    pub readonly: Strings<'a>,
    /// The seccomp program that init starts under.
    pub seccomp: &'a [u8],
    /// Where its namespaces come from.
    pub namespaces: Origins,
    /// How many descriptors zsched holds as long as the incarnation lives and does nothing with; at most [`KEPT`].
    pub kept: u8,
}

/// The most descriptors that zsched keeps for an incarnation.
pub const KEPT: usize = 8;

/// How many descriptors of a [`Create`] come before those of the targets.
pub const CREATE_FDS: usize = 3;

impl<'a> Create<'a> {
    /// Reads the part of a message that follows its header.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        let mut r = Reader(body);
        let restarts = r.restarts()?;
        let bounding = r.u64()?;
        let hostname = r.counted()?;
        let targets = Strings(r.counted()?);
        let masked = Strings(r.counted()?);
        let readonly = Strings(r.counted()?);
        let seccomp = r.counted()?;
        // From here on protocol 3.
        let origins = r.take(4).and_then(|bytes| bytes.first_chunk().copied()).unwrap_or_default();
        let namespaces = Origins::decode(origins)?;
        let kept = r.take(1).map_or(0, |bytes| bytes[0]);
        if usize::from(kept) > KEPT {
            return None;
        }
        Some(Self { restarts, bounding, hostname, targets, masked, readonly, seccomp, namespaces, kept })
    }

    /// The message, header included. Allocates.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        // A zsched that knows no other namespaces than the usual ones can do what asks for no others.
        let usual = self.namespaces == Origins::default() && self.kept == 0;
        let protocol = if usual { Op::Create.protocol() } else { 3 };
        let header = Header { number: Op::Create as u16, protocol, peer: PROTOCOL };
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&self.restarts.to_le_bytes());
        out.extend_from_slice(&[0; RESERVE]);
        out.extend_from_slice(&self.bounding.to_le_bytes());
        for part in [self.hostname, self.targets.0, self.masked.0, self.readonly.0, self.seccomp] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(part);
        }
        if !usual {
            out.extend_from_slice(&self.namespaces.encode());
            out.push(self.kept);
        }
        out
    }
}

/// Strings that lie one behind the other, each ended by NUL.
#[derive(Debug, Default, Clone, Copy)]
pub struct Strings<'a>(pub &'a [u8]);

impl<'a> Strings<'a> {
    /// The strings in order.
    pub fn iter(self) -> impl Iterator<Item = &'a std::ffi::CStr> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let s = std::ffi::CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[s.count_bytes() + 1..];
            Some(s)
        })
    }

    /// Puts strings together for [`Strings`]; those with a NUL inside are cut there.
    #[must_use]
    pub fn join<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut out = Vec::new();
        for s in strings {
            out.extend(s.as_ref().bytes().take_while(|&b| b != 0));
            out.push(0);
        }
        out
    }
}
