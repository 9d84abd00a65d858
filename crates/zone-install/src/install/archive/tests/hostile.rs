//! Archives that no tar(1) would write.

use std::fs;
use std::io::Write;

use tar::{EntryType, Header};

use crate::error::Error;
use crate::install::{Summary, from_archive};
use crate::testing::{Ground, options, silent};

/// An archive being written: names and links go into the header as they are.
#[derive(Default)]
pub(super) struct Hostile {
    pub(super) bytes: Vec<u8>,
    /// The mode of the next entry that is no extension.
    mode: Option<u32>,
}

impl Hostile {
    pub(super) fn entry(mut self, kind: EntryType, name: &str, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        header.set_uid(uid.as_raw().into());
        header.set_gid(gid.as_raw().into());
        let usual = if kind == EntryType::Directory { 0o755 } else { 0o644 };
        let mode = if kind == EntryType::XHeader { None } else { self.mode.take() };
        header.set_mode(mode.unwrap_or(usual));
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        header.set_entry_type(kind);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.data(data)
    }

    pub(super) fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    pub(super) fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The entries of another one behind these.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.bytes.extend(other.bytes);
        self
    }

    pub(super) fn file(self, name: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, name, "", data.as_bytes())
    }

    pub(super) fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    pub(super) fn link(self, name: &str, text: &str) -> Self {
        self.entry(EntryType::Symlink, name, text, b"")
    }

    pub(super) fn hard(self, name: &str, earlier: &str) -> Self {
        self.entry(EntryType::Link, name, earlier, b"")
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(EntryType::XHeader, "pax", "", &Self::records(records))
    }

    pub(super) fn global(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(EntryType::XGlobalHeader, "pax", "", &Self::records(records))
    }

    /// What an extended header has in it.
    pub(super) fn records(records: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            write!(body, "{length} {key}=").unwrap();
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        body
    }

    pub(super) fn unpack(&self, ground: &Ground) -> Result<Summary, Error> {
        let mut bytes = self.bytes.clone();
        bytes.resize(bytes.len() + 1024, 0);
        unpack(ground, &bytes)
    }
}

pub(super) fn unpack(ground: &Ground, bytes: &[u8]) -> Result<Summary, Error> {
    let archive = ground.path("archive");
    fs::write(&archive, bytes).unwrap();
    from_archive(&archive, &ground.zonepath, &options(), &mut silent)
}
