//! The client's half: what `zlogin -C` needs, without a runtime.

use crate::frame::{Decoder, End, Frame, NotAFrame};
use crate::ident::{Answer, Ident, Position};
use std::io::{self, Read, Write};

/// No answer is longer.
const MAX_ANSWER: usize = 32;

/// Why a client got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GreetError {
    /// The connection failed under the greeting.
    #[error("talking to the zone console failed")]
    Io(#[from] io::Error),
    /// The server hung up: it is ending, or this user may not.
    #[error("the zone console closed the connection without an answer")]
    Closed,
    /// What listens there is no console server.
    #[error("the zone console gave an answer that is none")]
    NotAnAnswer,
}

/// Says who we are and reads the answer, and not a byte more, from a blocking connection.
///
/// # Errors
/// [`GreetError`]; the connection is of no more use then.
pub fn greet(connection: &mut (impl Read + Write), ident: &Ident) -> Result<Answer, GreetError> {
    match connection.write_all(ident.line().as_bytes()) {
        // A server that has no room answers before it has read, and hangs up.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(failed)?,
    }
    let mut line = Vec::new();
    while line.len() < MAX_ANSWER {
        let mut byte = [0];
        match connection.read(&mut byte) {
            Ok(0) => return Err(GreetError::Closed),
            Ok(_) if byte == *b"\n" => return Answer::parse(&line).ok_or(GreetError::NotAnAnswer),
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(GreetError::NotAnAnswer)
}

/// A server that dies between our connecting and our words has closed the connection, too.
fn failed(error: io::Error) -> GreetError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => GreetError::Closed,
        _ => error.into(),
    }
}

/// Follows the frames of one connection, so that a client knows where it is and how it ended.
#[derive(Debug, Default)]
pub struct Session {
    decoder: Decoder,
    position: Option<Position>,
    end: Option<End>,
}

impl Session {
    /// Takes the next frame, or part of a data frame, from the front of `bytes`; `None` when all
    /// were taken.
    ///
    /// # Errors
    /// [`NotAFrame`] when the server does not speak frames.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Frame<'a>>, NotAFrame> {
        let frame = self.decoder.next(bytes)?;
        match &frame {
            Some(Frame::Position(position)) => self.position = Some(*position),
            Some(Frame::Data(data) | Frame::Replay(data)) => self.advance(data.len() as u64),
            Some(Frame::Lost(count)) => self.advance(*count),
            Some(Frame::End(end)) => self.end = Some(*end),
            _ => {}
        }
        Ok(frame)
    }

    /// Where this connection has come to: what to give as `resume` after it broke off.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Why the server ended the connection; `None` if it did not, but broke off: come back.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(position) = &mut self.position {
            position.offset = position.offset.saturating_add(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which the answer has come already.
    struct Wire<'a>(&'a [u8], Vec<u8>);

    impl Read for Wire<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Wire<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn greets_and_leaves_what_follows() {
        let ident = Ident { pid: 7, locale: "C".into(), ..Ident::default() };
        let mut wire = Wire(b"OK\nlogin: ", Vec::new());
        assert_eq!(greet(&mut wire, &ident).unwrap(), Answer::Ok);
        assert_eq!((wire.0, wire.1.as_slice()), (&b"login: "[..], &b"IDENT 7 C 0\n"[..]));
        assert_eq!(greet(&mut Wire(b"4711\n", Vec::new()), &ident).unwrap(), Answer::Busy(4711));
        assert!(matches!(greet(&mut Wire(b"O", Vec::new()), &ident), Err(GreetError::Closed)));
        for strange in [&b"HTTP/1.1 400\n"[..], &[b'1'; 100]] {
            assert!(matches!(greet(&mut Wire(strange, Vec::new()), &ident), Err(GreetError::NotAnAnswer)));
        }
    }

    #[test]
    fn a_server_that_has_died_has_closed_the_connection() {
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(greet(&mut ours, &Ident::default()), Err(GreetError::Closed)));
    }

    #[test]
    fn what_a_server_said_before_it_hung_up_is_heard() {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.write_all(Answer::Full.line().as_bytes()).unwrap();
        drop(theirs);
        assert_eq!(greet(&mut ours, &Ident::default()).unwrap(), Answer::Full);
    }

    #[test]
    fn knows_where_it_is() {
        let mut session = Session::default();
        let mut bytes = Vec::new();
        let start = Position { ring: 5, offset: 100 };
        for frame in [
            Frame::Position(start),
            Frame::Replay(b"abc"),
            Frame::Data(b"de"),
            Frame::Notice("x".into()),
            Frame::Lost(10),
        ] {
            frame.encode(&mut bytes);
        }
        let mut rest = &bytes[..];
        while session.next(&mut rest).unwrap().is_some() {}
        assert_eq!(session.position(), Some(Position { ring: 5, offset: 115 }));
        assert_eq!(session.end(), None);
        let mut bytes = Vec::new();
        Frame::End(End::Restarting).encode(&mut bytes);
        session.next(&mut &bytes[..]).unwrap();
        assert_eq!(session.end(), Some(End::Restarting));
    }
}
