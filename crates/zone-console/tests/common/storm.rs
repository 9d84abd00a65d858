//! A console among strangers: bytes say what happens, in which order, and who does it.
//!
//! Strangers connect, send lines that are whole, cut or none, frames and what is no frame, read or not,
//! steal, leave in the middle; the guest speaks and reads; the daemon is killed and started. Meanwhile a
//! witness that reads all the time must see every byte the guest has said, in its order, none lost, and
//! soon: whatever a stranger does, it delays nobody.

use super::{Rig, numbered};
use rustix::fd::OwnedFd;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as Stream;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use zone_console::client::Session;
use zone_console::frame::{End, Frame};
use zone_console::ident::Position;
use zone_console::term::Size;
use zone_console::{Limits, Notice};

/// The most strangers at a time.
const CROWD: usize = 12;
/// What the guest says in a storm at most.
const MOST: usize = 4 << 20;
/// Nothing takes so long that depends on us alone.
const PATIENCE: Duration = Duration::from_secs(20);

static SAID: LazyLock<Vec<u8>> = LazyLock::new(|| numbered(MOST));

/// The bytes that say what happens.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// Sees all.
struct Witness {
    stream: UnixStream,
    session: Session,
}

impl Witness {
    async fn attach(rig: &Rig, resume: Option<Position>) -> Self {
        let resume = resume.map_or_else(String::new, |at| format!(";resume={:x}:{}", at.ring, at.offset));
        let mut conn = rig.client(&format!("IDENT 1 C;watch;frames{resume} 0\n")).await;
        let mut answer = [0; 3];
        conn.stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"OK\n");
        Self { stream: conn.stream, session: Session::default() }
    }

    /// Reads on until it has seen `total` bytes. Each must be what was said there.
    async fn sees(&mut self, total: usize) {
        let mut buffer = vec![0; 64 << 10];
        while self.session.position().is_none_or(|at| at.offset < total as u64) {
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer));
            let read = read.await.expect("the witness is kept waiting").unwrap();
            assert!(read > 0, "the witness was hung up");
            let mut bytes = &buffer[..read];
            loop {
                let at = self.session.position().map_or(0, |at| usize::try_from(at.offset).unwrap());
                match self.session.next(&mut bytes).unwrap() {
                    Some(Frame::Data(said) | Frame::Replay(said)) => {
                        assert!(*said == SAID[at..at + said.len()]);
                    }
                    Some(Frame::Lost(count)) => panic!("the witness has lost {count} bytes"),
                    Some(_) => {}
                    None => break,
                }
            }
        }
    }
}

/// A line of identification with whatever in it, and maybe not all of it.
fn line(script: &mut Script<'_>) -> Vec<u8> {
    let bits = script.byte();
    let mut line = b"IDENT 4711 de_DE.UTF-8".to_vec();
    let words = [";watch", ";steal", ";frames", ";replay=all", ";size=24x80", ";resume=1:5"];
    for (bit, word) in words.iter().enumerate() {
        if bits >> bit & 1 == 1 {
            line.extend_from_slice(word.as_bytes());
        }
    }
    line.extend_from_slice(if bits & 64 == 0 { b" 0\n" } else { b" 1\n" });
    match script.byte() {
        0..=180 => {}
        cut @ 181..=230 => line.truncate(cut - 181),
        _ => {
            // A byte of it is another.
            let at = script.byte() % line.len();
            line[at] = u8::try_from(script.byte()).unwrap();
        }
    }
    line
}

fn frame(script: &mut Script<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match script.byte() % 4 {
        0 => {
            let len = script.byte();
            Frame::Data(script.bytes(len)).encode(&mut out);
        }
        1 => {
            let side = |n: usize| u16::try_from(n * 257).unwrap();
            let size = Size { rows: side(script.byte()), cols: side(script.byte()) };
            Frame::Window(size).encode(&mut out);
        }
        2 => Frame::Data(&SAID[..script.byte() * 256]).encode(&mut out),
        _ => Frame::End(End::Leaving).encode(&mut out),
    }
    out
}

fn notice(script: &mut Script<'_>) -> Notice {
    let args = String::from_utf8_lossy(script.bytes(script.0.len().min(9))).into_owned();
    match script.byte() % 6 {
        0 => Notice::Booting { args },
        1 => Notice::Rebooting { args },
        2 => Notice::Halted,
        3 => Notice::BootFailed,
        4 => Notice::BadArgs { args },
        _ => Notice::Text(args),
    }
}

/// What the guest has to read, it reads.
fn guest_reads(guest: &OwnedFd) {
    let waiting = rustix::io::ioctl_fionread(guest).unwrap_or(0);
    if waiting > 0 {
        let _ = rustix::io::read(guest, &mut [0; 4096]);
    }
}

fn stranger(rig: &Rig) -> Stream {
    let stream = Stream::connect(rig.dir.path().join("console")).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Lets it happen.
pub async fn storm(script: &[u8]) {
    let limits =
        Limits { handshakes: 4, watchers: 5, linger: Duration::from_millis(200), ..Limits::default() };
    let mut script = Script(script);
    let mut rig = Rig::with(limits);
    let mut witness = Witness::attach(&rig, None).await;
    let mut strangers: Vec<Stream> = Vec::new();
    let mut total = 0;
    while !script.0.is_empty() && total + (64 << 10) < MOST {
        let (what, who) = (script.byte() % 16, script.byte());
        let index = if strangers.is_empty() { 0 } else { who % strangers.len() };
        let someone = strangers.get_mut(index);
        match (what, someone) {
            (0..=2, _) | (_, None) => {
                if strangers.len() == CROWD {
                    strangers.remove(0);
                }
                strangers.push(stranger(&rig));
                // A listener holds so many, and the next would have us wait for ourselves.
                tokio::task::yield_now().await;
            }
            (3 | 4, Some(stream)) => drop(stream.write(&line(&mut script))),
            (5, Some(stream)) => {
                let len = script.byte() * 4;
                let _ = stream.write(script.bytes(len));
            }
            (6 | 7, Some(stream)) => drop(stream.write(&frame(&mut script))),
            (8, Some(stream)) => {
                let mut buffer = vec![0; script.byte() * 256];
                let read = stream.read(&mut buffer);
                let nothing = |e: &std::io::Error| {
                    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset)
                };
                assert!(read.as_ref().err().is_none_or(nothing), "{read:?}");
            }
            (9, Some(stream)) => drop(stream.shutdown(std::net::Shutdown::Write)),
            (10, _) => drop(strangers.remove(index)),
            (11, _) => {
                let len = who * 240;
                rig.flood(SAID[total..total + len].to_vec()).await.unwrap();
                total += len;
            }
            (12, _) => guest_reads(&rig.guest),
            (13, _) => rig.handle.notice(notice(&mut script)),
            (14, _) => rig.handle.resize(Size { rows: 1, cols: 1 }),
            _ => {
                let at = witness.session.position();
                rig = rig.restart_with(limits).await;
                strangers.clear();
                witness = Witness::attach(&rig, at).await;
            }
        }
        // It speaks, and is heard at once.
        rig.say(&SAID[total..=total]);
        total += 1;
        witness.sees(total).await;
    }
    rig.handle.stop(End::Leaving);
    let ended = tokio::time::timeout(PATIENCE, rig.task).await;
    ended.expect("the server does not end").unwrap();
}
