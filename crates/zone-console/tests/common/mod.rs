//! A console on a real pty, with a guest and clients made by the test.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod storm;

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::net::SocketType;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use std::future::Future;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, LocalSet};
use zone_console::frame::{Decoder, Frame};
use zone_console::log::ConsoleLog;
use zone_console::ring::Ring;
use zone_console::{ConsoleServer, Handle, Limits, Setup};

/// Small, so that a test soon reaches its ends.
pub const FIRST: u64 = 16 << 10;
pub const NEWEST: u64 = 64 << 10;

/// Runs `test` as the daemon would run the server: one thread, local tasks. A test that waits for
/// what never comes fails instead of hanging.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async move {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("what the test waits for never came")
    }))
}

pub fn pty() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let manager = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&manager).unwrap();
    rustix::pty::unlockpt(&manager).unwrap();
    let subsidiary = rustix::pty::ioctl_tiocgptpeer(&manager, flags).unwrap();
    (manager, subsidiary)
}

/// No echo, no translation: what one side writes, the other reads.
pub fn make_raw(terminal: &OwnedFd) {
    let mut settings = rustix::termios::tcgetattr(terminal).unwrap();
    settings.make_raw();
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings).unwrap();
}

pub const TIOCSETD: u32 = 0x5423;
pub const TIOCVHANGUP: u32 = 0x5437;

/// Makes a call that no crate here may make. Perl is part of every Debian.
pub fn ioctl(terminal: &OwnedFd, request: u32, value: i32) {
    let program = format!("my $v = pack('i', {value}); ioctl(STDIN, {request}, $v) or die $!");
    let mut perl = std::process::Command::new("perl");
    perl.args(["-e", &program]).stdin(terminal.try_clone().unwrap());
    assert!(perl.status().unwrap().success());
}

/// Opens the subsidiary by its name, as the zone does.
pub fn open_tty(manager: &OwnedFd) -> OwnedFd {
    let name = rustix::pty::ptsname(manager, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap()
}

pub fn new_ring() -> Ring<OwnedFd> {
    let memfd = rustix::fs::memfd_create("ring", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    Ring::create(memfd, FIRST, NEWEST).unwrap()
}

/// A running server, and the guest's side of its pty.
pub struct Rig {
    pub dir: TempDir,
    pub handle: Handle,
    pub guest: OwnedFd,
    pub manager: OwnedFd,
    pub ring: OwnedFd,
    pub task: JoinHandle<()>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let (manager, guest) = pty();
        make_raw(&guest);
        Self::on(manager, guest, new_ring(), limits)
    }

    pub fn logged(limits: Limits, log: ConsoleLog) -> Self {
        let (manager, guest) = pty();
        make_raw(&guest);
        Self::make(manager, guest, new_ring(), limits, Some(log))
    }

    pub fn on(manager: OwnedFd, guest: OwnedFd, ring: Ring<OwnedFd>, limits: Limits) -> Self {
        Self::make(manager, guest, ring, limits, None)
    }

    fn make(
        manager: OwnedFd,
        guest: OwnedFd,
        ring: Ring<OwnedFd>,
        limits: Limits,
        log: Option<ConsoleLog>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = zone_sys::unix::bind_in(dir.path(), "console", SocketType::STREAM, 16).unwrap();
        let kept = (manager.try_clone().unwrap(), ring.as_fd().try_clone_to_owned().unwrap());
        let (server, handle) = ConsoleServer::new(Setup { manager, ring, listener }, limits).unwrap();
        let server = if let Some(log) = log { server.with_log(log) } else { server };
        let task = tokio::task::spawn_local(server.run());
        Self { dir, handle, guest, manager: kept.0, ring: kept.1, task }
    }

    /// Another server on the same pty and ring, as after a restart of the daemon.
    pub async fn restart(self) -> Self {
        self.restart_with(Limits::default()).await
    }

    pub async fn restart_with(self, limits: Limits) -> Self {
        self.task.abort();
        let _ = self.task.await;
        Self::on(self.manager, self.guest, Ring::inherit(self.ring).unwrap(), limits)
    }

    /// As [`Rig::restart`], after an end in good order and with a log.
    pub async fn restart_logged(self, log: ConsoleLog) -> Self {
        Self::make(self.manager, self.guest, Ring::inherit(self.ring).unwrap(), Limits::default(), Some(log))
    }

    pub async fn connect(&self) -> Conn {
        Conn { stream: UnixStream::connect(self.dir.path().join("console")).await.unwrap(), got: Vec::new() }
    }

    /// Connects and sends `line`.
    pub async fn client(&self, line: &str) -> Conn {
        let mut conn = self.connect().await;
        conn.send(line.as_bytes()).await;
        conn
    }

    /// A client that was admitted.
    pub async fn holder(&self, options: &str, flag: u8) -> Conn {
        let mut conn = self.client(&format!("IDENT 1 C{options} {flag}\n")).await;
        conn.expect(b"OK\n").await;
        conn
    }

    /// The guest says something short.
    pub fn say(&self, text: &[u8]) {
        assert_eq!(rustix::io::write(&self.guest, text), Ok(text.len()));
    }

    /// The guest says `bytes`, however long that takes.
    pub fn flood(&self, bytes: Vec<u8>) -> JoinHandle<()> {
        let guest = self.guest.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(&guest, rest).unwrap()..];
            }
        })
    }

    /// What the guest reads next, `len` bytes of it.
    pub async fn guest_reads(&self, len: usize) -> Vec<u8> {
        let guest = self.guest.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
            while got.len() < len {
                let most = buffer.len().min(len - got.len());
                let read = rustix::io::read(&guest, &mut buffer[..most]).unwrap();
                got.extend_from_slice(&buffer[..read]);
            }
            got
        })
        .await
        .unwrap()
    }

    /// Waits until the server has taken everything that was said, so that the ring is `total` long.
    pub async fn drained(&self, total: u64) {
        loop {
            let ring = Ring::open(self.ring.try_clone().unwrap());
            if ring.is_ok_and(|ring| ring.total() >= total) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn clients(&self, count: usize) {
        self.handle.state().wait_for(|state| state.clients.len() == count).await.unwrap();
    }
}

pub struct Conn {
    pub stream: UnixStream,
    pub got: Vec<u8>,
}

impl Conn {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let len = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.got.extend_from_slice(&buffer[..len]);
        len > 0
    }

    /// Reads until `text` has come, and gives what came before it.
    pub async fn until(&mut self, text: &[u8]) -> Vec<u8> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.got[searched..], text) {
                let rest = self.got.split_off(searched + at + text.len());
                let mut before = std::mem::replace(&mut self.got, rest);
                before.truncate(searched + at);
                return before;
            }
            searched = self.got.len().saturating_sub(text.len());
            assert!(
                self.more().await,
                "the end came before {}: {}",
                text.escape_ascii(),
                self.got.escape_ascii()
            );
        }
    }

    /// The very next bytes are `text`.
    pub async fn expect(&mut self, text: &[u8]) {
        let before = self.until(text).await;
        assert_eq!(before.escape_ascii().to_string(), "", "before {}", text.escape_ascii());
    }

    /// Reads to the end, and gives all that came.
    pub async fn rest(mut self) -> Vec<u8> {
        while self.more().await {}
        self.got
    }

    /// The end is next.
    pub async fn ended(self) {
        assert_eq!(self.rest().await.escape_ascii().to_string(), "");
    }
}

/// A client that speaks frames, with the data frames joined.
pub struct Framed {
    pub conn: Conn,
    decoder: Decoder,
    /// Data and replay bytes by absolute offset.
    pub offset: u64,
    pub ring: u64,
}

impl Framed {
    pub async fn new(rig: &Rig, options: &str) -> Self {
        let conn = rig.holder(&format!(";frames{options}"), 0).await;
        let mut framed = Self { conn, decoder: Decoder::default(), offset: 0, ring: 0 };
        let Some(Frame::Position(position)) = framed.next().await else { panic!("no position") };
        framed.offset = position.offset;
        framed.ring = position.ring;
        framed
    }

    /// The next frame, or part of a data frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Frame<'static>> {
        loop {
            let mut bytes = &self.conn.got[..];
            let frame = self.decoder.next(&mut bytes).unwrap().map(owned);
            let used = self.conn.got.len() - bytes.len();
            self.conn.got.drain(..used);
            match &frame {
                Some(Frame::Data(data) | Frame::Replay(data)) => self.offset += data.len() as u64,
                Some(Frame::Lost(count)) => self.offset += count,
                _ => {}
            }
            if frame.is_some() {
                return frame;
            }
            if !self.conn.more().await {
                return None;
            }
        }
    }

    pub async fn send(&mut self, frame: Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.conn.send(&bytes).await;
    }
}

fn owned(frame: Frame<'_>) -> Frame<'static> {
    match frame {
        Frame::Data(bytes) => Frame::Data(bytes.to_vec().leak()),
        Frame::Replay(bytes) => Frame::Replay(bytes.to_vec().leak()),
        Frame::Notice(text) => Frame::Notice(text.into_owned().into()),
        Frame::Position(position) => Frame::Position(position),
        Frame::Lost(count) => Frame::Lost(count),
        Frame::End(end) => Frame::End(end),
        Frame::Window(size) => Frame::Window(size),
    }
}

/// Text in which every place can be told from every other.
pub fn numbered(len: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..=len / 8).flat_map(|n| format!("{n:07}\n").into_bytes()).collect();
    text.truncate(len);
    text
}

/// Where `text` begins in `bytes`.
pub fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == text[0]) {
        at += next;
        if bytes[at..].starts_with(text) {
            return Some(at);
        }
        at += 1;
    }
    None
}
