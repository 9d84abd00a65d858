//! A client of a console that speaks its wire protocol by itself, with no program of ours between.

use super::heard::Heard;
use super::wait::stretched;
use super::{Zone, until};
use rustix::net::SocketType;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the next byte may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A connection to a console.
pub struct Wire {
    socket: UnixStream,
    heard: Heard,
}

impl Wire {
    /// Connects, and says nothing.
    #[track_caller]
    #[must_use]
    pub fn connect(zone: &Zone<'_>) -> Self {
        let socket = until("somebody serves the console", || {
            zone_sys::unix::connect_in(&zone.run_dir(), "console", SocketType::STREAM).ok()
        });
        let socket = UnixStream::from(socket);
        socket.set_read_timeout(Some(stretched(PATIENCE))).unwrap_or_else(|e| panic!("SO_RCVTIMEO: {e}"));
        Self { socket, heard: Heard::default() }
    }

    /// Connects and is let in, with `-d` if `disconnect`.
    #[track_caller]
    #[must_use]
    pub fn attached(zone: &Zone<'_>, disconnect: bool) -> Self {
        let mut wire = Self::connect(zone);
        wire.says(format!("IDENT {} C {}\n", std::process::id(), u8::from(disconnect)));
        wire.hears("OK\n");
        wire
    }

    /// Sends `bytes`.
    #[track_caller]
    pub fn says(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap_or_else(|e| panic!("write to the console: {e}"));
    }

    /// Sends as much of `bytes` as is taken at once. Gives how much that is.
    pub fn says_what_fits(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        let _ = self.socket.set_nonblocking(true);
        while let Some(n) = self.socket.write(&bytes[sent..]).ok().filter(|&n| n > 0) {
            sent += n;
        }
        let _ = self.socket.set_nonblocking(false);
        sent
    }

    /// Waits until `text` comes after what was heard last, and gives all up to its end.
    #[track_caller]
    pub fn hears(&mut self, text: &str) -> String {
        loop {
            if let Some(found) = self.heard.up_to(text) {
                return found;
            }
            assert!(self.more(), "the console must say {text:?}; it said: {:?}", self.said());
        }
    }

    /// Waits until `count` more bytes came, and gives them.
    #[track_caller]
    pub fn hears_bytes(&mut self, count: usize) -> Vec<u8> {
        loop {
            if let Some(bytes) = self.heard.take(count) {
                return bytes;
            }
            assert!(self.more(), "the console must say {count} more bytes; it said: {:?}", self.said());
        }
    }

    /// Waits for the end of the connection, and gives all that came and was not heard yet.
    #[track_caller]
    #[must_use]
    pub fn closes(mut self) -> String {
        while self.more() {}
        self.heard.rest()
    }

    /// All that came so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.heard.all()
    }

    /// Reads what comes next. False at the end.
    #[track_caller]
    fn more(&mut self) -> bool {
        let mut buffer = [0; 65536];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(n) => {
                    self.heard.push(&buffer[..n]);
                    return n > 0;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return false,
                Err(e) => panic!("nothing more came from the console ({e}); it said: {:?}", self.said()),
            }
        }
    }
}
