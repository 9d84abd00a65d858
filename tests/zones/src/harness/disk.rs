//! The file system that the folders of all tests are on: an ext4 with a journal, as hosts have it, in a file that nobody else sees.
//!
//! What it is in place of may be anything. An ext4 without a journal, which machines for builds like to have, looks at each inode that
//! was removed in the last minutes for every file that is made; since tests install zones and remove them all the time, that was four
//! fifths of what a whole run took of the processors.

use rustix::fs::statvfs;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// How large it is: room for as many guests as run at the same time. In bytes.
const SIZE: u64 = 16 << 30;
/// How it is made: nothing is written now that can be written later, or never.
const MADE: [&str; 8] = [
    "-q",
    "-F",
    "-m",
    "0",
    "-J",
    "size=64",
    "-E",
    "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
];
/// How it is mounted. Nobody loses power here, so nothing waits for the disk below.
const MOUNTED: &str = "loop,noatime,nobarrier,noinit_itable";

/// Mounts a new file system at `dir`, in this mount namespace, with whose end it is gone, file and loop device with it.
///
/// # Errors
/// With what cannot be had on this machine: the room, or loop devices. `dir` is there then, as it was.
pub fn mount(dir: &Path) -> io::Result<()> {
    let vfs = statvfs(dir)?;
    if vfs.f_bavail * vfs.f_frsize < SIZE {
        return Err(io::Error::other(format!("less than {} GiB are free in {}", SIZE >> 30, dir.display())));
    }
    let image = dir.with_extension("img");
    let mounted =
        make(&image).and_then(|()| run(Command::new("mount").args(["-o", MOUNTED]).arg(&image).arg(dir)));
    // The loop device holds it from now on. Why it could not be made says more than that it is not there.
    let removed = fs::remove_file(&image);
    mounted.and(removed)
}

fn make(image: &Path) -> io::Result<()> {
    File::create(image)?.set_len(SIZE)?;
    run(Command::new("mkfs.ext4").args(MADE).arg(image))
}

/// Runs a command that says nothing but what is wrong.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", command.get_program().display(), why.trim())))
}
