//! File systems that stand still: one that is frozen, and one whose server does not answer any more.

use super::{Command, Lab, make_dir};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// An ext4 of its own, on a file.
pub struct Disk {
    point: PathBuf,
    frozen: bool,
}

impl Disk {
    /// Makes it and mounts it at `lab.private(name)`.
    #[track_caller]
    #[must_use]
    pub fn make(lab: &Lab, name: &str, megabytes: u32) -> Self {
        let (image, point) = (lab.path(&format!("{name}.img")), lab.private(name));
        make_dir(&point, 0o755);
        Command::new("truncate").args(["-s", &format!("{megabytes}M")]).args([&image]).run().ok();
        Command::new("mkfs.ext4").args(["-q", "-F", "-O", "^has_journal"]).args([&image]).run().ok();
        Command::new("mount").args(["-o", "loop"]).args([&image, &point]).run().ok();
        Self { point, frozen: false }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// From now on whoever writes to it waits in the kernel.
    #[track_caller]
    pub fn freeze(&mut self) {
        Command::new("fsfreeze").args(["-f"]).args([&self.point]).run().ok();
        self.frozen = true;
    }

    /// Who waits goes on.
    pub fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            let _ = Command::new("fsfreeze").args(["-u"]).args([&self.point]).run();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount").args(["-l"]).args([&self.point]).run();
    }
}

/// A FUSE file system of one empty directory, served by a thread of the test.
pub struct Fuse {
    point: PathBuf,
    state: Arc<Serving>,
    device: Option<File>,
}

/// What the thread that serves and the test tell each other.
#[derive(Default)]
struct Serving {
    silent: AtomicBool,
    withheld: AtomicUsize,
}

const INIT: u32 = 26;
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
/// Nobody waits for an answer to these: RELEASE, RELEASEDIR.
const RELEASES: [u32; 2] = [18, 29];
/// These want no answer: FORGET, INTERRUPT, BATCH_FORGET.
const ONE_WAY: [u32; 3] = [2, 36, 42];
const ENOSYS: i32 = 38;

impl Fuse {
    /// Mounts it at `lab.private(name)`.
    #[track_caller]
    #[must_use]
    pub fn make(lab: &Lab, name: &str) -> Self {
        let point = lab.private(name);
        make_dir(&point, 0o755);
        let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let device = File::from(device.unwrap_or_else(|e| super::skip(format!("/dev/fuse: {e}"))));
        let options =
            format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_fd().as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap_or_default();
        mount("dead", &point, "fuse", MountFlags::empty(), Some(options.as_c_str()))
            .unwrap_or_else(|e| super::skip(format!("a FUSE file system cannot be mounted: {e}")));
        let state = Arc::new(Serving::default());
        let thread = (device.try_clone().unwrap_or_else(|e| panic!("{e}")), Arc::clone(&state));
        std::thread::spawn(move || serve(thread.0, &thread.1));
        Self { point, state, device: Some(device) }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// From now on it takes every request and answers none.
    pub fn fall_silent(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }

    /// Waits until somebody has asked for something that is not answered.
    #[track_caller]
    pub fn somebody_waits(&self) {
        let withheld = || self.state.withheld.load(Ordering::SeqCst);
        super::until("somebody waits for the file system", || (withheld() > 0).then_some(()));
    }

    /// The kernel gives up on it: whoever waits gets an error.
    pub fn end(&mut self) {
        if self.device.take().is_some() {
            // Forced: that ends the connection even though the thread has its copy of the device.
            let _ = unmount(&self.point, UnmountFlags::FORCE | UnmountFlags::DETACH);
        }
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(mut device: File, state: &Serving) {
    let mut request = vec![0; 256 * 1024];
    loop {
        let Ok(length @ 40..) = device.read(&mut request) else { return };
        let word =
            |at: usize| u32::from_le_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
        let opcode = word(4);
        if ONE_WAY.contains(&opcode) {
            continue;
        }
        if state.silent.load(Ordering::SeqCst) || length < 40 {
            state.withheld.fetch_add(usize::from(!RELEASES.contains(&opcode)), Ordering::SeqCst);
            continue;
        }
        let (error, body) = answer(opcode);
        let mut reply = u32::try_from(16 + body.len()).unwrap_or(16).to_le_bytes().to_vec();
        reply.extend_from_slice(&(-error).to_le_bytes());
        reply.extend_from_slice(&request[8..16]);
        reply.extend_from_slice(&body);
        let _ = device.write(&reply);
    }
}

/// What is said to a request: an error number, and the answer if that is 0. The shapes are those of linux/fuse.h.
fn answer(opcode: u32) -> (i32, Vec<u8>) {
    let mut body;
    match opcode {
        INIT => {
            body = vec![0; 64];
            body[0..4].copy_from_slice(&7_u32.to_le_bytes());
            body[4..8].copy_from_slice(&31_u32.to_le_bytes());
            body[20..24].copy_from_slice(&4096_u32.to_le_bytes());
            body[24..28].copy_from_slice(&1_u32.to_le_bytes());
        }
        GETATTR => {
            body = vec![0; 104];
            body[16..24].copy_from_slice(&1_u64.to_le_bytes());
            body[76..80].copy_from_slice(&0o40755_u32.to_le_bytes());
            body[80..84].copy_from_slice(&2_u32.to_le_bytes());
        }
        STATFS => body = vec![0; 80],
        _ => return (ENOSYS, Vec::new()),
    }
    (0, body)
}
