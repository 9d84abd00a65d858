//! Reading messages from a client and writing replies to it, within bounds of memory and time.

use std::future::pending;
use std::io::ErrorKind;

use serde::Serialize;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::WRITE_TIMEOUT;
use crate::DoorError;
use crate::wire::{Frame, Framer, MAX_CALL, MAX_REPLY, Success, encode};

/// One read. On the stack and only while reading, so that an idle connection owns no buffer.
const READ_SIZE: usize = 4096;

/// The client is not there any more, or has to be treated so.
#[derive(Debug)]
pub(super) struct Gone;

/// A client's socket.
pub(super) struct Io {
    stream: UnixStream,
    framer: Framer,
    /// The client will send nothing more. It may still read.
    ended: bool,
}

impl Io {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, framer: Framer::new(MAX_CALL), ended: false }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Frame, Gone> {
        loop {
            if let Some(frame) = self.framer.next() {
                return Ok(frame);
            }
            if self.ended {
                return Err(Gone);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes and takes them. Safe to cancel.
    async fn fill(&mut self) -> Result<(), Gone> {
        // Also yields now and then to the other tasks when a client sends without pause.
        self.stream.readable().await.map_err(|_| Gone)?;
        let mut buffer = [0; READ_SIZE];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => self.framer.push(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Gone),
        }
        Ok(())
    }

    /// Returns when the client hangs up; keeps, within the bound, what it sends meanwhile. Safe to cancel.
    pub(super) async fn hung_up(&mut self) -> Gone {
        while !self.ended {
            // A client that sends this much into a stream that has no end does not speak our language.
            if self.framer.len() > MAX_CALL || self.fill().await.is_err() {
                return Gone;
            }
        }
        // Shell clients close their sending side and go on reading. Whether they have left altogether is then
        // seen at the next reply.
        match self.stream.ready(Interest::READABLE | Interest::WRITABLE).await {
            Ok(ready) if !ready.is_write_closed() => pending().await,
            _ => Gone,
        }
    }

    /// Writes a reply with parameters.
    pub(super) async fn success<P: Serialize>(&self, parameters: P, continues: bool) -> Result<(), Gone> {
        self.send(&Success { parameters, continues }).await
    }

    /// Writes a message.
    pub(super) async fn send<T: Serialize>(&self, message: &T) -> Result<(), Gone> {
        let mut bytes = encode(message).map_err(|_| Gone)?;
        if bytes.len() > MAX_REPLY {
            let text = format!("the answer is longer than {MAX_REPLY} bytes and was not sent");
            bytes = encode(&DoorError::failed(vec![text])).map_err(|_| Gone)?;
        }
        let mut rest = bytes.as_slice();
        self.write_some(&mut rest)?;
        if rest.is_empty() {
            return Ok(());
        }
        let write = async {
            while !rest.is_empty() {
                self.stream.writable().await.map_err(|_| Gone)?;
                self.write_some(&mut rest)?;
            }
            Ok(())
        };
        timeout(WRITE_TIMEOUT, write).await.unwrap_or(Err(Gone))
    }

    /// Writes what fits now.
    fn write_some(&self, rest: &mut &[u8]) -> Result<(), Gone> {
        match self.stream.try_write(rest) {
            Ok(count) => *rest = &rest[count..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Gone),
        }
        Ok(())
    }
}
