//! Decompressing in a process of its own that can do nothing else.
//!
//! Decompressors are large C libraries that read what strangers wrote. So a command may run them in a copy of
//! itself: as nobody, unable to open anything, with little memory, and with no more than the archive to read
//! and a pipe to write to. What comes out of the pipe is treated like any archive.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::rc::Rc;

use rustix::process::{Gid, Resource, Rlimit, Uid};

use zone_fail::Promise;

use super::decoder::Decoder;
use super::format::{BLOCK, Format, recognise};

/// `nobody` and `nogroup` wherever those exist; nobody's in any case.
const NOBODY: u32 = 65534;
/// Above what a [`Decoder`] allows itself, for the program and its buffers.
const ADDRESS_SPACE: u64 = 1 << 30;
/// Exit status that says: the archive ends too early.
const CUT_SHORT: u8 = 2;
/// Exit status that says: all is passed on, and behind it there is something that is not part of the archive.
const REST: u8 = 3;
/// The most of its complaint that is repeated.
const LONGEST_COMPLAINT: u64 = 400;

/// A command that ends up in [`decompress_worker`]: usually the caller's own program with a word that only it
/// knows.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The program, such as `/proc/self/exe`.
    pub program: PathBuf,
    /// The words behind its name.
    pub arguments: Vec<OsString>,
}

/// What the worker writes.
pub(super) struct Piped {
    child: Child,
    output: ChildStdout,
    /// Shares its position with the worker's standard input.
    archive: File,
    position: Rc<Cell<u64>>,
    /// Raised when the worker has found something behind the end.
    rest: Rc<Cell<bool>>,
}

impl Piped {
    /// Starts a worker on the archive, which is read from where it stands.
    pub(super) fn start(
        worker: &Worker,
        archive: File,
        position: Rc<Cell<u64>>,
        rest: Rc<Cell<bool>>,
    ) -> io::Result<Self> {
        let mut command = Command::new(&worker.program);
        command.args(&worker.arguments).env_clear();
        zone_fail::pass_on(&mut command);
        let mut child = command
            .current_dir("/")
            .stdin(archive.try_clone()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, output, archive, position, rest })
    }

    /// The worker has closed its end: was that the end of the archive?
    fn verdict(&mut self) -> io::Result<()> {
        let mut complaint = Vec::new();
        if let Some(stderr) = self.child.stderr.as_mut() {
            stderr.take(LONGEST_COMPLAINT).read_to_end(&mut complaint)?;
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        if status.code() == Some(REST.into()) {
            self.rest.set(true);
            return Ok(());
        }
        if status.code() == Some(CUT_SHORT.into()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text: String = String::from_utf8_lossy(&complaint).chars().filter(|c| !c.is_control()).collect();
        Err(io::Error::other(if text.is_empty() {
            format!("decompression ended with {status}")
        } else {
            text
        }))
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.output.read(buffer)?;
        if got == 0 && !buffer.is_empty() {
            self.verdict()?;
        }
        self.position.set(self.archive.stream_position().unwrap_or_else(|_| self.position.get()));
        Ok(got)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a [`Worker`] has to call, first thing in `main`, with one thread: gives up every privilege, then
/// decompresses standard input to standard output.
pub fn decompress_worker() -> ExitCode {
    zone_fail::arm_as_told("installer");
    zone_fail::pass!("worker.begun");
    // Later nothing can be opened.
    let (midway, ended) = (zone_fail::promise!("worker.midway"), zone_fail::promise!("worker.ended"));
    let result = confine().and_then(|()| pump(midway));
    ended.keep();
    match result {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => REST.into(),
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(io::stderr(), "{}", zone_sys::Chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn confine() -> io::Result<()> {
    let limit = |resource, most| {
        let both = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, both)
    };
    if rustix::process::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    limit(Resource::As, ADDRESS_SPACE)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    // The last: from now on nothing can be opened, no socket made, no process started with a pipe.
    limit(Resource::Nofile, 0)?;
    Ok(())
}

/// Passes all on. True when there is something behind it that is not part of the archive.
fn pump(midway: Promise) -> io::Result<bool> {
    let mut start = Vec::with_capacity(BLOCK);
    let mut input = io::stdin().lock();
    input.by_ref().take(BLOCK as u64).read_to_end(&mut start)?;
    let format = recognise(&start).map_err(io::Error::other)?;
    let whole = io::Cursor::new(start).chain(input);
    let rest = Rc::new(Cell::new(false));
    let mut decoder: Box<dyn Read> = match format {
        Format::Tar => Box::new(BufReader::with_capacity(1 << 17, whole)),
        packed => Box::new(Decoder::new(packed, whole, Rc::clone(&rest))),
    };
    let mut buffer = vec![0; 1 << 17];
    let mut output = io::stdout().lock();
    let mut midway = Some(midway);
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return output.flush().map(|()| rest.get()),
            Ok(got) => {
                output.write_all(&buffer[..got])?;
                midway.take().into_iter().for_each(Promise::keep);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
