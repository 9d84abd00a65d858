//! The decompressor in a process of its own. Without the usual harness, because this program is both the
//! command and, when told so, its worker.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use zone_install::install::{Archive, Summary, Worker, decompress_worker};
use zone_install::progress::{Options, Progress};
use zone_install::{Error, zonepath};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("be-a-worker") {
        return decompress_worker();
    }
    // This is a program and not a list of functions; runners that ask are told of one test.
    if std::env::args().any(|word| word == "--list") {
        if !std::env::args().any(|word| word == "--ignored") {
            println!("worker: test");
        }
        return ExitCode::SUCCESS;
    }
    let worker = |word: &str| Worker { program: "/proc/self/exe".into(), arguments: vec![word.into()] };
    let archive = archive();
    let ok = worker("be-a-worker");
    for packed in [gzip(&archive), zstd::encode_all(&archive[..], 3).unwrap()] {
        for (behind, rest) in [(&[][..], false), (&[0; 3000], false), (b"garbage", true)] {
            let (root, summary) = unpack(&ok, &[packed.as_slice(), behind].concat()).unwrap();
            assert_eq!(fs::read(root.path().join("zone/root/etc/motd")).unwrap(), contents());
            assert_eq!(summary.rest, rest, "{} bytes behind", behind.len());
        }

        let error = unpack(&ok, &packed[..packed.len() / 2]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{error}");
    }
    let mut damaged = gzip(&archive);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 9].fill(0xff);
    let error = unpack(&ok, &damaged).unwrap_err();
    assert!(matches!(error, Error::Archive { .. } | Error::Malformed { .. }), "{error}");
    let missing = Worker { program: "/no/such/program".into(), arguments: Vec::new() };
    let error = unpack(&missing, &gzip(&archive)).unwrap_err();
    assert!(error.to_string().starts_with("cannot run the decompressor /no/such/program"), "{error}");
    println!("test worker ... ok");
    ExitCode::SUCCESS
}

/// Bytes that do not compress to nothing.
fn contents() -> Vec<u8> {
    (0..400_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn archive() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("etc/motd").unwrap();
    header.set_uid(rustix::process::geteuid().as_raw().into());
    header.set_gid(rustix::process::getegid().as_raw().into());
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(contents().len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(contents());
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn unpack(worker: &Worker, packed: &[u8]) -> Result<(tempfile::TempDir, Summary), Error> {
    let ground = tempfile::tempdir().unwrap();
    let (path, archive) = (ground.path().join("zone"), ground.path().join("archive"));
    zonepath::prepare(&path).unwrap();
    fs::write(&archive, packed).unwrap();
    let mut last = 0;
    let mut report = |progress: Progress<'_>| last = progress.done_bytes;
    let archive = Archive::open(Path::new(&archive), Some(worker))?;
    let summary = archive.unpack(&path, &Options::default(), &mut report)?;
    Ok((ground, summary))
}
